"""One file for one gate: read, with its note, and judged by the rule of ``evidence.soundness``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

from evidence import shapes, soundness
from evidence.formats import reader
from evidence.gates import GATES, Gate
from evidence.model import Evidence, Figure, ProblemKind, Provenance, Reading, ReportError
from evidence.report import Note, load_note, opened
from evidence.soundness import Demand, Report


@dataclass(frozen=True, slots=True)
class Judged:
    """``report`` is ``None`` where the file could not be read."""

    evidence: Evidence
    report: Report | None = None


def judged(gate: Gate, path: Path, shown: str, demand: Demand) -> Judged:
    """Reads one file for one gate: figure and provenance where there are any, and the first problem."""
    digest = ""
    reading: Reading | None = None
    figure: Figure | None = None
    origin = Provenance()
    report: Report | None = None
    try:
        reading, digest = _read(gate.name, path)
        note = load_note(path)
        origin = soundness.provenance(reading, note, digest)
        figure = soundness.figure_of(gate, reading, note)
        report = Report(reading, note, origin, figure, *_failed(path, reading, note))
        soundness.check(gate, report, demand)
    except ReportError as error:
        origin = origin if reading else Provenance(digest=error.digest)
        return Judged(_broken(shown, gate, figure, origin, error.kind, _explained(gate, path, error)), report)
    except RecursionError:
        return Judged(_broken(shown, gate, None, Provenance(digest=digest), "unreadable", "is nested too deeply"))
    remarks = reading.remarks
    return Judged(Evidence(gate.name, shown, figure.value, figure.count, figure.findings, origin, remarks=remarks), report)


def units(path: Path) -> int | None:
    """How many units (files, tests, lines, …) a report holds that a tool just wrote, for its note: a part of it that is cut off later is
    missed then, although what is left is a report of the same format. ``None`` where its format or its content does not say."""
    gate = _gate_of(path.name)
    try:
        return _read(gate, path)[0].held if gate is not None else None
    except (ReportError, RecursionError):
        return None  # its gate says what is wrong with it


def _gate_of(name: str) -> str | None:
    """The first gate that reads files with this name."""
    return next((gate.name for gate in GATES.values() for pattern in gate.files if PurePath(name).match(pattern)), None)


def _read(gate: str, path: Path) -> tuple[Reading, str]:
    """What the reader found, and the file's digest. A ``ReportError`` carries the digest too."""
    with opened(path) as report:
        try:
            if path.suffix.lower() != ".xml":  # XML says by itself how it is encoded
                report.refuse_wide()
            reading = reader(gate, path.name)(path.name, report.stream)
        except ReportError as error:
            error.digest = report.digest()
            raise
        return reading, report.digest()


def _failed(path: Path, reading: Reading, note: Note | None) -> tuple[int, tuple[str, ...]]:
    """How many failures a report shows, or another one of the same run (a coverage report does not report the tests that failed
    meanwhile), and the names under which the tool that ran may be known."""
    names = (reading.tool, note.tool if note else "")
    if reading.failed or note is None or not note.exit_code:
        return reading.failed, names
    for name in note.same_run:
        other = path.with_name(PurePath(name).name)
        gate = _gate_of(other.name)
        if gate is None or other == path:
            continue
        try:
            beside, digest = _read(gate, other)
            its_note = load_note(other)
        except (ReportError, RecursionError):
            continue  # its own gate says what is wrong with it
        if its_note is not None and (its_note.sha256, its_note.exit_code) == (digest, note.exit_code) and beside.failed:
            return beside.failed, (beside.tool, its_note.tool)
    return 0, names


def _explained(gate: Gate, path: Path, error: ReportError) -> str:
    """The problem's sentence. Of a file that is not what its gate reads: what it is instead, and how to make the right one."""
    if error.kind != "wrong-tool":
        return error.sentence
    try:
        with path.open("rb") as stream:
            tool = shapes.named(stream)
    except OSError:
        tool = None
    looks = f" (it looks like {tool})" if tool is not None else ""
    return f"{error.sentence}{looks}; make it with: {gate.make}"


def _broken(shown: str, gate: Gate, figure: Figure | None, origin: Provenance, kind: ProblemKind, sentence: str) -> Evidence:
    return Evidence(
        gate=gate.name,
        report=shown,
        figure=figure.value if figure else None,
        count=figure.count if figure else None,
        findings=figure.findings if figure else (),
        provenance=origin,
        problem=kind,
        detail=sentence,
    )
