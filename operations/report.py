"""The report of one update: ``quality-reports/deployment-<date>.md``, the same as JSON, and one line for the trends."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.plan import size
from operations.progress import Progress
from operations.validation.smoke import Answer

FOLDER = "quality-reports"
TRENDS = "deployments.jsonl"


@dataclass(frozen=True)
class GateLine:
    """One gate's verdict at the time of the update."""

    name: str
    verdict: str
    figure: float | None
    threshold: str
    reason: str


@dataclass(frozen=True)
class ServiceLine:
    """One service. ``old``, ``new``: releases; ``seconds``: of its steps in this update; ``status``: what its URL answered afterwards."""

    service: str
    old: str | None
    new: str | None
    changed: bool
    files: int | None
    bytes: int | None
    migrations: tuple[str, ...]
    snapshot: str | None
    seconds: float
    status: int | None
    milliseconds: int | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """One update. Times are UTC, ISO 8601."""

    version: int
    stack: str
    kind: str
    message: str
    started: str
    seconds: float
    succeeded: bool
    gates: tuple[GateLine, ...]
    services: tuple[ServiceLine, ...]
    notes: tuple[str, ...]
    errors: tuple[str, ...]


def service_lines(
    progress: Progress, before: Mapping[str, str], live: Mapping[str, str], answers: Mapping[str, Answer]
) -> tuple[ServiceLine, ...]:
    """The services of an update that has ended."""

    def line(service: str) -> ServiceLine:
        entry, answer = progress.services[service], answers.get(service)
        stage, switch = entry.results.get("stage", {}), entry.results.get("switch", {})
        said = [*entry.errors, *([answer.problem] if answer and answer.problem else [])]
        return ServiceLine(
            service=service,
            old=before.get(service),
            new=live.get(service),
            changed=entry.changed,
            files=stage.get("files"),
            bytes=stage.get("bytes"),
            migrations=tuple(map(str, switch.get("migrations") or ())),
            snapshot=switch.get("snapshot"),
            seconds=round(entry.seconds, 1),
            status=answer.status if answer else None,
            milliseconds=answer.milliseconds if answer else None,
            problems=tuple(dict.fromkeys(said)),
        )

    return tuple(line(service) for service in progress.services)


def write(root: Path, report: Report) -> Path:
    """Writes the report beside those of the same day and gives the Markdown's path."""
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    name = _free_name(folder, f"deployment-{report.started[:10]}")
    data = asdict(report)
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")
    target = folder / f"{name}.md"
    target.write_text(markdown(report))
    with (folder / TRENDS).open("a") as trends:
        trends.write(json.dumps(trend(report), sort_keys=True) + "\n")
    return target


def _free_name(folder: Path, wish: str) -> str:
    """``wish``, or ``wish-2`` and so on; taken at once, so that two updates never write the same report."""
    number = 1
    while True:
        name = wish if number == 1 else f"{wish}-{number}"
        try:
            os.close(os.open(folder / f"{name}.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            number += 1
        else:
            return name


def trend(report: Report) -> dict[str, Any]:
    """The figures of an update that are kept for trends."""
    answered = [line for line in report.services if line.status is not None]
    return {
        "stack": report.stack,
        "kind": report.kind,
        "started": report.started,
        "seconds": report.seconds,
        "succeeded": report.succeeded,
        "services": len(report.services),
        "changed": sum(line.changed for line in report.services),
        "failed": sum(bool(line.problems) for line in report.services),
        "migrations": sum(len(line.migrations) for line in report.services),
        "http200": sum(line.status == 200 for line in answered),
        "bytes": sum(line.bytes or 0 for line in report.services),
    }


def markdown(report: Report) -> str:
    """The report as a person reads it."""
    ended = "succeeded" if report.succeeded else "FAILED"
    text = [
        f"# {report.kind.capitalize()} of {report.stack}, {report.started}: {ended}",
        "",
        f"{report.message}. {report.seconds:.0f} s.",
        "",
        "## Services",
        "",
        *_table(
            ("service", "release", "files", "size", "migrations", "snapshot", "s", "HTTP", "ms"),
            [_service(line) for line in report.services],
        ),
    ]
    problems = [f"- **{line.service}**: {problem}" for line in report.services for problem in line.problems]
    problems += [f"- {error.splitlines()[0]}" for error in report.errors]
    text += ["", "## Problems", "", *(problems or ["None."])]
    gates = [(g.name, g.verdict, "" if g.figure is None else f"{g.figure:g}", g.threshold, g.reason) for g in report.gates]
    text += ["", "## Quality gates", "", *_table(("gate", "verdict", "figure", "threshold", "reason"), gates)]
    if report.notes:
        text += ["", "## Notes", "", *(f"- {note}" for note in report.notes)]
    return "\n".join(text) + "\n"


def _service(line: ServiceLine) -> tuple[str, ...]:
    release = line.new or "none"
    if line.changed and line.old != line.new:
        release = f"{line.old or 'none'} → {release}"
    return (
        line.service,
        release,
        str(line.files or ""),
        size(line.bytes) if line.bytes else "",
        ", ".join(line.migrations),
        line.snapshot or "",
        f"{line.seconds:.1f}" if line.changed else "",
        str(line.status or "none"),
        str(line.milliseconds or ""),
    )


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [row(heading), "|" + " --- |" * len(heading), *(row(cells) for cells in rows)]
