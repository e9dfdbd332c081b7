"""A reports folder as a run of the gates leaves it: reports, and beside each a note on its origin."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from catalog.settings import GateSettings
from evidence import expected
from evidence.collect import collect
from evidence.gates import GATES
from evidence.judge import Verdict, judge
from evidence.model import About, Evidence, ReportError
from evidence.waivers import Waiver

COMMIT = "1234567890abcdef1234567890abcdef12345678"
ACCOUNT = "w01@host.example/www/htdocs/w01"
NOW = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
REPORTS = Path(__file__).parent / "reports"

CASES: dict[str, tuple[str, ...]] = {
    "trivy": ("trivy",),
    "trivy-sarif": ("trivy",),
    "gitleaks": ("gitleaks",),
    "gitleaks-sarif": ("gitleaks",),
    "dependabot": ("dependabot",),
    "code-scanning": ("code-scanning",),
    "sbom": ("sbom",),
    "attestation": ("attestation",),
    "codacy": ("codacy",),
    "jscpd": ("duplication",),
    "eslint": ("eslint",),
    "eslint-sarif": ("eslint",),
    "phpstan": ("phpstan",),
    "pytest": ("unit-tests",),
    "vitest": ("unit-tests",),
    "phpunit": ("unit-tests",),
    "playwright-json": ("e2e-tests",),
    "playwright-junit": ("e2e-tests",),
    "cobertura": ("coverage",),
    "clover": ("coverage",),
    "lcov": ("coverage",),
    "coverage-json": ("coverage",),
    "lighthouse": ("lighthouse-performance", "lighthouse-accessibility", "lighthouse-best-practices", "lighthouse-seo"),
    "lighthouse-runs": ("lighthouse-performance",),
    "lhci": ("lighthouse-performance",),
    "axe": ("wcag",),
    "pa11y": ("wcag",),
    "pa11y-ci": ("wcag",),
    "personal-data": ("personal-data",),
    "consent": ("consent",),
    "privacy-policy": ("privacy-policy",),
}
"""The gates that read each case's report."""


def the_report(case: str, kind: str) -> Path:
    """The one report of a case."""
    (found,) = (path for path in (REPORTS / case / kind).rglob("*") if path.is_file())
    return found


def put(folder: Path, report: Path | str, content: bytes | None = None, *, note: bool = True, **changes: Any) -> Path:
    """Puts a report into ``folder`` with a note; ``changes`` are laid over the note's fields. The report's own commit and time are made to
    fit, as they would be for a run of now."""
    name = (
        report.relative_to(next(p for p in report.parents if p.name in ("pass", "fail"))).as_posix()
        if isinstance(report, Path)
        else report
    )
    data = content if content is not None else Path(report).read_bytes()
    if content is None:
        data = fitted(data)
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    if note:
        target.with_name(target.name + ".provenance.json").write_text(json.dumps({**a_note(data, target.name), **changes}))
    expect(folder, name)
    return target


def expect(folder: Path, *names: str) -> None:
    """Adds to what the run is expected to leave, for every gate that takes such a file."""
    try:
        gates = dict(expected.load(folder, COMMIT))
    except ReportError:
        gates = {}
    for gate in GATES.values():
        fitting = [name for name in names if any(PurePath(name).match(pattern) for pattern in (*gate.files, *gate.refused))]
        gates[gate.name] = {**gates.get(gate.name, {}), **dict.fromkeys(fitting, f"the maker of {gate.name}")}
    expected.write(folder, COMMIT, {gate: reports for gate, reports in gates.items() if reports})


_COUNTS_NOTHING = ("gitleaks", "dependabot", "code-scanning", "phpstan", "pa11y")
"""Reports that do not say how much was looked at."""


def a_note(data: bytes, name: str = "report.json") -> dict[str, Any]:
    """A note as the gates' steps write it; a test report counts its tests by itself."""
    note = {
        "version": 1,
        "tool": "tool",
        "toolVersion": "1.2.3",
        "commit": COMMIT,
        "time": "2026-11-23T21:30:00+00:00",
        "sha256": hashlib.sha256(data).hexdigest(),
        "exitCode": 0,
        "count": 7,
        "measures": {"level": 6},
    }
    if not (name.startswith(_COUNTS_NOTHING) or name.endswith(".sarif")):
        del note["count"]
    return note


def fitted(data: bytes) -> bytes:
    """An own check's report names its commit; the recorded ones were made for another."""
    try:
        value = json.loads(data)
    except ValueError:
        return data
    if isinstance(value, dict) and "check" in value:
        value.update(commit=COMMIT, uncommitted=False, account=ACCOUNT)
        return json.dumps(value).encode()
    return data


def evidence_of(
    folder: Path,
    *gates: str,
    now: datetime = NOW,
    commit: str = COMMIT,
    account: str = ACCOUNT,
    stack: str = "production",
    **settings: Any,
) -> list[Evidence]:
    demand = GateSettings(required=gates, **settings)
    return collect(demand, folder.parent, commit, About(stack, account), reports=folder, now=now)


def verdicts_of(
    folder: Path, *gates: str, waivers: list[Waiver] | None = None, now: datetime = NOW, commit: str = COMMIT, **settings: Any
) -> Mapping[str, Verdict]:
    found = evidence_of(folder, *gates, now=now, commit=commit, **settings)
    return {verdict.name: verdict for verdict in judge(found, waivers=waivers or [], commit=commit, now=now)}
