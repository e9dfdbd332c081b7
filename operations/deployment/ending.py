"""How a run ends: its issue, the incident, the Lighthouse figures, the report, n8n, and the journal's last line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from components import artefacts
from operations import left_out, notify, report, statuspage, todo, verdicts
from operations.deployment import checks
from operations.deployment.here import Here
from operations.deployment.outcome import Failure, Outcome
from operations.deployment.session import Session
from operations.github_issues import of as issues_of
from operations.progress import Progress
from operations.validation.smoke import Answer

AFTER_ROLLBACK = "smoke after rollback"
ISSUE, INCIDENT, LIGHTHOUSE_ISSUE, CLOSED = "issue", "incident", "lighthouse issue", "issue closed"


@dataclass(frozen=True)
class Kind:
    """What is to be told. ``before``: the releases before the run; ``went_back``: why it took itself back; ``failures``: the services that
    the update left behind; ``verdict``: the last line."""

    message: str
    before: Mapping[str, str]
    progress: Progress
    good: bool
    went_back: str | None = None
    name: str = "deployment"
    failures: tuple[Failure, ...] = ()
    verdict: str = ""


def open_issue(here: Here, session: Session, moves: Mapping[str, tuple[str | None, str]]) -> None:
    """The deployment's issue, at its beginning. GitHub's refusal is a word, and no failure."""
    begun = f"{session.begun:%Y-%m-%dT%H:%M:%SZ}"
    session.phases.carry(ISSUE, lambda: issues_of(here.loaded, here.stack).begin(session.id, begun, moves), show=False)


def end(here: Here, session: Session, kind: Kind, services: tuple[str, ...]) -> None:
    """Tells everybody who is to know, and writes the journal's last line."""
    phases, issues = session.phases, issues_of(here.loaded, here.stack)
    live = here.live(anew=False)
    smoke = phases.named(AFTER_ROLLBACK) or phases.named(checks.SMOKE)
    answers = checks.answers(smoke)
    if answers:
        phases.carry(
            "status page", lambda: statuspage.publish(here.root, here.stack, here.services, live.export, answers), show=False
        )
    lighthouse = phases.named("lighthouse")
    if lighthouse is not None and not lighthouse.ok:
        phases.carry(LIGHTHOUSE_ISSUE, lambda: issues.lighthouse(session.id, lighthouse))
    deployment_issue = number(phases.named(ISSUE))
    if kind.went_back is not None:
        _incident(here, session, kind, live.releases, deployment_issue)
    if kind.good and kind.name == "deployment" and here.settings.todo is not None:
        wish = here.settings.todo.of(here.stack, f"{session.begun:%Y-%m-%d}")
        phases.carry(todo.NAME, lambda: todo.tick(here.source, wish), show=False)
    made: list[report.Report] = []
    phases.carry("report", lambda: _report(here, session, kind, live.releases, answers, made), show=False)
    if deployment_issue is not None and made:
        # An issue may be public: who it was stays in the report.
        text = report.markdown(replace(made[0], who=""))
        phases.carry(CLOSED, lambda: issues.end(deployment_issue, session.id, text, kind.good), show=False)
    text = _sentence(here, kind)
    phases.carry("notify", lambda: _notified(here, kind, services, text), show=False)
    closed = phases.named(CLOSED)
    for name in (ISSUE, CLOSED, "status page", todo.NAME, "notify"):
        outcome = phases.named(name)
        if name == ISSUE and outcome is not None and outcome.ok and closed is not None and closed.ok and closed.details.get("url"):
            phases.show(replace(closed, name=ISSUE))  # what has become of it
        elif outcome is not None and (not outcome.ok or (name == ISSUE and outcome.details.get("url"))):
            phases.show(outcome)
    written = phases.named("report")
    if written is not None:
        here.out.print(f"report: {written.summary}", style="dim" if written.ok else "red", markup=False)
    session.finish(kind.good, text)
    if kind.verdict:
        here.out.print(kind.verdict, style="green" if kind.good else "bold red", markup=False)


def _incident(here: Here, session: Session, kind: Kind, live: Mapping[str, str], deployment: int | None) -> None:
    problems = [o.summary for o in session.phases.outcomes if not o.ok and o.name not in (ISSUE, "notify", "status page")]
    tried = session.phases.named("rollback")
    if tried is not None and tried.ok and tried.details.get("ahead"):
        problems.append(tried.summary)
    moves = tried.details.get("moves", {}) if tried else {}
    shown = {key: (str(pair[0]), str(pair[1])) for key, pair in moves.items()} if isinstance(moves, dict) else {}
    when = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    issues = issues_of(here.loaded, here.stack)
    session.phases.carry(INCIDENT, lambda: issues.incident(session.id, when, str(kind.went_back), shown, problems, deployment))


def _report(
    here: Here,
    session: Session,
    kind: Kind,
    live: Mapping[str, str],
    answers: Mapping[str, Answer],
    made: list[report.Report],
) -> Outcome:
    old, issue = session.resumes, session.phases.named(ISSUE)
    told = report.Report(
        version=report.VERSION,
        stack=here.stack,
        kind=kind.name,
        message=kind.message,
        started=f"{session.begun:%Y-%m-%dT%H:%M:%SZ}",
        seconds=round((datetime.now(UTC) - session.begun).total_seconds(), 1),
        succeeded=kind.good,
        gates=verdicts.quoted(session.phases.named("gates")),
        services=report.service_lines(kind.progress, kind.before, live, answers, kind.failures),
        notes=(*kind.progress.notes, *(f"{name}: {said}" for name, said in left_out.of(here.settings, here.stack).items())),
        errors=tuple(kind.progress.errors),
        run=session.id,
        who=str(session.who),
        commit=artefacts.last_commit(here.root) or "",
        phases=tuple(session.phases.outcomes),
        durations=dict(session.phases.durations),
        resumed=f"{old.id}, which was interrupted {old.where}" if old else None,
        went_back=kind.went_back,
        issue=str(issue.details.get("url")) if issue and issue.details.get("url") else None,
    )
    made.append(told)
    try:
        path = report.write(here.root, told)
    except OSError as error:
        return Outcome("report", False, f"the report cannot be written: {error.strerror} ({error.filename})")
    return Outcome("report", True, str(path.relative_to(here.root)))


def _notified(here: Here, kind: Kind, services: tuple[str, ...], text: str) -> Outcome:
    status: Literal["success", "failure", "rollback"]
    status = "rollback" if kind.name == "rollback" or kind.went_back else "success" if kind.good else "failure"
    commit, branch = artefacts.last_commit(here.root), notify.branch_of(here.root / here.settings.source)
    return notify.notify(here.loaded, notify.Event(here.stack, status, services, branch, commit, text))


def _sentence(here: Here, kind: Kind) -> str:
    if kind.went_back is not None and kind.name == "deployment":
        return f"{kind.message}: taken back, because {kind.went_back}"
    return f"{kind.message}: {'done' if kind.good else 'failed'}"


def number(outcome: Outcome | None) -> int | None:
    """The issue's number in an outcome."""
    found = outcome.details.get("number") if outcome else None
    return found if isinstance(found, int) else None
