"""Collects the evidence of a set of gates from the reports folder. Whatever is wrong with a report becomes a problem of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from catalog.settings import GateSettings
from evidence import expected
from evidence.formats import reader
from evidence.gates import GATES, Gate
from evidence.model import NOWHERE, About, Evidence, Figure, ProblemKind, Provenance, Reading, ReportError
from evidence.report import NOTE_SUFFIX, Note, load_note, opened

_NO_VERSION = re.compile(r"^\s*(fallback.*|unknown|none|null|undefined|n/?a|-|v?0+(\.0+)*([-+].*)?)?\s*$", re.IGNORECASE)
_CLOCK = timedelta(minutes=5)
"""How far a report's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class _Demand:
    """What a report must be: of this commit, about this stack's host where its gate is about one, ``limit`` old at most."""

    commit: str
    about: About
    now: datetime
    limit: timedelta
    allow_uncommitted: bool


class UnknownGateError(ValueError):
    """A gate that the settings require and nobody knows."""


def collect(
    settings: GateSettings,
    project_dir: Path,
    commit: str,
    about: About,
    *,
    reports: Path | None = None,
    now: datetime | None = None,
) -> list[Evidence]:
    """The evidence of every gate that ``settings`` require, at least one entry each, in the specification's order.

    ``commit`` is what is to be deployed, ``about`` where (without a host where the settings are not complete: none is compared
    then); ``reports`` overrides the settings' folder.
    Raises ``UnknownGateError`` for a gate that does not exist.
    """
    unknown = [name for name in settings.required if name not in GATES]
    if unknown:
        raise UnknownGateError(f"mo:gates.required names {unknown[0]!r}, which is no gate; the gates are {', '.join(GATES)}")
    folder = reports if reports is not None else project_dir / settings.reports
    demand = _Demand(commit, about, now or datetime.now(UTC), timedelta(hours=settings.max_age_hours), settings.allow_uncommitted)
    result: list[Evidence] = []
    wanted: Mapping[str, Mapping[str, str]] | ReportError
    try:
        wanted = expected.load(folder, commit)
    except ReportError as error:
        wanted = error
    for gate in GATES.values():
        if gate.name in settings.required:
            result.extend(_of_gate(gate, folder, _shown(folder, project_dir), demand, wanted))
    return result


def _shown(folder: Path, project_dir: Path) -> str:
    try:
        return folder.resolve().relative_to(project_dir.resolve()).as_posix()
    except ValueError:
        return folder.as_posix()


def _of_gate(
    gate: Gate, folder: Path, shown: str, demand: _Demand, expectation: Mapping[str, Mapping[str, str]] | ReportError
) -> Iterable[Evidence]:
    """Every report that there is, and a problem for each that there should be."""
    files = report_files(gate, folder)
    found = [_of_file(gate, path, f"{shown}/{path.relative_to(folder).as_posix()}", demand) for path in files]
    yield from _about_the_stack(found, demand.about) if gate.of_host else found
    wanted = {} if isinstance(expectation, ReportError) else expectation.get(gate.name, {})
    for name, who in wanted.items():
        if not (folder / name).is_file():
            text = f"there is no report of {who}, which must run for this commit and leave {name} in {shown}"
            yield _absent(gate, f"{shown}/{name}", text)
    if not files and not wanted:
        text = f"there is no report; {gate.made_by} must run for this commit and leave {' or '.join(gate.files)} in {shown}"
        yield _absent(gate, f"{shown}/{gate.files[0]}", text)
    elif isinstance(expectation, ReportError):
        place = f"{shown}/{expected.NAME}"
        said = f"{place} {expectation.sentence}" if expectation.kind == "missing" else expectation.sentence
        yield Evidence(gate.name, place, problem=expectation.kind, detail=said)
    elif not wanted:
        yield _absent(
            gate, f"{shown}/{expected.NAME}", f"{shown}/{expected.NAME} names nothing in the monorepo that reports for it"
        )


