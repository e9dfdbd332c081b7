"""CycloneDX JSON (``SBOM.json``): its components, and vulnerabilities of high or critical severity that it tells of."""

from __future__ import annotations

from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.report import moment


def read(name: str, stream: BinaryIO) -> Reading:
    """``count`` is the number of components; a vulnerability counts once, by its worst rating, unless analysis found it not to affect."""
    top: dict[str, Any] = {}
    components = severe = 0
    ratings: set[str] = set()
    identifier = state = tool = version = ""
    findings: list[str] = []
    for path, kind, value in jsonstream.events(stream, "start_map"):
        if path in ("bomFormat", "specVersion", "metadata.timestamp"):
            top[path] = value
        elif path == "components.item" and kind == "start_map":
            components += 1
        elif path in ("metadata.tools.components.item.name", "metadata.tools.item.name") and kind == "string":
            tool = tool or value[:60]
        elif path in ("metadata.tools.components.item.version", "metadata.tools.item.version") and kind == "string":
            version = version or value[:60]
        elif path == "vulnerabilities.item":
            if kind == "start_map":
                ratings, identifier, state = set(), "", ""
            elif (
                kind == "end_map" and ratings & {"high", "critical"} and state not in ("not_affected", "false_positive", "resolved")
            ):
                severe += 1
                if len(findings) < MAX_FINDINGS:
                    findings.append(identifier or "a vulnerability")
        elif path == "vulnerabilities.item.id":
            identifier = str(value)[:60]
        elif path == "vulnerabilities.item.analysis.state":
            state = str(value)
        elif path == "vulnerabilities.item.ratings.item.severity":
            ratings.add(str(value).lower())
    if top.get("bomFormat") != "CycloneDX" or not isinstance(top.get("specVersion"), str):
        raise ReportError("wrong-tool", "is no CycloneDX bill of materials")
    return Reading(
        tool=tool,
        figures={"severe": Figure(severe, components, tuple(findings))},
        version=version or None,
        time=moment(top.get("metadata.timestamp")),
    )
