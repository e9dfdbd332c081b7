"""Real reports of many versions of the tools: the figure is the one that a few independent lines count, and what is no whole run is
refused."""

from __future__ import annotations

import json
import tarfile
from collections import Counter as Tally
from datetime import UTC, datetime
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import pytest

from evidence.gates import GATES
from operations.gates import python_tests
from tests.unit.evidence import counted
from tests.unit.evidence.folder import evidence_of, put

NOW = datetime(2026, 11, 30, 7, 0, tzinfo=UTC)
ARCHIVE = Path(__file__).parent / "corpus.tar.xz"

FORMATS: dict[str, tuple[str, str, counted.Counter, dict[str, Any]]] = {
    "pytest": ("unit-tests", "unit.xml", counted.pytest, {"tool": "pytest"}),
    "vitest": ("unit-tests", "unit.xml", counted.junit, {"tool": "vitest"}),
    "jest": ("unit-tests", "unit.xml", counted.junit, {"tool": "jest"}),
    "node-test": ("unit-tests", "unit.xml", counted.junit, {"tool": "node:test"}),
    "phpunit": ("unit-tests", "unit.xml", counted.junit, {"tool": "PHPUnit"}),
    "playwright": ("e2e-tests", "e2e.json", counted.playwright, {}),
    "playwright-junit": ("e2e-tests", "e2e.xml", counted.junit, {"tool": "Playwright"}),
    "coverage-xml": ("coverage", "coverage.xml", counted.cobertura, {"tool": "coverage"}),
    "js-cobertura": ("coverage", "coverage.xml", counted.cobertura, {"tool": "istanbul"}),
    "phpunit-cobertura": ("coverage", "coverage.xml", counted.cobertura, {"tool": "PHPUnit"}),
    "clover": ("coverage", "clover.xml", counted.clover, {"tool": "istanbul"}),
    "phpunit-clover": ("coverage", "clover.xml", counted.clover, {"tool": "PHPUnit"}),
    "coverage-lcov": ("coverage", "lcov.info", counted.lcov_of_coverage_py, {"tool": "coverage"}),
    "js-lcov": ("coverage", "lcov.info", counted.lcov, {"tool": "istanbul"}),
    "coverage-json": ("coverage", "coverage.json", counted.coverage_py, {}),
    "istanbul": ("coverage", "coverage-final.json", counted.istanbul, {}),
    "istanbul-summary": ("coverage", "coverage-summary.json", counted.istanbul_summary, {}),
    "eslint": ("eslint", "eslint.json", counted.eslint, {}),
    "eslint-meta": ("eslint", "eslint.json", counted.eslint, {}),
    "eslint-sarif": ("eslint", "eslint.sarif", counted.eslint_sarif, {"count": 3}),
    "jscpd": ("duplication", "jscpd.json", counted.jscpd, {}),
    "axe": ("wcag", "axe.json", counted.axe, {}),
    "pa11y": ("wcag", "pa11y.json", counted.pa11y, {"count": 1}),
    "pa11y-ci": ("wcag", "pa11y-ci.json", counted.pa11y_ci, {}),
    "cyclonedx": ("sbom", "sbom.json", counted.cyclonedx, {}),
    "trivy": ("trivy", "trivy.json", counted.trivy, {}),
    "trivy-sarif": ("trivy", "trivy.sarif", counted.trivy_sarif, {"count": 3}),
    "gitleaks": ("gitleaks", "gitleaks.json", counted.gitleaks, {"count": 3}),
    "gitleaks-sarif": ("gitleaks", "gitleaks.sarif", counted.gitleaks_sarif, {"count": 3}),
    "lighthouse": ("lighthouse-seo", "lighthouse.json", counted.lighthouse, {}),
}
"""Folder in the archive → gate, the report's name there, its independent count, and what its note says besides."""


@cache
def corpus() -> dict[str, tuple[bytes, dict[str, Any]]]:
    with tarfile.open(ARCHIVE) as archive:
        content = {member.name: reader.read() for member in archive if (reader := archive.extractfile(member)) is not None}
    index = json.loads(content.pop("index.json"))
    return {name: (data, index[name]) for name, data in content.items()}


def note_of(form: str, entry: dict[str, Any]) -> dict[str, Any]:
    """What a report's note says besides: for pytest the number of tests, as the gate's step takes it from the last line."""
    note = {"time": "2026-11-30T06:00:00Z", **FORMATS[form][3]}
    return {**note, "count": python_tests._counted(entry["last"])} if form == "pytest" else note


RED = "red"
"""Readable, and its figure is beyond the threshold."""


def expected(name: str, entry: dict[str, Any]) -> set[str | None]:
    """What may be said of a report, by how it was made: its file's name tells. ``None``: the figure that is counted."""
    kind = PurePath(name).stem.rpartition("-")[2]
    form = name.partition("/")[0]
    if kind == "interrupted" or entry["exitCode"] == 130:
        return {"tool-failed", "nothing-checked"}
    if kind in ("shard", "shard2") and form == "playwright":
        return {"incomplete"}
    if kind == "timeout" and form.startswith("playwright"):
        return {"incomplete", "tool-failed", "nothing-checked"}
    if kind == "fail" and form == "playwright":
        return {None, "incomplete"}  # the rest of a serial group does not run after a failure
    if kind in ("unhandled", "after") and entry["exitCode"] == 1:
        return {"tool-failed", RED}
    if kind == "ignored" and form in ("eslint", "eslint-meta"):
        return {"nothing-checked"}
    if kind == "moved":
        return {"incomplete"}
    return {None}


def test_the_corpus_is_of_real_reports_of_many_versions() -> None:
    forms = Tally(name.partition("/")[0] for name in corpus())
    assert sum(forms.values()) >= 200
    assert {form: number for form, number in forms.items() if number < 10} == {}
    assert set(forms) == set(FORMATS)


@pytest.mark.parametrize("form", list(FORMATS))
def test_the_figure_of_a_real_report_is_the_one_that_is_counted_independently(tmp_path: Path, form: str) -> None:
    gate, file, count, _ = FORMATS[form]
    entries = {name: entry for name, entry in corpus().items() if name.startswith(f"{form}/")}
    assert entries, f"the corpus has no report of {form}"
    wrong = []
    for number, (name, (data, entry)) in enumerate(sorted(entries.items())):
        folder = tmp_path / str(number)
        put(folder, file, data, exitCode=entry["exitCode"], **note_of(form, entry))
        (found,) = evidence_of(folder, gate, max_age_hours=168, now=NOW)
        may_be = expected(name, entry)
        figure = count(data) if None in may_be else None
        red = found.figure is not None and not GATES[gate].passes(found.figure)
        if found.problem is None and None in may_be:
            if found.figure != pytest.approx(figure, abs=0.01):
                wrong.append(f"{name}: {found.figure} instead of {figure}")
        elif found.problem not in may_be - {None} and not (RED in may_be and found.problem is None and red):
            wrong.append(f"{name}: {found.problem} ({found.detail}) instead of {may_be}")
    assert not wrong, "\n".join(wrong)
