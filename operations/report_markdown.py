"""The report of an update as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from components.plan import size
from operations.wording import counted

if TYPE_CHECKING:
    from operations.deployment.outcome import Outcome
    from operations.report import Report, ServiceLine


def markdown(report: Report) -> str:
    """The whole report, also of an update that failed or went back."""
    ended = "succeeded" if report.succeeded else "FAILED"
    if report.went_back is not None:
        ended += ", rolled back"
    text = [
        f"# {report.kind.capitalize()} of {report.stack}, {report.started}: {ended}",
        "",
        f"{report.message}. {report.seconds:.0f} s.",
    ]
    head = [f"- {title}: {value}" for title, value in _head(report)]
    text += ["", *head] if head else []
    if report.went_back is not None:
        text += ["", "## Rollback", "", _went_back(report)]
    if report.phases:
        text += [
            "",
            "## Phases",
            "",
            *table(("phase", "result", "s", "summary"), [_phase(report, phase) for phase in report.phases]),
        ]
    heading = ("service", "release", "files", "size", "migrations", "snapshot", "s", "HTTP", "ms")
    text += ["", "## Services", "", *table(heading, [_service(line) for line in report.services]), "", *_sums(report)]
    problems = [f"- **{line.service}**: {problem}" for line in report.services for problem in line.problems]
    problems += [f"- {error.splitlines()[0]}" for error in report.errors if error.strip()]
    text += ["", "## Problems", "", *(problems or ["None."])]
    gates = [(g.name, g.verdict, "" if g.figure is None else f"{g.figure:g}", g.threshold, g.reason) for g in report.gates]
    judged = (
        table(("gate", "verdict", "figure", "threshold", "reason"), gates) if gates else ["None: a rollback passes the gates once."]
    )
    text += ["", "## Quality gates", "", *judged]
    waived = [f"- {g.name}: waived by {g.waiver}" for g in report.gates if g.verdict == "waived"]
    text += ["", "## Waivers", "", *(waived or ["None."])]
    text += [line for phase in report.phases for line in _details(phase)]
    if report.notes:
        text += ["", "## Notes", "", *(f"- {note}" for note in report.notes)]
    return "\n".join(text) + "\n"


def _head(report: Report) -> Iterator[tuple[str, str]]:
    for title, value in (("by", report.who), ("run", report.run), ("commit", report.commit), ("issue", report.issue or "")):
        if value:
            yield title, value
    if report.resumed:
        yield "resumed", report.resumed


def _went_back(report: Report) -> str:
    """Why it went back, with the services where not all went: of a rollback that was asked for, or of a deployment that took some back."""
    phase = report.outcome("rollback")
    moves = phase.details.get("moves") if phase and (report.kind == "rollback" or phase.reverts) else None
    names = list(moves) if isinstance(moves, dict) else []
    if not names or len(names) == len(report.services):
        return f"Everything went back to the former releases because {report.went_back}."
    releases = "its former release" if len(names) == 1 else "their former releases"
    return f"{', '.join(names)} went back to {releases} because {report.went_back}."


def _phase(report: Report, phase: Outcome) -> tuple[str, ...]:
    seconds = report.durations.get(phase.name)
    return (phase.name, phase.word, "" if seconds is None else f"{seconds:.1f}", phase.summary)


def _service(line: ServiceLine) -> tuple[str, ...]:
    release = line.new or "none"
    if line.changed and line.old != line.new:
        release = f"{line.old or 'none'} → {release}"
    if line.version:
        release += f" (version {line.version})"
    if line.activation_ms is not None:
        release += f" (activation {line.activation_ms / 1000:.1f} s)"
    return (
        line.service,
        release,
        str(line.files or ""),
        size(line.bytes) if line.bytes else "",
        ", ".join(line.migrations),
        line.snapshot or "",
        f"{line.seconds:.1f}" if line.changed else "",
        str(line.status or "none") + (" (files only)" if line.files_only else ""),
        str(line.milliseconds or ""),
    )


def _sums(report: Report) -> list[str]:
    changed = sum(line.changed for line in report.services)
    files, sent = sum(line.files or 0 for line in report.services), sum(line.bytes or 0 for line in report.services)
    migrations = sum(len(line.migrations) for line in report.services)
    snapshots = sum(line.snapshot is not None for line in report.services)
    counts = [counted(files, "file"), counted(migrations, "migration"), counted(snapshots, "snapshot")]
    done = ", ".join([counts[0], size(sent), *counts[1:]])
    return [f"{changed} of {len(report.services)} services changed: {done}."]


def _details(phase: Outcome) -> Iterator[str]:
    """What a validating phase found, as a table; nothing for other phases."""
    found = phase.details
    if phase.name == "end-to-end" and isinstance(found.get("flows"), list):
        flows = [(f["title"], f["state"], f"{f['seconds']:.1f}", f["problem"], ", ".join(f["files"])) for f in found["flows"]]
        yield from ("", "## End-to-end flows", "", *table(("flow", "result", "s", "problem", "pictures and videos"), flows))
    elif phase.name == "visual" and isinstance(found.get("pages"), list):
        pages = [(p["name"], p["state"], _number(p["percent"]), p["problem"], ", ".join(p["files"])) for p in found["pages"]]
        yield from ("", "## Pictures of the frontend", "", *table(("page", "result", "% changed", "problem", "pictures"), pages))
    elif phase.name == "lighthouse" and isinstance(found.get("pages"), list):
        names = list(found.get("thresholds") or ())
        rows = [("at least", *(f"{value:g}" for value in found["thresholds"].values()), "")] if names else []
        rows += [(p["service"], *(_number(p["scores"].get(name)) for name in names), p["problem"]) for p in found["pages"]]
        yield from ("", "## Lighthouse", "", *table(("service", *names, "problem"), rows))
    elif phase.name == "smoke" and isinstance(found.get("answers"), list):
        times = sorted(answer["milliseconds"] for answer in found["answers"] if answer["milliseconds"] is not None)
        worst = f" Slowest answer: {times[-1]} ms." if times else ""
        yield from ("", "## Smoke tests", "", f"{phase.summary}.{worst}")


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else ""


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; no cell can break it."""

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"

    return [row(heading), "|" + " --- |" * len(heading), *(row(cells) for cells in rows)]
