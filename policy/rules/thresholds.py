"""The gates as this pack knows them. It trusts no threshold that a program names: configuration may tighten these, never loosen them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Threshold:
    """One gate: ``at_most`` or at least ``limit``; ``counts``: its reports must have looked at more than nothing."""

    group: str
    at_most: bool
    limit: float
    unit: str
    mend: str
    waivable: bool = True
    counts: bool = True

    def passes(self, figure: float, limit: float) -> bool:
        """Whether ``figure`` is within ``limit`` (this one, or a tighter one from the configuration)."""
        limit = min(limit, self.limit) if self.at_most else max(limit, self.limit)
        return figure <= limit if self.at_most else figure >= limit

    def schema(self, name: str) -> Mapping[str, Any]:
        """JSON schema of its setting."""
        bounds = {"minimum": 0, "maximum": self.limit} if self.at_most else {"minimum": self.limit, "maximum": 100}
        word = "At most" if self.at_most else "At least"
        return {"type": "number", "default": self.limit, **bounds, "description": f"{word} this many {self.unit} for {name}."}


def _at_most(group: str, limit: float, unit: str, mend: str, **more: bool) -> Threshold:
    return Threshold(group, True, limit, unit, mend, **more)


def _at_least(group: str, limit: float, unit: str, mend: str, **more: bool) -> Threshold:
    return Threshold(group, False, limit, unit, mend, **more)


THRESHOLDS: Mapping[str, Threshold] = {
    "trivy": _at_most("security", 0, "HIGH or CRITICAL vulnerabilities", "Update the packages that Trivy names"),
    "gitleaks": _at_most("security", 0, "secrets", "Revoke the secret, take it out of the history", waivable=False),
    "dependabot": _at_most(
        "security", 0, "open HIGH or CRITICAL alerts", "Update the dependency or dismiss the alert with a reason"
    ),
    "code-scanning": _at_most(
        "security", 0, "open alerts of error or high severity", "Mend the code or dismiss the alert with a reason"
    ),
    "sbom": _at_most("security", 0, "components with severe vulnerabilities", "Update the components and build again"),
    "attestation": _at_most(
        "security", 0, "artefacts without a valid signed attestation", "Build and sign again from this commit", waivable=False
    ),
    "codacy": _at_least("quality", 85, "% maintainability", "Mend the files that Codacy names", counts=False),
    "duplication": _at_most("quality", 2, "% duplicated lines", "Take the duplicates out"),
    "eslint": _at_most("quality", 0, "ESLint errors", "Mend the lines that ESLint names"),
    "phpstan": _at_most("quality", 0, "PHPStan errors", "Mend the lines that PHPStan names"),
    "phpstan-level": _at_least("quality", 6, "(PHPStan's level)", "Raise the level in phpstan.neon"),
    "unit-tests": _at_least("testing", 100, "% of the unit tests passed", "Mend the failing tests"),
    "integration-tests": _at_least("testing", 100, "% of the integration tests passed", "Mend the failing tests"),
    "e2e-tests": _at_least("testing", 100, "% of the end-to-end tests passed", "Mend the failing tests"),
    "coverage": _at_least("testing", 80, "% of the lines covered", "Test the lines that are not covered"),
    "lighthouse-performance": _at_least("performance", 90, "points", "Mend what Lighthouse's report names"),
    "lighthouse-accessibility": _at_least("performance", 90, "points", "Mend what Lighthouse's report names"),
    "lighthouse-best-practices": _at_least("performance", 95, "points", "Mend what Lighthouse's report names"),
    "lighthouse-seo": _at_least("performance", 90, "points", "Mend what Lighthouse's report names"),
    "personal-data": _at_most("compliance", 0, "personal data in logs", "Stop logging them and clean the logs", waivable=False),
    "wcag": _at_most("compliance", 0, "WCAG AA violations", "Mend the elements that the report names"),
    "consent": _at_least("compliance", 1, "(consent management active)", "Bring the consent service up"),
    "privacy-policy": _at_most("compliance", 365, "days since the privacy policy was reviewed", "Review it and set its date"),
}
