"""CycloneDX JSON (``SBOM.json``): its components, and vulnerabilities of high or critical severity that it tells of.

Fields: https://cyclonedx.org/docs/1.6/json/ (``vulnerabilities[].ratings[]``: score, severity, method; all of them optional).
"""

from __future__ import annotations

from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.jsonstream import mapping
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.report import moment
from evidence.severity import is_severe


def read(name: str, stream: BinaryIO) -> Reading:
    """``count`` is the number of components; a vulnerability counts once, by its worst rating, unless analysis found it not to affect."""
    top: dict[str, Any] = {}
    components = severe = vulnerabilities = 0
    tool = version = ""
    findings: list[str] = []
    source = jsonstream.events(stream, "start_map")
    for path, kind, value in source:
        if path in ("bomFormat", "specVersion", "metadata.timestamp"):
            top[path] = value
        elif path == "components.item" and kind == "start_map":
            components += 1
        elif path in ("metadata.tools.components.item.name", "metadata.tools.item.name") and kind == "string":
            tool = tool or value[:60]
        elif path in ("metadata.tools.components.item.version", "metadata.tools.item.version") and kind == "string":
            version = version or value[:60]
        elif path == "vulnerabilities.item" and kind == "start_map":
            entry = jsonstream.whole_object(source)
            vulnerabilities += 1
            if _is_severe(entry):
                severe += 1
                if len(findings) < MAX_FINDINGS:
                    findings.append(str(entry.get("id") or "a vulnerability")[:60])
    if top.get("bomFormat") != "CycloneDX" or not isinstance(top.get("specVersion"), str):
        raise ReportError("wrong-tool", "is not a CycloneDX bill of materials")
    return Reading(
        tool=tool,
        figures={"severe": Figure(severe, components, tuple(findings))},
        failed=vulnerabilities,
        held=components,
        version=version or None,
        time=moment(top.get("metadata.timestamp")),
    )


def _is_severe(entry: dict[str, Any]) -> bool:
    """Whether a vulnerability's worst rating is severe; one without a rating is. What was analysed and found not to affect is none."""
    analysis = entry.get("analysis")
    if isinstance(analysis, dict) and analysis.get("state") in (
        "not_affected",
        "false_positive",
        "resolved",
        "resolved_with_pedigree",
    ):
        return False
    ratings = [mapping(rating, "a rating") for rating in entry.get("ratings") or ()]
    return not ratings or any(is_severe([rating.get("severity")], [rating.get("score")]) for rating in ratings)
