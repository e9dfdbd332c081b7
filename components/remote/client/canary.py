"""Whether PHP runs the release that was made live, asked of a canary of ours over the public URL; and what clears its caches.

PHP behind Apache or Plesk's nginx gets the path of the document root unresolved. Each of its processes remembers where that link led
(realpath cache, 120 s), and OPcache keeps what it compiled from that path as long as the former release's file stays as it is: for ever.
docs/activation.md has what was measured.
"""

from __future__ import annotations

import os
import time

from . import jsontext
from .failure import printable
from .web import Answer, Site, Unanswered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

ACTIVATION_SECONDS = 30
"""How long PHP may go on with the former release where its caches can be cleared; else, also as long as it remembers paths."""
IN_A_ROW = 5
"""Answers of the new release, one after the other."""
SIDE_BY_SIDE = 16
"""Questions at once where each process has to be reached by itself; each is held for ``HOLD_MS`` so that another one takes the next."""
HOLD_MS = 100
PENDING_SECONDS = 1.5
"""OPcache restarts once no request is at work; a busy site may never have such a moment, and its processes are renewed instead."""
EXPIRE_SECONDS = 8.0
"""For one round where OPcache has to notice files' times, which it looks at every 2 s (``opcache.revalidate_freq``)."""
PAUSE_SECONDS = 0.05
MAX_TTL = 150
"""Seconds of ``realpath_cache_ttl`` that are waited for at most; PHP's own is 120."""

RESET, RENEW, EXPIRE, CLEAR = "reset", "renew", "expire", "clear"
"""How the caches were cleared: by ``opcache_reset``, by new PHP-FPM workers, by files' times, by each process for itself."""


class Seen:
    """One answer of the canary: the release whose code ran, the process, and what its PHP allows."""

    __slots__ = ("opcache", "pending", "php", "pid", "release", "reset", "restarts", "sapi", "timestamps", "ttl")

    def __init__(self, told: dict[str, Any]) -> None:
        self.release, self.sapi, self.php = str(told["release"]), str(told["sapi"]), str(told["php"])
        self.pid, self.ttl = int(told["pid"]), int(told["realpath_ttl"])
        self.opcache, self.timestamps = bool(told["opcache"]), bool(told["timestamps"])
        self.reset, self.pending = bool(told["reset"]), bool(told["pending"])
        self.restarts: int | None = told["restarts"] if isinstance(told["restarts"], int) else None


def method(seen: Seen) -> str | None:
    """By which of the ways PHP of this kind comes to run another release; ``None``: by none."""
    if not seen.opcache:
        return RENEW if seen.sapi == "fpm-fcgi" else CLEAR
    if seen.reset:
        return RESET
    return EXPIRE if seen.timestamps else None


