"""The deployment's issue on GitHub, the incident of a rollback, and the figures of a Lighthouse shortfall.

Nothing here fails a deployment: what GitHub refuses becomes an ``Outcome`` that says so. No secret and no personal data goes into a text.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from catalog.settings import GitHubSettings
from catalog.settings_file import Loaded, reveal
from components.remote.client.masking import Mask
from evidence.personal_kinds import Allowed, kinds
from operations.deployment.outcome import Outcome

NAME = "issue"
LABEL, INCIDENT, LIGHTHOUSE = "deployment", "incident", "lighthouse"
_VERSION = "2022-11-28"
_TIMEOUT = 20.0
_WAIT_AT_MOST = 30.0
"""Seconds that a deployment waits for GitHub's rate limit, once; a longer one is not worth it."""
_TRIES = 3
_TEXT_AT_MOST = 60_000


class IssueError(Exception):
    """GitHub did not do it; one sentence with the way out."""


@dataclass(frozen=True)
class Issue:
    """An issue of the repository."""

    number: int
    url: str


def of(loaded: Loaded, stack: str) -> Issues:
    """The issues of a stack's repository, by the stack's own token."""
    token = reveal(loaded.secrets.github_token) or os.environ.get("GITHUB_TOKEN", "")
    return Issues(loaded.settings.github, token, stack, loaded.secrets.texts())


@dataclass
class Issues:
    """``hidden``: texts that must not be published; ``pause`` waits so many seconds."""

    settings: GitHubSettings
    token: str = field(repr=False)
    stack: str
    hidden: Sequence[str] = field(default=(), repr=False)
    pause: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time

    def begin(self, run: str, started: str, moves: Mapping[str, tuple[str | None, str]]) -> Outcome:
        """Opens the deployment's issue. ``started``: ISO 8601; ``moves``: service → old and new release."""
        lines = ["In progress.", "", *_moves(moves)]
        return self._done(
            lambda: self._opened(f"Deployment of {self.stack}, {started}", lines, [LABEL, self.stack], f"run {run}"), "opened"
        )

    def end(self, number: int, run: str, text: str, succeeded: bool) -> Outcome:
        """Puts the report into the deployment's issue, and closes it after a good deployment. ``text``: Markdown."""
        body = self._body(text.splitlines(), f"run {run}")
        changes: dict[str, Any] = {"body": body}
        if succeeded:
            changes |= {"state": "closed", "state_reason": "completed"}
        else:
            changes |= {"labels": [LABEL, self.stack, "failed"]}
        return self._done(
            lambda: _issue(self._asked("PATCH", f"issues/{number}", changes)), "closed" if succeeded else "updated; it stays open"
        )

    def incident(
        self,
        run: str,
        time_: str,
        reason: str,
        moves: Mapping[str, tuple[str | None, str]],
        problems: Iterable[str] = (),
        issue: int | None = None,
    ) -> Outcome:
        """Opens the incident of a rollback. ``moves``: service → the release left and the one gone back to; ``issue``: the deployment's."""
        lines = [f"Rolled back because {reason}.", ""]
        if issue is not None:
            lines += [f"Deployment: #{issue}", ""]
        lines += [*_moves(moves), "", "## What went wrong", "", *([f"- {one}" for one in problems] or ["See the report."])]
        lines += ["", "## To do", "", "- [ ] Find the cause (docs/runbook.md)", "- [ ] Deploy the repair", "- [ ] Close this issue"]
        title = f"Incident: {self.stack} rolled back, {time_}"
        return self._done(lambda: self._opened(title, lines, [INCIDENT, self.stack], f"incident {run}"), "opened")

    def lighthouse(self, run: str, found: Outcome) -> Outcome:
        """Tells of pages below their scores: a comment where an issue on that is open, else a new one. Does nothing without a shortfall."""
        pages = [page for page in found.details.get("pages", ()) if page.get("shortfalls") or page.get("problem")]
        if not pages:
            return Outcome(NAME, True, "Lighthouse: nothing to tell")
        least = found.details.get("thresholds", {})
        lines = ["Pages below their Lighthouse scores after a deployment.", "", "| service | " + " | ".join(least) + " | |"]
        lines += [
            "|" + " --- |" * (len(least) + 2),
            "| at least | " + " | ".join(f"{value:g}" for value in least.values()) + " | |",
        ]
        for page in pages:
            scores = [f"{page['scores'][name]:g}" if name in page["scores"] else "" for name in least]
            lines.append(f"| {page['service']} | {' | '.join(scores)} | {page.get('problem', '')} |")
        lines += ["", "The figures and Lighthouse's own reports are in the deployment's report folder."]

        def told() -> Issue:
            known = self._known(LIGHTHOUSE, f"lighthouse {self.stack}")
            if known is None:
                return self._opened(
                    f"Lighthouse: {self.stack} falls short", lines, [LIGHTHOUSE, self.stack], f"lighthouse {self.stack}"
                )
            self._asked("POST", f"issues/{known.number}/comments", {"body": self._body(lines, f"run {run}")})
            return known

        return self._done(told, "tells of the Lighthouse figures")

    def _done(self, act: Callable[[], Issue], what: str) -> Outcome:
        if not self.token:
            return Outcome(NAME, False, "no issue on GitHub: the stack has no token (mo:githubToken, or GITHUB_TOKEN)")
        try:
            issue = act()
        except IssueError as error:
            return Outcome(NAME, False, f"no issue on GitHub: {error}")
        return Outcome(NAME, True, f"#{issue.number} {what}: {issue.url}", {"number": issue.number, "url": issue.url})

    def _opened(self, title: str, lines: Sequence[str], labels: Sequence[str], mark: str) -> Issue:
        """A new issue, or the one with this mark where an earlier try made it though its answer did not come."""
        body = {"title": clean(title, self.hidden)[:200], "body": self._body(lines, mark), "labels": list(labels)}
        return _issue(self._asked("POST", "issues", body, made=lambda: self._known(labels[0], mark)))

    def _known(self, label: str, mark: str) -> Issue | None:
        """The open issue of this label that bears ``mark``."""
        found = self._asked("GET", f"issues?state=open&labels={label}&per_page=100")
        for entry in found if isinstance(found, list) else ():
            if isinstance(entry, dict) and _mark(mark) in str(entry.get("body")):
                return _issue(entry)
        return None

    def _body(self, lines: Sequence[str], mark: str) -> str:
        text = clean("\n".join(lines), self.hidden)
        if len(text) > _TEXT_AT_MOST:
            text = text[:_TEXT_AT_MOST].rpartition("\n")[0] + "\n\n(cut short; the whole report is with the deployment's files)"
        return f"{text}\n\n{_mark(mark)}"

    def _asked(self, method: str, path: str, body: Any = None, made: Callable[[], Issue | None] | None = None) -> Any:
        """GitHub's answer as JSON. ``made`` finds what a try without an answer may have made all the same. Raises ``IssueError``."""
        said = ""
        waited = False
        for count in range(_TRIES):
            if count and not waited:
                self.pause(0.5 * 2**count)
            if count and made is not None and (known := made()) is not None:
                return {"number": known.number, "html_url": known.url}
            try:
                answer = self._send(method, path, body)
            except httpx.HTTPError as error:
                said, waited = f"it gave no answer ({type(error).__name__})", False
                continue
            if answer.status_code < 300:
                return _json(answer)
            said = self._refusal(answer)
            if (limit := _limit(answer, self.now())) is not None:
                if waited or limit > _WAIT_AT_MOST:
                    raise IssueError(f"its rate limit asks to wait {limit:.0f} s")
                self.pause(limit)
                waited = True
            elif answer.status_code < 500:
                raise IssueError(said)
        raise IssueError(f"{said}, {_TRIES} times")

    def _send(self, method: str, path: str, body: Any) -> httpx.Response:
        base = (self.settings.base_url or "https://api.github.com/").rstrip("/")
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": _VERSION,
            "User-Agent": "mo-deploy",
        }
        url = f"{base}/repos/{self.settings.owner}/{self.settings.repository}/{path}"
        # No redirect is followed: the token and the text go nowhere but to the address in the settings.
        with httpx.Client(timeout=_TIMEOUT, headers=headers, follow_redirects=False) as client:
            return client.request(method, url, json=body)

    def _refusal(self, answer: httpx.Response) -> str:
        repository = f"{self.settings.owner}/{self.settings.repository}"
        known = {
            401: "the token is not valid (mo:githubToken)",
            403: f"the token may not write issues of {repository} (it needs the permission Issues: write)",
            404: f"there is no repository {repository}, or the token may not see it",
            410: f"issues are switched off in {repository}",
        }
        if answer.status_code in known:
            return known[answer.status_code]
        if 300 <= answer.status_code < 400:
            return f"the repository {repository} has moved: change mo:github"
        told = _json(answer)
        words = str(told.get("message", "")) if isinstance(told, dict) else ""
        return f"it answers {answer.status_code}{': ' + clean(words, self.hidden)[:200] if words else ''}"


