"""Trivy's JSON (``trivy --format json``): vulnerabilities, misconfigurations and secrets of HIGH or CRITICAL severity."""

from __future__ import annotations

from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.report import moment

_KNOWN = {"UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"}
_LISTS = ("Vulnerabilities", "Misconfigurations", "Secrets")
_NAMES = {
    "Results.item.Vulnerabilities.item.VulnerabilityID": "",
    "Results.item.Misconfigurations.item.ID": "",
    "Results.item.Secrets.item.RuleID": "",
}


def read(name: str, stream: BinaryIO) -> Reading:
    """``count`` is the number of targets; a severity that Trivy does not have counts as severe."""
    top: dict[str, Any] = {}
    severe = targets = severities = entries = 0
    place = identifier = ""
    findings: list[str] = []
    for path, kind, value in jsonstream.events(stream, "start_map"):
        if path == "Results.item" and kind == "start_map":
            targets += 1
        elif path == "Results.item.Target" and kind == "string":
            place = value[:150]
        elif path in _NAMES and kind == "string":
            identifier = value[:60]
        elif kind == "start_map" and path in {f"Results.item.{part}.item" for part in _LISTS}:
            entries += 1
            identifier = ""
        elif path.endswith(".item.Severity") and path.startswith("Results.item.") and path.count(".") == 4:
            severities += 1
            if value in ("HIGH", "CRITICAL") or value not in _KNOWN:
                severe += 1
                if len(findings) < MAX_FINDINGS:
                    findings.append(f"{identifier or value} in {place}")
        elif path in ("SchemaVersion", "CreatedAt", "ArtifactType", "Trivy.Version"):
            top[path] = value
    if top.get("SchemaVersion") != 2 or "ArtifactType" not in top:
        raise ReportError("wrong-tool", "is no Trivy report of schema 2 (SchemaVersion, ArtifactType)")
    if severities < entries:
        raise ReportError("unreadable", f"holds {entries} entries and the severity of {severities} of them")
    return Reading(
        tool="Trivy",
        figures={"severe": Figure(severe, targets, tuple(findings))},
        version=jsonstream.text(top.get("Trivy.Version")),
        time=moment(top.get("CreatedAt")),
    )
