"""One update of a stack, as ``deploy``, ``rollback`` and ``demo`` make it: configuration, progress, smoke tests, summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from catalog.models import Service
from catalog.settings import GateSettings
from components import artefacts
from evidence import collect, judge, waivers
from operations import display, project, release_set, report
from operations.engine import Engine
from operations.problem import Problem
from operations.progress import Progress
from operations.project import StackFile
from operations.validation import smoke
from operations.validation.smoke import Answer


@dataclass
class Update:
    """One update. ``changes``: what its configuration sets besides the stack's file (``releases``, ``rollback``)."""

    engine: Engine
    file: StackFile
    services: Mapping[str, Service]
    changes: Mapping[str, Any]
    out: Console
    before: Mapping[str, str] = field(default_factory=dict)

    def preview(self) -> Progress:
        """Shows what would change. Raises ``Problem`` where the program or the gates refuse."""
        progress = Progress.of(self.services)
        with self._config() as config, self.out.status("Looking at the host and the gates …"):
            outcome = self.engine.preview(config, progress)
        display.plan(self.out, progress)
        if not outcome.ok:
            raise Problem("\n".join(progress.errors) or outcome.error or "The preview failed.")
        return progress

    def up(self, message: str) -> Result:
        """Makes it so, shows the progress, asks every service, shows the summary.

        Raises ``Problem`` where another update has changed what is live: the release set of this one would take it back.
        """
        self._refuse_outdated()
        begun = datetime.now(UTC)
        progress = Progress.of(self.services)
        screen = display.Screen(self.out, progress, self.services)
        with self._config() as config, screen.shown():
            outcome = self.engine.up(config, message, screen)
        if not outcome.ok and not any(entry.failed for entry in progress.services.values()) and not progress.errors:
            progress.errors.append(outcome.error or "The update failed.")
        live = release_set.live(self.engine.resources())
        answers = self._smoke(live)
        moves = release_set.changes(self.before, self.changes.get("releases") or {})
        display.summary(self.out, progress, moves, live.releases, answers)
        result = Result(outcome.ok, progress, answers, live.releases)
        written = report.write(self.engine.root, self._report(result, message, begun))
        self.out.print(f"report: {written.relative_to(self.engine.root)}", style="dim", markup=False)
        return result

    def _refuse_outdated(self) -> None:
        now = release_set.live(self.engine.resources()).releases
        moved = sorted(key for key in {*now, *self.before} if now.get(key) != self.before.get(key))
        if moved:
            raise Problem(
                f"Another update has changed {', '.join(moved)} since this one was planned, and this one would take that back; "
                "nothing was changed. Run the command again."
            )

    def _report(self, result: Result, message: str, begun: datetime) -> report.Report:
        return report.Report(
            version=1,
            stack=self.engine.name,
            kind="rollback" if "rollback" in self.changes else "deployment",
            message=message,
            started=begun.strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=round((datetime.now(UTC) - begun).total_seconds(), 1),
            succeeded=result.good,
            gates=self._gates(),
            services=report.service_lines(result.progress, self.before, result.live, result.answers),
            notes=tuple(result.progress.notes),
            errors=tuple(result.progress.errors),
        )

    def _gates(self) -> tuple[report.GateLine, ...]:
        """The gates' verdicts now, as the program judged them some seconds ago; none where the reports cannot be judged."""
        settings = GateSettings.model_validate(self.file.settings.get("gates") or {})
        commit = artefacts.last_commit(self.engine.root)
        try:
            evidence = collect.collect(settings, self.engine.root, commit or "")
            verdicts = judge.judge(evidence, waivers=waivers.load(self.engine.root / "waivers.yaml"), commit=commit or "")
        except (collect.UnknownGateError, waivers.WaiverError):
            return ()
        return tuple(report.GateLine(v.name, v.verdict, v.figure, v.threshold, v.reason) for v in verdicts)

    def _smoke(self, live: release_set.Live) -> dict[str, Answer]:
        deployed = {key: service for key, service in self.services.items() if key in live.releases}
        domain = str(self.file.settings.get("domain"))
        return smoke.ask(self.engine.root, self.engine.name, domain, deployed, live.releases)

    def _config(self) -> _Temporary:
        return _Temporary(project.temporary_config(self.file, self.changes, self.engine.root / ".mo" / self.engine.name))


@dataclass(frozen=True)
class Result:
    """How an update ended. ``live``: service → release after it."""

    ok: bool
    progress: Progress
    answers: Mapping[str, Answer]
    live: Mapping[str, str]

    @property
    def good(self) -> bool:
        """Whether the engine succeeded and every deployed service answers."""
        return self.ok and all(answer.ok for answer in self.answers.values())


@dataclass(frozen=True)
class _Temporary:
    path: Path

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)