def _limit(answer: httpx.Response, now: float) -> float | None:
    """The seconds that GitHub's rate limit asks to wait; ``None`` where it is no such refusal."""
    if answer.status_code not in (403, 429):
        return None
    after = answer.headers.get("Retry-After", "")
    if after.isdigit():
        return float(min(int(after), 86_400))
    reset = answer.headers.get("X-RateLimit-Reset", "")
    if answer.headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit() and len(reset) < 12:
        return max(float(reset) - now, 0.0) + 1
    return 60.0 if answer.status_code == 429 else None


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None


def _issue(entry: Any) -> Issue:
    number = entry.get("number") if isinstance(entry, dict) else None
    url = str(entry.get("html_url", "")) if isinstance(entry, dict) else ""
    if not isinstance(number, int) or isinstance(number, bool):
        raise IssueError("its answer names no issue")
    return Issue(number, url if re.fullmatch(r"https?://[\w./:-]{1,300}", url) else "")


def _mark(text: str) -> str:
    return f"<!-- mo-deploy {text} -->"


def _moves(moves: Mapping[str, tuple[str | None, str]]) -> list[str]:
    rows = [f"| {service} | {old or 'none'} | {new} |" for service, (old, new) in moves.items()]
    return ["| service | from | to |", "| --- | --- | --- |", *rows] if rows else ["No service changes its release."]


def clean(text: str, hidden: Sequence[str] = ()) -> str:
    """``text`` as it may be published: secrets starred, lines with personal data left out, nobody called by ``@name``, no HTML."""
    mask = Mask()
    for secret in hidden:
        mask.know(secret)
    text = mask.text(text)
    allowed = Allowed()
    lines = []
    for line in text.splitlines():
        found = kinds(line, allowed)
        lines.append(f"(a line is left out here: {', '.join(sorted(found))})" if found else line)
    text = "\n".join(lines).replace("<", "&lt;")
    return re.sub(r"@(?=\w)", "@\u200b", text)
