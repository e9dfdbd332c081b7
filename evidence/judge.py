"""Judges evidence against the thresholds: one verdict a gate; and shapes it as the inputs of the ``QualityGate`` component."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from catalog.settings import GateSettings
from evidence.gates import GATES, Gate
from evidence.model import Evidence
from evidence.waivers import Waiver, find


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says. ``figure`` is its worst report's, ``None`` where there is none; ``report`` where to look; ``reason`` one sentence,
    empty on a plain pass."""

    name: str
    group: str
    verdict: Literal["pass", "fail", "waived"]
    figure: float | None
    threshold: str
    report: str
    reason: str
    waiver: str = ""
    """Of a waived one: by whom, until when, why."""
    remarks: tuple[str, ...] = ()
    """What people should know although it fails nothing: skipped tests, checks that a person has to decide."""


def judge(
    evidence: Sequence[Evidence],
    thresholds: Mapping[str, Gate] = GATES,
    waivers: Sequence[Waiver] = (),
    *,
    commit: str = "",
    now: datetime | None = None,
) -> list[Verdict]:
    """One verdict for each gate that ``evidence`` speaks for: every report of a gate must pass by itself; the worst one speaks."""
    when = now or datetime.now(UTC)
    return [_verdict(thresholds[name], reports, waivers, commit, when) for name, reports in _by_gate(evidence).items()]


def _by_gate(evidence: Iterable[Evidence]) -> dict[str, list[Evidence]]:
    result: dict[str, list[Evidence]] = {}
    for entry in evidence:
        result.setdefault(entry.gate, []).append(entry)
    return result


def _verdict(gate: Gate, reports: list[Evidence], waivers: Sequence[Waiver], commit: str, now: datetime) -> Verdict:
    worst = min(reports, key=lambda entry: _standing(gate, entry))
    threshold = f"{'≤' if gate.comparison == '<=' else '≥'} {gate.threshold:g}"
    if worst.problem is None and worst.figure is not None and gate.passes(worst.figure):
        remarks = tuple(f"{entry.report}: {remark}" for entry in reports for remark in entry.remarks)
        return Verdict(gate.name, gate.group, "pass", worst.figure, threshold, worst.report, "", remarks=remarks)
    reason = explain(gate, worst)
    waiver = find(waivers, gate.name, commit, now) if gate.waivable else None
    # A report that proves nothing cannot be waived: nobody knows what it would let through.
    if waiver is not None and all(entry.problem is None for entry in reports):
        by = f"{waiver.author} until {waiver.until:%Y-%m-%d %H:%M} UTC: {waiver.reason}"
        return Verdict(gate.name, gate.group, "waived", worst.figure, threshold, worst.report, f"{reason}; waived by {by}", by)
    return Verdict(gate.name, gate.group, "fail", worst.figure, threshold, worst.report, reason)


def _standing(gate: Gate, entry: Evidence) -> tuple[int, float]:
    """Sorts the worst report first: problems, then figures by distance from the threshold."""
    if entry.problem is not None or entry.figure is None:
        return (0, 0.0)
    return (1, -entry.figure if gate.comparison == "<=" else entry.figure)


def explain(gate: Gate, entry: Evidence) -> str:
    """Why a report fails its gate, in one sentence that names gate, figure, threshold and where to look."""
    if entry.problem is not None:
        return f"{gate.name}: {entry.report} {entry.detail}" if entry.problem != "missing" else f"{gate.name}: {entry.detail}"
    found = f"; first: {', '.join(entry.findings[:3])}" if entry.findings else ""
    said = gate.sentence(entry.figure) if entry.figure is not None else "there is no figure"
    return f"{gate.name}: {said} (see {entry.report}){found}"


def inputs(
    evidence: Sequence[Evidence],
    settings: GateSettings,
    commit: str,
    waivers: Sequence[Waiver] = (),
    rollback: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """The inputs of ``mo:deploy:QualityGate``: the same for the same commit and reports, whenever it is asked."""
    when = now or datetime.now(UTC)
    gates = []
    for name, reports in _by_gate(evidence).items():
        gate = GATES[name]
        waiver = find(waivers, name, commit, when)
        gates.append(
            {
                "name": name,
                "group": gate.group,
                "comparison": gate.comparison,
                "threshold": gate.threshold,
                "waiver": None if waiver is None else {**waiver.model_dump(mode="json"), "expires": waiver.until.isoformat()},
                "reports": [_report(entry) for entry in reports],
            }
        )
    return {
        "commit": commit,
        "required": list(settings.required),
        "maxAgeHours": settings.max_age_hours,
        "rollback": dict(rollback) if rollback else None,
        "gates": gates,
    }


def _report(entry: Evidence) -> dict[str, Any]:
    origin = entry.provenance
    return {
        "path": entry.report,
        "digest": origin.digest,
        "tool": origin.tool,
        "toolVersion": origin.version,
        "commit": origin.commit,
        "time": origin.time.isoformat(timespec="seconds") if origin.time else None,
        "uncommitted": origin.uncommitted,
        "figure": entry.figure,
        "count": entry.count,
        "problem": entry.problem,
        "detail": entry.detail or None,
    }