def _about_the_stack(found: list[Evidence], stack: About) -> list[Evidence]:
    """Of reports about hosts, those that count for ``stack``: its own ones, where there are any. A report about another stack is no
    evidence here, and no fault either: the reports of all stacks lie in one folder. One that does not say what it is about always
    counts."""
    apart = {id(entry) for entry in found if _is_apart(entry.provenance.about, stack)}
    return [entry for entry in found if id(entry) not in apart] if len(apart) < len(found) else found


def _is_apart(about: About, stack: About) -> bool:
    """Whether a report names another host than the stack's, or another stack."""
    return bool(about.host and stack.host and about.host != stack.host) or bool(about.stack and about.stack != stack.stack)


def _absent(gate: Gate, report: str, detail: str) -> Evidence:
    return Evidence(gate=gate.name, report=report, problem="missing", detail=detail)


def report_files(gate: Gate, folder: Path) -> list[Path]:
    """The files of ``folder`` that speak for ``gate``, sorted; no notes, no single runs that a Lighthouse CI manifest sums up."""
    found = {
        path
        for pattern in (*gate.files, *gate.refused)
        for path in folder.glob(pattern)
        if path.is_file() and not path.name.endswith(NOTE_SUFFIX)
    }
    for manifest in [path for path in found if path.name == "manifest.json"]:
        found -= {manifest.parent / name for name in _listed(manifest)}
    if ".lighthouseci/*.json" in gate.files:
        found -= {
            path for path in found if path.parent.name == ".lighthouseci" and path.name in ("links.json", "assertion-results.json")
        }
    return sorted(found)


def _listed(manifest: Path) -> Sequence[str]:
    try:
        entries = json.loads(manifest.read_bytes())
        return [Path(entry["jsonPath"]).name for entry in entries]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ()  # the manifest's own reader says what is wrong with it


def _of_file(gate: Gate, path: Path, shown: str, demand: _Demand) -> Evidence:
    """Reads one file for one gate: figure and provenance where there are any, and the first problem."""
    digest = ""
    reading: Reading | None = None
    figure: Figure | None = None
    note: Note | None = None
    provenance = Provenance()
    try:
        with opened(path) as report:
            try:
                reading = reader(gate.name, path.name)(path.name, report.stream)
            finally:
                digest = report.digest()
        note = load_note(path)
        provenance = _provenance(reading, note, digest)
        figure = _figure(gate, reading, note)
        _check(gate, figure, provenance, note, demand)
    except ReportError as error:
        return _broken(gate, shown, figure, provenance if reading else Provenance(digest=digest), error.kind, error.sentence)
    except RecursionError:
        return _broken(gate, shown, None, Provenance(digest=digest), "unreadable", "is nested too deeply")
    return Evidence(gate.name, shown, figure.value, figure.count, figure.findings, provenance)


def _broken(gate: Gate, shown: str, figure: Figure | None, provenance: Provenance, kind: ProblemKind, sentence: str) -> Evidence:
    return Evidence(
        gate=gate.name,
        report=shown,
        figure=figure.value if figure else None,
        count=figure.count if figure else None,
        findings=figure.findings if figure else (),
        provenance=provenance,
        problem=kind,
        detail=sentence,
    )


def _provenance(reading: Reading, note: Note | None, digest: str) -> Provenance:
    """What report and note say together. Where both tell a time, the older one counts: a note does not make a report younger."""
    times = [time for time in (reading.time, note.time.astimezone(UTC) if note else None) if time is not None]
    return Provenance(
        tool=reading.tool or (note.tool if note else ""),
        version=reading.version or (note.tool_version if note else ""),
        commit=reading.commit or (note.commit if note else ""),
        time=min(times, default=None),
        digest=digest,
        uncommitted=reading.uncommitted or (note is not None and note.dirty),
        about=_about(reading, note),
    )


