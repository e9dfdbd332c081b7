"""Trivy's JSON (``trivy --format json``): vulnerabilities, misconfigurations, secrets and licences of HIGH or CRITICAL severity.

Fields: https://trivy.dev/latest/docs/configuration/reporting/#json, ``pkg/types/report.go``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.report import moment
from evidence.severity import is_severe

_LISTS = {
    "Results.item.Vulnerabilities.item": "VulnerabilityID",
    "Results.item.Misconfigurations.item": "ID",
    "Results.item.Secrets.item": "RuleID",
    "Results.item.Licenses.item": "Name",
}
"""Lists of findings, and what names an entry."""
_PACKAGES = ("os-pkgs", "lang-pkgs")
_TOP = ("SchemaVersion", "CreatedAt", "ArtifactType", "Trivy.Version")


@dataclass
class _Scan:
    top: dict[str, Any] = field(default_factory=dict)
    targets: int = 0
    packages: int = 0
    found: int = 0
    severe: int = 0
    place: str = ""
    findings: list[str] = field(default_factory=list)

    def entry(self, naming: str, entry: dict[str, Any]) -> None:
        """One entry of a list. With ``--include-non-failures`` checks that passed stand there too, with a status that says so."""
        if naming == "ID" and entry.get("Status") in ("PASS", "EXCEPTION"):
            return
        if "Severity" not in entry:
            raise ReportError("unreadable", f"gives no severity of {str(entry.get(naming, 'an entry'))[:60]}")
        self.found += 1
        scores = [
            vendor.get(key)
            for vendor in (entry.get("CVSS") or {}).values()
            if isinstance(vendor, dict)
            for key in ("V3Score", "V40Score")
        ]
        if is_severe([entry["Severity"]], scores):
            self.severe += 1
            if len(self.findings) < MAX_FINDINGS:
                self.findings.append(f"{str(entry.get(naming) or entry['Severity'])[:60]} in {self.place}")


def read(name: str, stream: BinaryIO) -> Reading:
    """``count`` is the number of targets; a severity that Trivy does not know counts by its CVSS score, and without one as severe."""
    scan = _Scan()
    source = jsonstream.events(stream, "start_map")
    for path, kind, value in source:
        if path == "Results.item" and kind == "start_map":
            scan.targets += 1
        elif path == "Results.item.Target" and kind == "string":
            scan.place = value[:150]
        elif path == "Results.item.Class":
            scan.packages += value in _PACKAGES
        elif path in _LISTS and kind == "start_map":
            scan.entry(_LISTS[path], jsonstream.whole_object(source))
        elif path in _TOP:
            scan.top[path] = value
    if scan.top.get("SchemaVersion") != 2 or "ArtifactType" not in scan.top:
        raise ReportError("wrong-tool", "is not a Trivy report of schema 2 (SchemaVersion, ArtifactType)")
    missed = () if scan.packages or not scan.targets else ("any package (no result of class os-pkgs or lang-pkgs)",)
    return Reading(
        tool="Trivy",
        figures={"severe": Figure(scan.severe, scan.targets, tuple(scan.findings))},
        failed=scan.found,
        missed=missed,
        held=scan.targets,
        version=jsonstream.text(scan.top.get("Trivy.Version")),
        time=moment(scan.top.get("CreatedAt")),
    )
