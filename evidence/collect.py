"""Collects the evidence of a set of gates from the reports folder. Whatever is wrong with a report becomes a problem of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from catalog.settings import GateSettings
from evidence import expected, file, together
from evidence.file import Judged
from evidence.gates import GATES, Gate
from evidence.model import About, Evidence, ReportError
from evidence.report import NOTE_SUFFIX
from evidence.soundness import Demand


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
        raise UnknownGateError(f"mo:gates.required names {unknown[0]!r}, which is not a gate; the gates are {', '.join(GATES)}")
    folder = reports if reports is not None else project_dir / settings.reports
    demand = Demand(commit, about, now or datetime.now(UTC), timedelta(hours=settings.max_age_hours), settings.allow_uncommitted)
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
    gate: Gate, folder: Path, shown: str, demand: Demand, expectation: Mapping[str, Mapping[str, str]] | ReportError
) -> Iterable[Evidence]:
    """Every report that there is, and a problem for each that there should be."""
    files = report_files(gate, folder)
    found = [file.judged(gate, path, f"{shown}/{path.relative_to(folder).as_posix()}", demand) for path in files]
    yield from together.of_gate(gate, _about_the_stack(found, demand.about) if gate.of_host else found)
    wanted = {} if isinstance(expectation, ReportError) else expectation.get(gate.name, {})
    for name, who in wanted.items():
        if not (folder / name).is_file():
            text = f"there is no report of {who} for this commit; it must write {name} to {shown}"
            yield _absent(gate, f"{shown}/{name}", text)
    if not files and not wanted:
        text = f"there is no report for this commit; {gate.made_by} must write {' or '.join(gate.files)} to {shown}"
        yield _absent(gate, f"{shown}/{gate.files[0]}", text)
    elif isinstance(expectation, ReportError):
        place = f"{shown}/{expected.NAME}"
        said = f"{place} {expectation.sentence}" if expectation.kind == "missing" else expectation.sentence
        yield Evidence(gate.name, place, problem=expectation.kind, detail=said)
    elif not wanted:
        yield _absent(gate, f"{shown}/{expected.NAME}", f"{shown}/{expected.NAME} lists no report for this gate")


def _about_the_stack(found: list[Judged], stack: About) -> list[Judged]:
    """Of reports about hosts, those that count for ``stack``: its own ones, where there are any. A report about another stack is no
    evidence here, and no fault either: the reports of all stacks lie in one folder. One that does not say what it is about always
    counts."""
    apart = {id(entry) for entry in found if _is_apart(entry.evidence.provenance.about, stack)}
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
