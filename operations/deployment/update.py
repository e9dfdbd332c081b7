"""One update of a stack through the engine: its temporary configuration, its progress, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from operations import display, project, release_set, waiting
from operations.deployment import failures
from operations.deployment.here import Here
from operations.deployment.outcome import Failure, Outcome
from operations.problem import Problem
from operations.progress import Progress, ServiceProgress
from operations.release_set import Live
from operations.wording import counted


@dataclass
class Update:
    """One update. ``changes``: what its configuration sets besides the stack's file (``releases``, ``rollback``); ``before``: what was live
    when it was planned."""

    here: Here
    changes: Mapping[str, Any]
    before: Mapping[str, str] = field(default_factory=dict)

    def preview(self, *, verbose: bool = False) -> Progress:
        """Shows what would change; ``verbose``: every file. Raises ``Problem`` where the program or the gates refuse."""
        progress = Progress.of(self.here.services)
        with self._config() as config, self._waits(), self.here.out.status("Looking at the host and the gates …"):
            outcome = self.here.engine.preview(config, progress, verbose=verbose)
        if not outcome.ok:
            raise Problem("\n".join(told_once(progress.errors)) or outcome.error or "The preview failed.")
        return progress

    def apply(self, message: str) -> Applied:
        """Makes it so and shows the progress.

        Raises ``Problem`` where another update has changed what is live: the release set of this one would take it back. Ends the command
        (``typer.Exit``) where the engine was killed.
        """
        self._refuse_outdated()
        progress = Progress.of(self.here.services)
        screen = display.Screen(self.here.out, progress, self.here.services)
        with self._config() as config, self._waits(), screen.shown():
            outcome = self.here.engine.up(config, message, screen)
        if outcome.cut:
            # Nothing is to be judged by a state that was not written. Left so, the run counts as interrupted.
            said = (
                "✗ The engine of this update ended before it was done (killed?). What was under way on the host ends by itself, and "
                f"nothing was taken back: bin/mo deploy --resume --stack {self.here.stack} goes on, bin/mo rollback goes back."
            )
            self.here.out.print(said, style="red", markup=False)
            raise typer.Exit(1)
        if not outcome.ok and not any(entry.failed for entry in progress.services.values()) and not progress.errors:
            progress.errors.append(outcome.error or "The update failed.")
        if any(entry.errors for entry in progress.services.values()):
            # The program's own words for a service's failed step, with the SDK's traceback: the service has said it better.
            progress.errors = [text for text in progress.errors if "ResourceRegistrationFailed" not in text]
        live = self.here.live()
        moves = release_set.changes(self.before, self.changes.get("releases") or {})
        return Applied(outcome.ok, progress, live, failures.of_update(self.here.services, progress, moves, live.releases))

    def _refuse_outdated(self) -> None:
        now, wanted = self.here.live().releases, self.changes.get("releases") or {}
        # What is live as planned, or as meant already: an interrupted run may have come to it.
        moved = sorted(k for k in {*now, *self.before} if now.get(k) not in (self.before.get(k), wanted.get(k)))
        if moved:
            raise Problem(
                f"Another update has changed {', '.join(moved)} since this one was planned, and this one would take that back; "
                "nothing was changed. Run the command again."
            )

    def _waits(self) -> AbstractContextManager[None]:
        return waiting.shown(self.here.out, self.here.root / ".mo" / self.here.stack)

    def _config(self) -> _Temporary:
        folder = self.here.root / ".mo" / self.here.stack
        return _Temporary(project.temporary_config(self.here.file, self.changes, folder))


@dataclass(frozen=True)
class Applied:
    """How an update ended. ``ok``: what the engine says; ``live``: after it; ``failures``: the services that it left behind, and why."""

    ok: bool
    progress: Progress
    live: Live
    failures: tuple[Failure, ...] = ()

    @property
    def changed(self) -> list[str]:
        """The services of which something was made or changed, or tried."""
        return [entry.service for entry in self.progress.services.values() if entry.changed or entry.failed]

    def outcome(self, name: str) -> Outcome:
        """For journal and report. A service that is live and fails its health check is a reason to take it back; one that is not live has
        been put back by the host already."""
        entries = self.progress.services.values()
        failed = [entry.service for entry in entries if entry.failed]
        ill = tuple(failure.service for failure in self.failures if failure.live and failure.step == "health")
        said = f"{counted(len(self.changed), 'service')} changed" if self.changed else "no service changed"
        problems = [*(f"{e.service}: {x.removeprefix(e.service + ': ')}" for e in entries for x in e.errors), *self.progress.errors]
        problems += [f"{failure.service}: {failure.sentence}" for failure in self.failures if failure.because != "failed"]
        if not self.ok:
            said = f"{len(failed)} of {counted(len(self.changed), 'service')} failed" if failed else "the update failed"
        why = f"the health check of {', '.join(ill)} failed" if ill else None
        summary = "; ".join([said, *(p.splitlines()[0] for p in problems if p)])
        return Outcome(name, self.ok, summary, _plain(self.progress), why, ill, self.failures)


GATES_STOP = "The quality gates stop this deploy"
"""What the program says of red gates, each on a line of its own (components/quality_gate.py)."""


def told_once(errors: list[str]) -> list[str]:
    """What a preview was refused for: of a red gate, of which the program tells, the policy pack's own words are left out, and the way out
    is added."""
    told = next((text for text in errors if text.startswith(GATES_STOP)), None)
    if told is None:
        return errors
    gates = [line.strip().partition(":")[0] for line in told.splitlines()[1:]]
    others = [text for text in errors if not (text.startswith("Policy gates-") and any(f" {gate}: " in text for gate in gates))]
    return [*others, "Make the reports anew: bin/mo gates --run. What stays red is mended, or waived (docs/gates.md)."]


def _plain(progress: Progress) -> dict[str, Any]:
    """A progress as JSON, for the journal: with it an interrupted run's report can still be written."""
    return {
        "services": {
            key: {"steps": entry.steps, "results": entry.results, "errors": entry.errors, "seconds": round(entry.seconds, 3)}
            for key, entry in progress.services.items()
            if entry.changed or entry.failed
        },
        "notes": progress.notes,
        "errors": progress.errors,
        "changes": progress.changes,
    }


def progress_of(outcome: Outcome | None, services: Mapping[str, Any]) -> Progress:
    """The progress in an outcome's details; one of nothing where there is none, or where somebody has changed the journal."""
    progress = Progress.of(services)
    found = outcome.details if outcome else {}
    try:
        for key, told in found.get("services", {}).items():
            if key in progress.services:
                entry = ServiceProgress(key, dict(told["steps"]), dict(told["results"]), [str(one) for one in told["errors"]])
                entry.started, entry.ended = 0.0, float(told["seconds"])
                progress.services[key] = entry
        progress.notes = [str(one) for one in found.get("notes", ())]
        progress.errors = [str(one) for one in found.get("errors", ())]
    except (AttributeError, KeyError, TypeError, ValueError):
        return Progress.of(services)
    return progress


@dataclass(frozen=True)
class _Temporary:
    path: Path

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)
