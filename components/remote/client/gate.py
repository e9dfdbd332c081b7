"""The step ``gate``: judges the quality gates' figures once more, on this machine, without a connection."""

from __future__ import annotations

from .failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """The names of the gates that were judged. Fails where a required gate has no passing figure for the commit; a rollback passes."""
    figures = request.get("figures")
    if not isinstance(figures, dict) or not isinstance(figures.get("gates"), list):
        raise Failure("The request of the step gate has no figures; it was not made by this program.")
    commit = str(figures.get("commit") or "")
    rollback = figures.get("rollback")
    named = {str(gate.get("name")): gate for gate in figures["gates"] if isinstance(gate, dict)}
    red = [problem for name in figures.get("required", []) if (problem := _problem(str(name), named.get(str(name)), commit))]
    if red and not rollback:
        raise Failure(f"The quality gates stop this deploy: {'; '.join(red)}. Nothing was changed.")
    return {"commit": commit, "gates": sorted(named), "rollback": bool(rollback)}


def _problem(name: str, gate: dict[str, Any] | None, commit: str) -> str | None:
    """Why a gate is red; ``None`` where each of its reports passes, or misses by its figure alone and is waived for this commit."""
    reports = gate.get("reports") if gate else None
    if gate is None or not isinstance(reports, list) or not reports:
        return f"{name}: no report"
    waiver = gate.get("waiver")
    waived = isinstance(waiver, dict) and waiver.get("commit") in (None, commit)
    for report in reports:
        if report.get("problem"):
            return f"{name}: {report.get('detail') or report['problem']}"
        figure, threshold = report.get("figure"), gate.get("threshold")
        if not _number(figure) or not _number(threshold):
            return f"{name}: {report.get('path')} gives no figure"
        good = figure <= threshold if gate.get("comparison") == "<=" else figure >= threshold
        if not good and not waived:
            return f"{name}: {figure:g}, {gate.get('comparison')} {threshold:g} needed (see {report.get('path')})"
    return None


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