class Canary:
    """The canary of one switch. ``name``: its file; ``digest``: of its token; ``how``, ``ms``: once a release was proven."""

    def __init__(self, site: Site, patience: float) -> None:
        from hashlib import sha256

        self.site, self.patience = site, patience
        self.name = f"mo-canary-{os.urandom(16).hex()}.php"
        self._token = os.urandom(16).hex()
        self.digest = sha256(self._token.encode()).hexdigest()
        self.facts: Seen | None = None
        self.how = ""
        self.ms = 0
        self._release = ""
        self._began = 0.0
        self._wrong = ""
        self._renewed = False
        self._asked_to_renew = False
        self._helped = 0.0

    def answer(self, values: Sequence[str], renewed: int) -> str:
        """The answer to ``@probe runtime`` or ``@probe running RELEASE TURN [TOKEN]``; ``renewed``: processes so far.
        ``TOKEN`` passes the maintenance window."""
        if values[0] == "runtime":
            return self.before()
        release, turn, token = (*values[1:], "", "", "")[:3]
        return self.after(release, int(turn), renewed, {"X-Mo-Probe": token} if token else {})

    def before(self) -> str:
        """Asked while the former release is live: ``ok``, ``inconclusive``, or why no release could be made live here."""
        try:
            seen = self._ask(time.monotonic() + min(self.patience, 10.0), {})
        except Unanswered:
            return "inconclusive"
        if isinstance(seen, str):
            return "fail " + seen if "source" in seen else "inconclusive"
        self.facts = seen
        if method(seen) is None:
            return (
                "fail PHP keeps what it has compiled for ever (opcache.validate_timestamps=0) and lets no site clear it (opcache_reset is "
                "disabled); expected one of them otherwise; nothing was changed; ask the hoster, or set opcache.validate_timestamps=1 in "
                "the panel's PHP settings"
            )
        return "ok"

    def after(self, release: str, turn: int, renewed: int, headers: dict[str, str]) -> str:
        """Asked once ``release`` is at its place: ``ok``, ``renew`` (processes) or ``expire`` (files' times too) for the host program to do
        before it asks again, or ``fail`` with what runs instead. ``turn`` counts its questions from 0; ``renewed``: processes so far."""
        if turn == 0 or release != self._release:
            self._release, self._began, self._wrong = release, time.monotonic(), ""
            self._renewed = self._asked_to_renew = False
            self._helped = self._began + EXPIRE_SECONDS
        self._renewed = self._renewed or renewed > 0
        deadline = self._began + self.patience
        while True:
            facts = self.facts
            way = RESET if facts is None else method(facts)
            later = deadline + min(facts.ttl if facts else 0, MAX_TTL)
            if way == RESET:
                answer = self._resetting(deadline, headers)
            elif way in (RENEW, CLEAR):
                answer = self._renewing(later, turn, headers)
            else:
                answer = self._expiring(later, turn, headers)
            if answer == "again":
                continue
            if answer == "ok":
                self.ms = max(1, round((time.monotonic() - self._began) * 1000))
            return answer

    def _resetting(self, deadline: float, headers: dict[str, str]) -> str:
        """OPcache may be cleared: one call does it for all processes, which forget where links led with it."""
        if not self.how or self.how == CLEAR:
            self.how = RESET
        row = 0
        clear = True
        while time.monotonic() < deadline:
            known = self.facts is not None
            seen = self._try(deadline, {**headers, **({"X-Mo-Clear": "1"} if clear else {})})
            if seen is not None and not known and method(seen) != RESET:
                return "again"
            if seen is not None and seen.release == self._release:
                clear, row = False, row + 1
                if row > IN_A_ROW and (not seen.pending or self._renewed):
                    return "ok"
                if row <= IN_A_ROW:
                    continue
            else:
                row, clear = 0, True
            if help_ := self._help(seen):
                return help_
            time.sleep(PAUSE_SECONDS)
        return self._failed()

    def _help(self, seen: Seen | None) -> str:
        """What the host program is to do where clearing is not enough, or comes too late; empty: to wait. A process that remembers a folder
        which is gone answers nothing, so nothing makes it forget.
        """
        now = time.monotonic()
        facts = seen or self.facts
        if (facts is None or facts.sapi == "fpm-fcgi") and not self._asked_to_renew and now > self._began + PENDING_SECONDS:
            self._asked_to_renew, self.how = True, RENEW
            return "renew"
        if seen is not None and seen.release != self._release and seen.timestamps and now > self._helped + EXPIRE_SECONDS:
            self._helped, self.how = now, EXPIRE
            return "expire"
        return ""

    def _renewing(self, deadline: float, turn: int, headers: dict[str, str]) -> str:
        """No OPcache: each process only remembers where links led, and clears that itself when it is asked."""
        if turn == 0 and self.facts is not None and self.facts.sapi == "fpm-fcgi":
            return "renew"
        self.how = RENEW if self._renewed else CLEAR
        return self._rounds(deadline, headers) or self._failed()

    def _expiring(self, deadline: float, turn: int, headers: dict[str, str]) -> str:
        """OPcache that nobody may clear looks at files' times: of the file that it compiled, which is the former release's."""
        if turn == 0:
            return "expire"
        self.how = EXPIRE
        until = time.monotonic() + EXPIRE_SECONDS
        while time.monotonic() < min(until, deadline):
            if self._rounds(min(until, deadline), headers):
                return "ok"
        return "expire" if time.monotonic() < deadline else self._failed()

    def _rounds(self, deadline: float, headers: dict[str, str]) -> str:
        """``ok`` where two rounds of questions side by side were all answered by the release before ``deadline``, else empty."""
        right = 0
        while time.monotonic() < deadline:
            answers = self._side_by_side(deadline, {**headers, "X-Mo-Clear": "1", "X-Mo-Hold": str(HOLD_MS)})
            right = right + 1 if all(seen is not None and seen.release == self._release for seen in answers) else 0
            if right >= 2:
                return "ok"
            time.sleep(PAUSE_SECONDS)
        return ""

    def _side_by_side(self, deadline: float, headers: dict[str, str]) -> list[Seen | None]:
        import threading  # as few steps need it

        answers: list[Seen | None] = [None] * SIDE_BY_SIDE

        def ask(at: int) -> None:
            site = Site(self.site.edge, self.site.domain)
            answers[at] = self._try(deadline, headers, site)
            site.close()

        threads = [threading.Thread(target=ask, args=(at,)) for at in range(SIDE_BY_SIDE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def _try(self, deadline: float, headers: dict[str, str], site: Site | None = None) -> Seen | None:
        try:
            seen = self._ask(deadline, headers, site)
        except Unanswered as error:
            self._wrong = f"gives no answer: {error}"
            return None
        if isinstance(seen, str):
            self._wrong = seen
            return None
        self.facts = seen
        if seen.release != self._release:
            self._wrong = f"is run from the release {printable(seen.release)[:40]}"
        return seen

    def _ask(self, deadline: float, headers: dict[str, str], site: Site | None = None) -> Seen | str:
        answer = (site or self.site).get(f"/{self.name}", deadline, {"X-Mo-Canary": self._token, **headers})
        return _read(answer)

    def _failed(self) -> str:
        return (
            f"fail PHP does not run the release {self._release}: /mo-canary-….php, which lies in it, {self._wrong or 'does not answer'} "
            f"(asked for {time.monotonic() - self._began:.0f} s); docs/activation.md"
        )


def _read(answer: Answer) -> Seen | str:
    """What the canary told, or what is wrong with the answer."""
    if b"@$_SERVER" in answer.body or answer.body.lstrip().startswith(b"<?php"):
        return "is served as source, so PHP is not run"
    if answer.status != 200:
        return f"answers {answer.status} instead of 200"
    try:
        return Seen(jsontext.loads(answer.body))
    except (ValueError, KeyError, TypeError, RecursionError):
        return "does not answer with its own words"