def _about(reading: Reading, note: Note | None) -> About:
    """What the report is about: by itself, else by its note. Raises ``ReportError`` where they disagree."""
    noted = About(note.about.stack, note.about.host) if note is not None and note.about is not None else NOWHERE
    if NOWHERE not in (reading.about, noted) and reading.about != noted:
        raise ReportError("other-host", f"says that it is about {reading.about.host}, and its note about {noted.host}")
    return noted if reading.about == NOWHERE else reading.about


def _figure(gate: Gate, reading: Reading, note: Note | None) -> Figure:
    figure = reading.figures.get(gate.measure)
    if figure is None and note is not None and gate.measure in note.measures:
        figure = Figure(note.measures[gate.measure])
    if figure is None:
        raise ReportError("no-provenance", f"does not say its {gate.measure}, and neither does a note beside it")
    if figure.count is None and note is not None and note.count is not None:
        figure = Figure(figure.value, note.count, figure.findings)
    return figure


def _check(gate: Gate, figure: Figure, origin: Provenance, note: Note | None, demand: _Demand) -> None:
    """Raises ``ReportError`` for the first reason why a readable report proves nothing for what is demanded."""
    commit, now, limit = demand.commit, demand.now, demand.limit
    if note is not None and note.sha256 != origin.digest:
        raise ReportError("altered", "is not the file that its note was written for: their SHA-256 differ")
    # Settings that are not complete name no host to compare with; none deploys by them.
    if gate.of_host and demand.about.host and origin.about.host != demand.about.host:
        raise ReportError("other-host", _elsewhere(gate, origin.about, demand.about))
    if not origin.tool:
        raise ReportError("no-provenance", "does not say which tool wrote it, and no note beside it does")
    if "fallback" in origin.tool.lower() or _NO_VERSION.match(origin.version):
        raise ReportError(
            "fallback" if origin.version else "no-provenance",
            f"comes from {origin.tool} {origin.version or 'of no known version'}: a wrapper's stand-in is no run of the tool",
        )
    if gate.counts and figure.count is None:
        raise ReportError("no-provenance", f"does not say how many {gate.counted} were looked at, and no note beside it does")
    if gate.counts and figure.count == 0:
        raise ReportError("nothing-checked", f"looked at 0 {gate.counted}")
    if not origin.commit:
        raise ReportError("no-provenance", "does not say for which commit it was made, and no note beside it does")
    if note is not None and not _same(note.commit, origin.commit):
        raise ReportError("other-commit", f"was made for commit {origin.commit[:12]}, its note says {note.commit[:12]}")
    if not commit or not _same(origin.commit, commit):
        raise ReportError("other-commit", f"was made for commit {origin.commit[:12]}, not for {commit[:12] or 'one that is known'}")
    if origin.uncommitted and not demand.allow_uncommitted:
        raise ReportError("uncommitted", f"was made with changes that commit {origin.commit[:12]} does not hold")
    if origin.time is None:
        raise ReportError("no-provenance", "does not say when it was made, and no note beside it does")
    if origin.time > now + _CLOCK:
        raise ReportError("future", f"was made at {origin.time:%Y-%m-%d %H:%M} UTC, which is still to come: a clock is wrong")
    if now - origin.time > limit:
        hours = int((now - origin.time).total_seconds() // 3600)
        raise ReportError("stale", f"is {hours} hours old, {int(limit.total_seconds() // 3600)} are allowed")


def _elsewhere(gate: Gate, about: About, stack: About) -> str:
    """Which host a report is about, which one it should be about, and how to get a report about that one."""
    told = f"{about.host}{f' (stack {about.stack})' if about.stack else ''}" if about.host else "no host that it names"
    option = f" --stack {stack.stack}" if stack.stack else ""
    return f"is about {told}, not about {stack.host}; make the report about it: bin/mo gates{option} --run --only {gate.name}"


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower() and len(one) >= 40
