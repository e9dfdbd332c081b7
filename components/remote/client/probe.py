"""What a service's public URL must answer: status, text, the release it tells, and nothing that must stay hidden.

Where the daemon is somebody else's, the domain leads to the daemon or to the files that we deploy; the answers tell which.
"""

from __future__ import annotations

import time

from . import jsontext
from .connection import Edge
from .failure import Failure, printable
from .request import number, text
from .web import Answer, Site, Unanswered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORBIDDEN = (
    "/.env", "/secrets.env", "/.git/HEAD", "/.git/config", "/.deploy/secrets.env",
    # Where the file is from the release, and from the path that leads to it, should a server walk up.
    "/../../secrets.env", "/..%2f..%2fsecrets.env", "/%2e%2e/%2e%2e/secrets.env",
)  # fmt: skip
FORBIDDEN_SECONDS = 20
"""For all of them together, at least: who asks with little patience means the page."""
PAUSE_SECONDS = 0.1
MAX_REDIRECTS = 5


class Probe:
    """One service's probe. ``expected`` is the release that the site must tell, ``None`` for any. ``files_only``: whether the last round
    found the files of an external service and not its daemon."""

    def __init__(self, raw: dict[str, Any], edge: Edge, expected: str | None) -> None:
        self.domain = text(raw, "domain")
        self.path = raw.get("path") or "/"
        self.status = number(raw.get("status", 200), "probe.status", 100, 599)
        self.contains: str | None = raw.get("contains")
        self.release_path: str | None = raw.get("release_path")
        self.successes = number(raw.get("successes", 2), "probe.successes", 1, 100)
        self.timeout = number(raw.get("timeout", 20), "probe.timeout", 1, 3600)
        self.expected = expected
        daemon: dict[str, Any] = raw.get("daemon") or {}
        self.daemon_path: str | None = text(daemon, "path") if daemon else None
        self.daemon_contains: str | None = daemon.get("contains")
        self.files_only = False
        version: dict[str, Any] = raw.get("version") or {}
        self.version_path: str | None = text(version, "path") if version else None
        self.version_expected: str | None = version.get("expect")
        if not self.path.startswith("/") or any(
            c <= " "
            for c in self.path + (self.release_path or "/") + (self.daemon_path or "/") + (self.version_path or "/") + self.domain
        ):
            raise Failure(f"The probe of {self.domain!r} needs a path that begins with '/' and holds no space.")
        self.site = Site(edge, self.domain)
        self.answered = 0
        self.told: str | None = None

    def live(self, extra: float = 0, headers: dict[str, str] | None = None) -> str | None:
        """Asks until ``successes`` answers in a row were right; gives what was wrong at the end of the time budget, or ``None``."""
        deadline = time.monotonic() + self.timeout + extra
        right = 0
        wrong: str | None = None
        while True:
            problem = self.once(deadline, "", headers)
            if problem is None:
                right += 1
                if right >= self.successes:
                    return None
                continue
            right = 0
            if wrong is None or time.monotonic() < deadline:
                wrong = problem  # of a question that the end of the time cut short, the answer before tells more
            if time.monotonic() + PAUSE_SECONDS >= deadline:
                return f"{self.url()} {wrong} (asked for {self.timeout + extra:g} s)"
            time.sleep(PAUSE_SECONDS)

    def once(self, deadline: float, prefix: str = "", headers: dict[str, str] | None = None) -> str | None:
        """One round: the daemon where there may be one, else the page and, where there is one, the release's description. Gives what is
        wrong or ``None``."""
        self.files_only = False
        if self.daemon_path is None or prefix:
            return self._page(deadline, prefix, headers or {})
        absent = self.daemon(deadline, headers or {})
        if absent is None:
            return None
        wrong = self._page(deadline, prefix, headers or {})
        self.files_only = wrong is None
        return wrong and f"{wrong}; nor does its daemon answer: {self.daemon_path} {absent}"

    def daemon(self, deadline: float, headers: dict[str, str]) -> str | None:
        """Asks an external service's daemon for its health; what is wrong, or ``None``."""
        try:
            answer = self.site.get(self.daemon_path or "/", deadline, headers)
        except Unanswered as error:
            return f"gives no answer: {error}"
        if answer.status != 200:
            return f"answers {answer.status} instead of 200"
        # None of them tells its health in HTML: that is a site which answers every path with a page.
        if answer.body.lstrip()[:1] == b"<":
            return "answers with a page"
        if self.daemon_contains is not None and self.daemon_contains.encode() not in answer.body:
            return f"answers without the expected text {self.daemon_contains[:60]!r}"
        self.answered = answer.status
        return None

    def version(self) -> tuple[str | None, str | None]:
        """The version that the site's OpenAPI document tells, and what is wrong: there is none, or another than is expected."""
        if self.version_path is None:
            return None, None
        try:
            found = self._follow(self.version_path, time.monotonic() + self.timeout, {})
        except Unanswered as error:
            return None, f"{self.version_path} gives no answer: {error}"
        if isinstance(found, str):
            return None, f"{self.version_path} {found}"
        try:
            told = jsontext.loads(found.body)["info"]["version"] if found.status == 200 else None
        except (ValueError, KeyError, TypeError, RecursionError):
            told = None
        if not isinstance(told, str) or not told.strip():
            return None, f"{self.version_path} tells no version (status {found.status}); expected JSON with info.version"
        told = printable(told.strip())[:100]
        if self.version_expected not in (None, told):
            return told, f"{self.version_path} tells version {told} instead of {self.version_expected}"
        return told, None

    def _page(self, deadline: float, prefix: str, headers: dict[str, str]) -> str | None:
        try:
            answer = self._follow(prefix + self.path, deadline, headers)
            if isinstance(answer, str):
                return answer
            self.answered = answer.status
            if answer.status != self.status:
                return f"answers {answer.status} instead of {self.status}"
            if self.contains is not None and self.contains.encode() not in answer.body:
                return f"answers {answer.status} without the expected text {self.contains[:60]!r}"
            if self.release_path and self.expected:
                if self.release_path != self.path:
                    found = self._follow(prefix + self.release_path, deadline, headers)
                    if isinstance(found, str):
                        return found
                    answer = found
                return self._told_release(answer)
        except Unanswered as error:
            return f"gives no answer: {error}"
        return None

    def _told_release(self, answer: Answer) -> str | None:
        self.told = None
        try:
            told = jsontext.loads(answer.body)["release"]
            self.told = str(told)
        except (ValueError, KeyError, TypeError, RecursionError):
            return f'does not tell its release at {self.release_path} (status {answer.status}); expected JSON with "release"'
        if told != self.expected:
            return f"serves release {str(told)[:40]} instead of {self.expected}"
        return None

    def _follow(self, path: str, deadline: float, headers: dict[str, str]) -> Answer | str:
        for _ in range(MAX_REDIRECTS):
            answer = self.site.get(path, deadline, headers)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            to = answer.headers.get("location", "")
            if to.startswith("/") and not to.startswith("//"):
                path = to
                continue
            own = f"{self.site.edge.scheme}://{self.site.authority}/"
            if to.startswith(own):
                path = to[len(own) - 1 :]
                continue
            return f"redirects ({answer.status}) to {to[:100]!r}, which is not {own}"
        return f"redirects more than {MAX_REDIRECTS} times"

    def served_secrets(self) -> str | None:
        """Names a path that must not be served and is. A site that answers every path with its front page serves none of them."""
        deadline = time.monotonic() + max(self.timeout, FORBIDDEN_SECONDS)
        for path in FORBIDDEN:
            try:
                answer = self.site.get(path, deadline)
            except Unanswered as error:
                return f"{self.url()[: -len(self.path)]}{path} gives no answer: {error}"
            if answer.status == 200 and _looks_secret(path, answer.body):
                return f"{self.url()[: -len(self.path)]}{path} is served to everybody; the web server must refuse it"
        return None

    def closed(self, bypass: dict[str, str]) -> str | None:
        """While the window's marker is there: what is wrong with how the server honours it, or ``None``. ``bypass``: the probe's header."""
        deadline = time.monotonic() + 10
        try:
            for _ in range(20):
                shut = self.site.get(self.path, deadline)
                if shut.status == 503:
                    break
                time.sleep(PAUSE_SECONDS)
            if shut.status != 503:
                return f"{self.url()} answers {shut.status} instead of 503 while the file maintenance is there"
            if "retry-after" not in shut.headers:
                return f"{self.url()} answers 503 without Retry-After"
            opened = self.site.get(self.path, deadline, bypass)
            if opened.status == 503 and "retry-after" in opened.headers:
                return f"{self.url()} answers 503 to the probe's header X-Mo-Probe too"
        except Unanswered as error:
            return f"{self.url()} gives no answer: {error}"
        return None

    def open_to_visitors(self) -> str | None:
        """What a visitor sees of a site that a person has just closed, where it is not 503."""
        deadline = time.monotonic() + 10
        try:
            for _ in range(20):
                status = self.site.get(self.path, deadline).status
                if status == 503:
                    return None
                time.sleep(PAUSE_SECONDS)
        except Unanswered as error:
            return f"{self.url()} gives no answer: {error}"
        return f"{self.url()} answers {status} instead of 503 while the file maintenance is there"

    def shut(self, token: str) -> str:
        """What a host program is told that asks whether its window holds; ``token``: of the probe that is let in."""
        wrong = self.closed({"X-Mo-Probe": token})
        return "ok" if wrong is None else f"fail {printable(wrong)}"

    def url(self) -> str:
        """The URL that a person would ask."""
        return f"{self.site.edge.scheme}://{self.site.authority}{self.path}"


def _looks_secret(path: str, body: bytes) -> bool:
    start = body[:4096].lstrip()
    if path.endswith("HEAD"):
        return start.startswith(b"ref:") or (len(start) >= 40 and all(c in b"0123456789abcdef" for c in start[:40]))
    if path.endswith("config"):
        return b"[core]" in start
    if start[:1] == b"<":
        return False
    for line in start.split(b"\n")[:50]:
        name, equals, _ = line.removeprefix(b"export ").partition(b"=")
        if equals and name and all(c == 95 or 48 <= c <= 57 or 65 <= c <= 90 for c in name.strip()):
            return True
    return False
