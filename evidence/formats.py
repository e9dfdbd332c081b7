"""Which reader reads which file for which gate, and whose reports a gate takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import BinaryIO

from evidence import (
    accessibility,
    codacy,
    coverage,
    cyclonedx,
    eslint,
    github_alerts,
    gitleaks,
    jscpd,
    junit,
    lighthouse,
    own,
    phpstan,
    playwright,
    sarif,
    trivy,
)
from evidence.model import Reading, ReportError

Reader = Callable[[str, BinaryIO], Reading]
"""Takes a report's name and its bytes, gives what it says; raises ``ReportError`` where it says nothing."""

_LIGHTHOUSE: Mapping[str, Reader] = {".json": lighthouse.read}

READERS: Mapping[str, Mapping[str, Reader]] = {
    "trivy": {".json": trivy.read, ".sarif": partial(sarif.read, tool="Trivy")},
    "gitleaks": {".json": gitleaks.read, ".sarif": partial(sarif.read, tool="gitleaks")},
    "dependabot": {".json": github_alerts.read_dependabot},
    "code-scanning": {".json": github_alerts.read_code_scanning},
    "sbom": {".json": cyclonedx.read},
    "attestation": {".json": own.read},
    "codacy": {".json": codacy.read, ".sarif": codacy.refuse_sarif},
    "duplication": {".json": jscpd.read},
    "eslint": {".json": eslint.read, ".sarif": partial(sarif.read, tool="ESLint")},
    "phpstan": {".json": phpstan.read},
    "phpstan-level": {".json": phpstan.read},
    "unit-tests": {".xml": junit.read},
    "integration-tests": {".xml": junit.read},
    "e2e-tests": {".xml": junit.read, ".json": playwright.read},
    "coverage": {".xml": coverage.read_xml, ".info": coverage.read_lcov, ".json": coverage.read_json},
    "lighthouse-performance": _LIGHTHOUSE,
    "lighthouse-accessibility": _LIGHTHOUSE,
    "lighthouse-best-practices": _LIGHTHOUSE,
    "lighthouse-seo": _LIGHTHOUSE,
    "personal-data": {".json": own.read},
    "wcag": {".json": accessibility.read},
    "consent": {".json": own.read},
    "privacy-policy": {".json": own.read},
}
"""Readers by gate and by the file's ending."""


def reader(gate: str, name: str) -> Reader:
    """The reader of the file ``name`` for ``gate``. Raises ``ReportError`` where there is none."""
    ending = name[name.rfind(".") :].lower()
    try:
        return READERS[gate][ending]
    except KeyError:
        raise ReportError("wrong-tool", f"has the ending {ending}, which no reader of the gate {gate} takes") from None
