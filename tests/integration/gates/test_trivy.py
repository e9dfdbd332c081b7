"""The real Trivy on a small vulnerability database of the tests' own, without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from catalog.settings import GateSettings
from evidence.own import Commit
from operations.build import cache
from operations.gates import scanners, steps
from operations.gates.context import Context
from tests.unit.evidence.folder import COMMIT, evidence_of, verdicts_of

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
DATABASE = {
    "packages": {
        "npm::GitHub Security Advisory npm": {
            "lodash": {"CVE-2021-23337": {"PatchedVersions": ["4.17.21"], "VulnerableVersions": ["< 4.17.21"]}}
        }
    },
    "plain": {
        "vulnerability": {
            "CVE-2021-23337": {
                "Title": "Command Injection in lodash",
                "Severity": "HIGH",
                "VendorSeverity": {"ghsa": 3},
                "CVSS": {"ghsa": {"V3Vector": "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H", "V3Score": 7.2}},
            }
        },
        "data-source": {
            "npm::GitHub Security Advisory npm": {
                "ID": "ghsa",
                "Name": "GitHub Security Advisory npm",
                "URL": "https://github.com/advisories?query=type%3Areviewed+ecosystem%3Anpm",
            }
        },
    },
}
"""Buckets of trivy-db, schema 2: advisories by ecosystem and package, what is known of a vulnerability, and where it comes from."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trivy's cache folder with the database."""
    if shutil.which("trivy") is None:
        built = cache.default() / "tools" / Context.tool_key("trivy", b"".join(scanners.trivy_module().values()))
        if not built.is_dir():
            pytest.skip("Trivy is not on this machine; `bin/mo gates --run --only trivy` builds it, in many minutes")
    if shutil.which("go") is None:
        pytest.skip("there is no Go to make Trivy's database with")
    folder = tmp_path_factory.mktemp("trivy")
    module = folder / "module"
    shutil.copytree(HERE / "trivydb", module)
    subprocess.run(
        ["go", "build", "-o", str(folder / "trivydb"), "."], cwd=module, check=True, env={**os.environ, "GOFLAGS": "-mod=readonly"}
    )
    (folder / "database.json").write_text(json.dumps(DATABASE))
    (folder / "cache/db").mkdir(parents=True)
    subprocess.run([str(folder / "trivydb"), str(folder / "database.json"), str(folder / "cache/db/trivy.db")], check=True)
    times = dict.fromkeys(("UpdatedAt", "DownloadedAt"), datetime.now(UTC).isoformat())
    (folder / "cache/db/metadata.json").write_text(json.dumps({"Version": 2, "NextUpdate": "2126-01-01T00:00:00Z", **times}))
    return folder / "cache"


@pytest.fixture
def context(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("TRIVY_CACHE_DIR", str(database))
    for name in ("TRIVY_SKIP_DB_UPDATE", "TRIVY_OFFLINE_SCAN", "TRIVY_SKIP_CHECK_UPDATE"):
        monkeypatch.setenv(name, "true")
    (tmp_path / "source").mkdir()
    return Context("production", tmp_path, tmp_path / "source", tmp_path / "r", Commit(COMMIT), GateSettings(required=("trivy",)))


def requires(context: Context, version: str) -> None:
    """The sources require this version of lodash."""
    packages = {
        "": {"name": "x", "version": "1.0.0", "dependencies": {"lodash": version}},
        "node_modules/lodash": {"version": version},
    }
    lock = {"name": "x", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": packages}
    (context.source / "package-lock.json").write_text(json.dumps(lock))


def test_a_vulnerable_package_is_found_and_turns_the_gate_red(context: Context) -> None:
    requires(context, "4.17.15")
    (done,) = steps.run(context, steps.of_gates(["trivy"]), lambda done: None)
    assert done.error == ""
    reports = evidence_of(context.reports, "trivy", now=datetime.now(UTC))
    assert [(Path(report.report).name, report.figure, report.problem) for report in reports] == [
        ("trivy.json", 1, None),
        ("trivy.sarif", 1, None),
    ]
    assert all("CVE-2021-23337 in package-lock.json" in report.findings[0] for report in reports)
    verdict = verdicts_of(context.reports, "trivy", now=datetime.now(UTC))["trivy"]
    assert verdict.verdict == "fail"
    assert "1 HIGH or CRITICAL finding, required: at most 0" in verdict.reason


def test_the_fixed_version_passes(context: Context) -> None:
    requires(context, "4.17.21")
    scanners.trivy(context)
    steps.run(context, [], lambda done: None)
    assert verdicts_of(context.reports, "trivy", now=datetime.now(UTC))["trivy"].verdict == "pass"


def test_sources_in_which_trivy_finds_no_package_are_no_pass(context: Context) -> None:
    (context.source / "a.py").write_text("x = 1\n")
    scanners.trivy(context)
    steps.run(context, [], lambda done: None)
    assert verdicts_of(context.reports, "trivy", now=datetime.now(UTC))["trivy"].verdict == "fail"


def test_without_a_database_trivy_cannot_run_here_and_leaves_the_reports_of_ci(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requires(context, "4.17.15")
    scanners.trivy(context)
    monkeypatch.setenv("TRIVY_CACHE_DIR", str(tmp_path / "empty"))
    (done,) = steps.run(context, steps.of_gates(["trivy"]), lambda done: None)
    assert (done.is_here, "has no vulnerability database" in done.error) == (False, True), done.error
    assert (context.reports / "trivy.json").exists()
