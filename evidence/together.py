"""What only all reports of a gate together can tell: whether every part of a run is there, and the union of what they cover."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from evidence.file import Judged
from evidence.gates import Gate
from evidence.lines import Lines, TooManyLinesError, in_both, union
from evidence.model import Evidence


def of_gate(gate: Gate, found: Sequence[Judged]) -> Iterable[Evidence]:
    """The evidence of a gate's files, judged as one."""
    evidence = _united(gate, _all_parts(found)) if gate.union else [entry.evidence for entry in _all_parts(found)]
    yield from evidence


def _all_parts(found: Sequence[Judged]) -> list[Judged]:
    """A report of one part of a run proves nothing unless every other part lies beside it."""
    parts: dict[int, list[int]] = defaultdict(list)
    for entry in found:
        if entry.report is not None and (shard := entry.report.shard) is not None:
            parts[shard[1]].append(shard[0])
    result = []
    for entry in found:
        shard = entry.report.shard if entry.report is not None else None
        evidence = entry.evidence
        if shard is None or evidence.problem is not None:
            result.append(entry)
            continue
        current, total = shard
        lacking = sorted(set(range(1, total + 1)) - set(parts[total]))
        if lacking or total < 1 or not 1 <= current <= total or len(parts[total]) != total:
            what = f"; there is no report of part {', '.join(map(str, lacking[:5]))}" if lacking else ""
            detail = f"is part {current} of {total} of a run (--shard){what}: add the reports of all parts, or merge them"
            evidence = replace(evidence, problem="incomplete", detail=detail)
        result.append(replace(entry, evidence=evidence))
    return result


def _united(gate: Gate, found: Sequence[Judged]) -> list[Evidence]:
    """Each report with the figure of all of them: a line is covered where any report says so, and no file counts twice. Reports that prove
    nothing keep their own figure; they fail the gate anyway."""
    sound = [entry for entry in found if entry.evidence.problem is None]
    parts: list[Lines] = [entry.report.reading.lines for entry in sound if entry.report and entry.report.reading.lines is not None]
    if len(parts) < 2 or len(parts) < len(sound):
        return [entry.evidence for entry in found]
    for index, part in enumerate(parts):
        for other in parts[:index]:
            if (path := in_both(part, other)) is not None:
                return [_twice(entry, path) for entry in found]
    try:
        covered, lines = union(parts).total()
    except TooManyLinesError as error:
        return [replace(entry.evidence, problem="too-large", detail=f"{error}, with the other reports") for entry in found]
    figure = 100.0 * covered / lines if lines else 0.0
    return [
        replace(entry.evidence, figure=figure, count=lines) if entry.evidence.problem is None else entry.evidence for entry in found
    ]


def _twice(entry: Judged, path: str) -> Evidence:
    detail = f"and another report both cover {path[-100:]}, and one of them has only a total for it: keep only LCOV or coverage-final.json"
    return entry.evidence if entry.evidence.problem else replace(entry.evidence, problem="incomplete", detail=detail)
