"""How a stack stands: what is live by the stack's state, what the host and the public URLs say, who works on it, what was interrupted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components import facts as host_facts
from components.facts import FactsError, RunFacts
from operations import drifts, maintenance, project, records, release_set, remote
from operations.deployment import host_journals
from operations.deployment import journal as journals
from operations.deployment import lock as locks
from operations.deployment.journal import Run
from operations.deployment.lock import Holder
from operations.maintenance import Closure
from operations.problem import Problem
from operations.records import Record
from operations.release_set import Live
from operations.validation import smoke
from operations.validation.smoke import Answer
from operations.wording import on_one_line

PATIENCE = 10
"""Seconds that a service has for a right answer: nothing has just been switched."""


@dataclass(frozen=True)
class Row:
    """One service. ``since``, ``author``: of the update that made the release live; ``problems``: a wrong answer, and drift;
    ``files_only``: an external service's files are there and its daemon is not; ``version``: as the site tells it; ``closed``: by whom its
    site is closed to visitors; ``left_alone``: what became of a host program that its client left alone, until the next switch."""

    service: str
    release: str | None
    since: str = ""
    author: str = ""
    asked: bool = False
    status: int | None = None
    milliseconds: int | None = None
    bad: bool = False
    problems: tuple[str, ...] = ()
    files_only: bool = False
    version: str | None = None
    closed: Closure | None = None
    left_alone: str | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "service": self.service,
            "release": self.release,
            "deployedAt": self.since or None,
            "by": self.author or None,
            "status": self.status,
            "ms": self.milliseconds,
            "filesOnly": self.files_only,
            "version": self.version,
            "closed": self.closed.plain() if self.closed else None,
            "leftAlone": self.left_alone,
            "problem": "; ".join(self.problems) or None,
        }


@dataclass(frozen=True)
class Standing:
    """``unknown``: what could not be found out, and why; ``cut``: what an update is at work on, or was when it was killed."""

    stack: str
    live: Live
    rows: Sequence[Row]
    holder: Holder | None
    running: Run | None
    unfinished: Run | None
    unknown: Sequence[str] = ()
    cut: Sequence[str] = ()

    @property
    def good(self) -> bool:
        """Every deployed service answers as it must, and nothing waits to be finished."""
        return not any(row.bad for row in self.rows) and self.unfinished is None

    def words(self) -> list[str]:
        """What to know besides the services, a line each."""
        told = list(self.unknown)
        told += [
            f"{row.service}: {row.left_alone}; bin/mo logs {row.service} shows what it did" for row in self.rows if row.left_alone
        ]
        if self.running is not None:
            told.append(f"A {self.running.kind} of {self.running.who} is running: {self.running.id}, {self.running.where}.")
        if (run := self.unfinished) is not None:
            way = "go on with it (bin/mo deploy --resume) or go back (bin/mo rollback --reason '…')"
            if not run.changed:
                way = "nothing was changed by it"
            elif run.overtaken(self.live.releases):
                way = "another update came since, so nothing goes on with it; deploy (bin/mo deploy) or go back (bin/mo rollback) anew"
            told.append(
                f"The {run.kind} {run.id} of {run.who} ({run.message or 'not planned yet'}) was interrupted {run.where}: {way}."
            )
        if self.cut and self.running is None and self.unfinished is None:
            told.append(
                f"At work on {', '.join(self.cut)}: an update that runs now, or one whose engine was killed; then bin/mo deploy does it "
                "again, or bin/mo rollback goes back."
            )
        if self.holder is not None:
            gone = "; who held it was interrupted" if self.holder.expired else ""
            if self.unfinished is not None and self.unfinished.lock == self.holder.id:
                gone = "; its process is gone, and the next command here takes it over"
            told.append(f"Lock: {self.holder}{gone}.")
        return told

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "stack": self.stack,
            "services": [row.plain() for row in self.rows],
            "lock": self.holder.plain() if self.holder else None,
            "running": self.running.plain() if self.running else None,
            "interrupted": self.unfinished.plain() if self.unfinished else None,
            "unknown": list(self.unknown),
            "cut": list(self.cut),
        }


def of(stack: str, only: list[str] | None) -> Standing:
    """Asks the state, the host and every URL. A host out of reach is told among ``unknown``. Raises ``Problem``."""
    from operations.engine import Engine

    file = project.stack_file(stack)
    services = project.chosen(project.services_of(stack, file), only)
    engine = Engine(stack)
    state = engine.state()
    live = release_set.live(state.resources)
    host = remote.connect(engine.root, stack)
    deployed = {key: entry for key, entry in live.entries(services).items() if key in live.releases}
    unknown: list[str] = []
    drifted: dict[str, list[str]] = {}
    holder = None
    elsewhere: set[str] = set()
    cut: set[str] = set()
    closures: dict[str, Closure] = {}
    alone: dict[str, str] = {}
    found = journals.runs(engine.root, stack)
    try:
        asked = host_facts.request(stack, host, deployed, {key: live.releases[key] for key in deployed})
        known = RunFacts(engine.root)(asked)
        closures = {key: how for key in deployed if (how := maintenance.of(known.of(key))) is not None}
        alone = {key: on_one_line(text) for key in deployed if (text := known.of(key).left_alone)}
        differences = drifts.of(deployed, live.releases, known)
        for drift in differences:
            drifted.setdefault(drift.service, []).append(drift.what)
        elsewhere = {drift.service for drift in drifts.elsewhere(differences, known)}
        holder = locks.holder(locks.asker(engine.root, stack))
        found = host_journals.runs(engine.root, stack, holder)
        if holder is None or holder.expired:  # else it may be that one's work
            cut = {drift.service for drift in differences if drift.kind == "cut"}
    except (FactsError, Problem) as error:
        unknown.append(f"The host could not be asked: {error}")
    # Another release is told already; whether it answers is another question.
    wanted = {key: None if key in elsewhere else release for key, release in live.releases.items()}
    answers = smoke.ask(engine.root, stack, str(file.settings.get("domain")), deployed, wanted, PATIENCE)
    history = records.read(engine.history())
    made, wanted_last = authors(history), records.last_wanted(history)
    running, unfinished = journals.running(found), journals.unfinished(found)
    if running is not None and unfinished is not None and running.resumes == unfinished.id:
        unfinished = None  # it is being carried out
    left = not_live(wanted_last, live, services) if running is None else {}
    rows = [
        _row(
            key,
            live,
            answers.get(key),
            [*drifted.get(key, []), *left.get(key, ())],
            made,
            key in elsewhere | cut or key in left,
            closures.get(key),
            alone.get(key),
        )
        for key in services
    ]
    return Standing(stack, live, rows, holder, running, unfinished, tuple(unknown), state.cut)


def _row(
    key: str,
    live: Live,
    answer: Answer | None,
    drifted: Sequence[str],
    made: Mapping[tuple[str, str], str],
    astray: bool,
    closed: Closure | None = None,
    left_alone: str | None = None,
) -> Row:
    """``astray``: whether the host runs another release, or was cut on the way to one."""
    release = live.releases.get(key)
    # Of a site that a person has closed 503 is the right answer.
    meant = closed is not None and closed.program is None
    own = f"{closed}; bin/mo maintenance off {key} opens it" if meant else answer.problem if answer else None
    problems = [*([own] if own else []), *drifted]
    return Row(
        key,
        release,
        live.since.get(key, ""),
        made.get((key, release or ""), ""),
        answer is not None,
        answer.status if answer else None,
        answer.milliseconds if answer else None,
        astray or (answer is not None and not answer.ok),
        tuple(problems),
        answer is not None and answer.files_only,
        answer.version if answer else None,
        closed,
        left_alone,
    )


def not_live(last: Record | None, live: Live, services: Collection[str]) -> dict[str, tuple[str]]:
    """The services that the ``last`` update was to make another release of live, and did not, each with a sentence."""
    if last is None:
        return {}
    return {
        key: (f"its release {release} is not live: update {last.number} of {last.started} failed for it (bin/mo report)",)
        for key, release in (last.releases or {}).items()
        if key in services and live.releases.get(key) != release
    }


def authors(history: Sequence[Record]) -> dict[tuple[str, str], str]:
    """Service and release → who made it live, in the last update that brought it; a rotation brings none."""
    found: dict[tuple[str, str], str] = {}
    before: Mapping[str, str] = {}
    for record in reversed(history):
        for key, release in (record.releases or {}).items():
            if before.get(key) != release and not record.rotation:
                found[key, release] = record.by
        before = record.releases or before
    return found
