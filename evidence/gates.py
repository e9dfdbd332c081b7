"""The gates of the specification: group, threshold, and which files in the reports folder speak for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Comparison = Literal["<=", ">="]
Group = Literal["security", "quality", "testing", "performance", "compliance"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate. ``measure`` names the figure in the report; ``files`` are patterns relative to the reports folder; ``unit`` and ``counted``
    are words for messages; ``counts`` says whether a report must prove that it looked at more than nothing, ``of_host`` whether it must be
    of the host that is deployed to; ``refused`` are patterns of files that look like evidence and are none: their reader says why."""

    name: str
    group: Group
    measure: str
    comparison: Comparison
    threshold: float
    unit: str
    counted: str
    files: tuple[str, ...]
    made_by: str
    waivable: bool = True
    counts: bool = True
    refused: tuple[str, ...] = ()
    of_host: bool = False

    def passes(self, figure: float) -> bool:
        """Whether ``figure`` is within the threshold."""
        return figure <= self.threshold if self.comparison == "<=" else figure >= self.threshold


def _lighthouse(category: str, threshold: float) -> Gate:
    return Gate(
        f"lighthouse-{category}",
        "performance",
        category,
        ">=",
        threshold,
        "points",
        "pages",
        ("lighthouse*.json", "lighthouse/*.json", ".lighthouseci/*.json"),
        "Lighthouse",
    )


def _tests(kind: str, *files: str) -> Gate:
    return Gate(f"{kind}-tests", "testing", "passed", ">=", 100, "% passed", "tests", files, f"the {kind} tests")


_ALL = (
    Gate("trivy", "security", "severe", "<=", 0, "HIGH or CRITICAL", "targets", ("trivy*.json", "trivy*.sarif"), "Trivy"),
    Gate(
        "gitleaks",
        "security",
        "findings",
        "<=",
        0,
        "secrets",
        "commits",
        ("gitleaks*.json", "gitleaks*.sarif"),
        "Gitleaks",
        waivable=False,
    ),
    Gate(
        "dependabot", "security", "severe", "<=", 0, "HIGH or CRITICAL alerts", "pages", ("dependabot*.json",), "GitHub Dependabot"
    ),
    Gate("code-scanning", "security", "severe", "<=", 0, "alerts", "pages", ("code-scanning*.json",), "GitHub code scanning"),
    Gate("sbom", "security", "severe", "<=", 0, "severe vulnerabilities", "components", ("sbom*.json", "SBOM*.json"), "the build"),
    Gate(
        "attestation",
        "security",
        "mismatches",
        "<=",
        0,
        "mismatches",
        "artefacts",
        ("attestation*.json",),
        "the build",
        waivable=False,
    ),
    Gate(
        "codacy",
        "quality",
        "maintainability",
        ">=",
        85,
        "%",
        "files",
        ("codacy*.json",),
        "Codacy",
        counts=False,
        refused=("codacy*.sarif",),
    ),
    Gate("duplication", "quality", "duplication", "<=", 2, "%", "files", ("jscpd*.json", "jscpd/*.json"), "jscpd"),
    Gate("eslint", "quality", "errors", "<=", 0, "errors", "files", ("eslint*.json", "eslint*.sarif"), "ESLint"),
    Gate("phpstan", "quality", "errors", "<=", 0, "errors", "files", ("phpstan*.json",), "PHPStan"),
    Gate("phpstan-level", "quality", "level", ">=", 6, "level", "files", ("phpstan*.json",), "PHPStan"),
    _tests("unit", "unit*.xml", "unit/*.xml"),
    _tests("integration", "integration*.xml", "integration/*.xml"),
    _tests("e2e", "e2e*.xml", "e2e/*.xml", "e2e*.json", "e2e/*.json", "playwright*.json"),
    Gate(
        "coverage",
        "testing",
        "coverage",
        ">=",
        80,
        "%",
        "lines",
        ("coverage*.xml", "clover*.xml", "coverage*.info", "lcov*.info", "coverage*.json"),
        "the unit tests with coverage",
    ),
    _lighthouse("performance", 90),
    _lighthouse("accessibility", 90),
    _lighthouse("best-practices", 95),
    _lighthouse("seo", 90),
    Gate(
        "personal-data",
        "compliance",
        "findings",
        "<=",
        0,
        "findings",
        "log files",
        ("personal-data*.json",),
        "the scan of the logs",
        waivable=False,
        of_host=True,
    ),
    Gate("wcag", "compliance", "violations", "<=", 0, "violations", "pages", ("axe*.json", "pa11y*.json"), "axe-core or pa11y"),
    Gate("consent", "compliance", "active", ">=", 1, "active", "probes", ("consent*.json",), "the probe of the consent service"),
    Gate(
        "privacy-policy",
        "compliance",
        "age",
        "<=",
        365,
        "days",
        "pages",
        ("privacy-policy*.json",),
        "the check of the privacy policy",
    ),
)

GATES: Mapping[str, Gate] = MappingProxyType({gate.name: gate for gate in _ALL})
"""Every gate by name, in the specification's order."""
