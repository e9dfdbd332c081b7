"""For every gate, a report of its tool that passes and one that does not; and every way for a report to prove nothing."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from evidence.gates import GATES
from evidence.model import About, ProblemKind
from tests.unit.evidence.folder import CASES, COMMIT, NOW, REPORTS, evidence_of, fitted, put, the_report, verdicts_of

PAIRS = [(case, gate) for case, gates in CASES.items() for gate in gates]


def test_every_gate_has_a_report_that_passes_and_one_that_does_not() -> None:
    covered = {gate for gates in CASES.values() for gate in gates} | {"phpstan-level", "integration-tests"}
    assert covered == set(GATES)


@pytest.mark.parametrize(("case", "gate"), PAIRS)
def test_a_good_report_passes(tmp_path: Path, case: str, gate: str) -> None:
    put(tmp_path / "r", the_report(case, "pass"))
    verdict = verdicts_of(tmp_path / "r", gate)[gate]
    assert (verdict.verdict, verdict.reason) == ("pass", "")
    assert verdict.figure is not None


@pytest.mark.parametrize(("case", "gate"), PAIRS)
def test_a_bad_report_fails_and_the_message_names_gate_figure_threshold_and_place(tmp_path: Path, case: str, gate: str) -> None:
    put(tmp_path / "r", the_report(case, "fail"))
    verdict = verdicts_of(tmp_path / "r", gate)[gate]
    assert verdict.verdict == "fail"
    assert verdict.figure is not None
    for part in (gate, f"{verdict.figure:g}", f"{GATES[gate].threshold:g}", the_report(case, "fail").name):
        assert part in verdict.reason


FIGURES = {
    ("pytest", "fail", "unit-tests"): 100 / 3,
    ("vitest", "fail", "unit-tests"): 50,
    ("phpunit", "pass", "unit-tests"): 100,
    ("cobertura", "fail", "coverage"): 37.5,
    ("lcov", "fail", "coverage"): 37.5,
    ("coverage-json", "fail", "coverage"): 37.5,
    ("eslint", "fail", "eslint"): 4,
    ("jscpd", "fail", "duplication"): 40.91,
    ("gitleaks", "fail", "gitleaks"): 2,
    ("gitleaks-sarif", "fail", "gitleaks"): 2,
    ("trivy-sarif", "fail", "trivy"): 1,
    ("playwright-json", "fail", "e2e-tests"): 200 / 3,
    ("playwright-junit", "fail", "e2e-tests"): 200 / 3,
    ("lighthouse", "fail", "lighthouse-performance"): 56,
    ("lighthouse", "fail", "lighthouse-best-practices"): 82,
    ("lighthouse-runs", "pass", "lighthouse-performance"): 93,
    ("lighthouse-runs", "fail", "lighthouse-performance"): 88,
    ("lhci", "fail", "lighthouse-performance"): 89,
    ("sbom", "fail", "sbom"): 1,
    ("dependabot", "fail", "dependabot"): 1,
    ("code-scanning", "fail", "code-scanning"): 2,
    ("pa11y", "fail", "wcag"): 1,
}


@pytest.mark.parametrize(("case", "kind", "gate"), list(FIGURES))
def test_the_figure_is_what_the_tool_says(tmp_path: Path, case: str, kind: str, gate: str) -> None:
    put(tmp_path / "r", the_report(case, kind))
    assert evidence_of(tmp_path / "r", gate)[0].figure == pytest.approx(FIGURES[case, kind, gate])


def test_integration_tests_are_read_like_unit_tests(tmp_path: Path) -> None:
    put(tmp_path / "r", "integration.xml", the_report("pytest", "pass").read_bytes())
    assert verdicts_of(tmp_path / "r", "integration-tests")["integration-tests"].verdict == "pass"


@pytest.mark.parametrize(("level", "verdict"), [(5, "fail"), (6, "pass"), (9, "pass")])
def test_phpstans_level_comes_from_the_note(tmp_path: Path, level: int, verdict: str) -> None:
    put(tmp_path / "r", the_report("phpstan", "pass"), measures={"level": level})
    assert verdicts_of(tmp_path / "r", "phpstan-level")["phpstan-level"].verdict == verdict


def test_phpstan_without_a_known_level_is_no_evidence(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("phpstan", "pass"), measures={})
    found = verdicts_of(tmp_path / "r", "phpstan-level", "phpstan")
    assert found["phpstan-level"].verdict == "fail"
    assert "level" in found["phpstan-level"].reason
    assert found["phpstan"].verdict == "pass"


def test_codacys_sarif_is_not_taken_for_maintainability(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("codacy-sarif", "fail"))
    (found,) = evidence_of(tmp_path / "r", "codacy")
    assert (found.problem, "maintainability" in found.detail) == ("wrong-tool", True)


def test_istanbuls_summary_is_coverage_too(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("istanbul-summary", "pass"))
    assert verdicts_of(tmp_path / "r", "coverage")["coverage"].figure == 100


def test_lighthouse_in_per_cent_is_refused(tmp_path: Path) -> None:
    report = json.loads(the_report("lighthouse", "pass").read_bytes())
    for category in report["categories"].values():
        category["score"] = 95
    put(tmp_path / "r", "lighthouse.json", json.dumps(report).encode())
    (found,) = evidence_of(tmp_path / "r", "lighthouse-performance")
    assert (found.problem, "0 to 1" in found.detail) == ("unreadable", True)


def test_a_category_that_lighthouse_could_not_score_is_no_pass(tmp_path: Path) -> None:
    report = json.loads(the_report("lighthouse", "pass").read_bytes())
    report["categories"]["performance"]["score"] = None
    put(tmp_path / "r", "lighthouse.json", json.dumps(report).encode())
    assert verdicts_of(tmp_path / "r", "lighthouse-seo")["lighthouse-seo"].verdict == "fail"


def test_every_report_of_a_gate_must_pass_by_itself(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("vitest", "pass"))
    put(tmp_path / "r", the_report("pytest", "fail"))
    verdict = verdicts_of(tmp_path / "r", "unit-tests")["unit-tests"]
    assert (verdict.verdict, Path(verdict.report).name) == ("fail", "unit-api.xml")


def test_single_runs_that_a_manifest_sums_up_do_not_count_again(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("lhci", "pass"))
    runs = json.loads(the_report("lighthouse-runs", "pass").read_bytes())
    put(tmp_path / "r", "lighthouse/lhr-0.json", json.dumps(runs[0]).encode())
    assert verdicts_of(tmp_path / "r", "lighthouse-performance")["lighthouse-performance"].verdict == "pass"


_NO_LINES = b'{"statistics": {"total": {"lines": 0, "duplicatedLines": 0, "percentage": 0, "clones": 0, "sources": 0}}}'
_FAILED = (
    b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Trivy"}}, "results": [], '
    b'"invocations": [{"executionSuccessful": true}, {"executionSuccessful": false}]}]}'
)
NOTHING: list[tuple[str, str, bytes, ProblemKind | None]] = [
    ("trivy", "trivy.json", b'{"SchemaVersion": 2, "ArtifactName": ".", "ArtifactType": "filesystem"}', "nothing-checked"),
    ("trivy", "trivy.json", b"{}", "wrong-tool"),
    ("trivy", "trivy.json", b"[]", "wrong-tool"),
    ("trivy", "trivy.sarif", b'{"version": "2.1.0", "runs": []}', "nothing-checked"),
    ("trivy", "trivy.sarif", b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Trivy"}}}]}', "unreadable"),
    ("trivy", "trivy.sarif", b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Semgrep"}}, "results": []}]}', "wrong-tool"),
    ("trivy", "trivy.sarif", _FAILED, "unreadable"),
    ("gitleaks", "gitleaks.json", b"{}", "wrong-tool"),
    ("gitleaks", "gitleaks.json", b"[1]", "wrong-tool"),
    ("dependabot", "dependabot.json", b'{"message": "Dependabot alerts are disabled", "status": "403"}', "wrong-tool"),
    ("code-scanning", "code-scanning.json", b'{"message": "no analysis found"}', "wrong-tool"),
    ("dependabot", "dependabot.json", b'[{"number": 1}]', "wrong-tool"),
    ("sbom", "SBOM.json", b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}', "nothing-checked"),
    ("sbom", "SBOM.json", b'{"spdxVersion": "SPDX-2.3"}', "wrong-tool"),
    ("codacy", "codacy.json", b'{"data": {"repository": {"name": "r"}}}', "wrong-tool"),
    ("eslint", "eslint.json", b"[]", "nothing-checked"),
    ("eslint", "eslint.json", b'[{"filePath": "a.ts"}]', "wrong-tool"),
    ("phpstan", "phpstan.json", b'{"totals": {"errors": 0, "file_errors": 3}, "files": {}, "errors": []}', "unreadable"),
    ("duplication", "jscpd.json", _NO_LINES, "nothing-checked"),
    ("unit-tests", "unit.xml", b"<testsuites/>", "nothing-checked"),
    ("unit-tests", "unit.xml", b'<testsuite tests="0"/>', "nothing-checked"),
    ("unit-tests", "unit.xml", b'<testsuite tests="1"><testcase name="a"><skipped/></testcase></testsuite>', "nothing-checked"),
    ("unit-tests", "unit.xml", b'<testsuite tests="9"><testcase name="a"/></testsuite>', "incomplete"),
    ("unit-tests", "unit.xml", b"<coverage/>", "wrong-tool"),
    ("e2e-tests", "e2e.json", b'{"stats": {"expected": 0, "unexpected": 0, "flaky": 0, "skipped": 0}}', "nothing-checked"),
    ("e2e-tests", "e2e.json", b'{"stats": {"expected": 5, "unexpected": 0, "flaky": 0, "skipped": 0}, "suites": []}', "nothing-checked"),
    ("coverage", "coverage.xml", b'<coverage line-rate="1" lines-valid="0" lines-covered="0"/>', "nothing-checked"),
    ("coverage", "coverage.xml", b'<coverage line-rate="1"/>', "nothing-checked"),
    ("coverage", "coverage.xml", b'<coverage line-rate="1" lines-valid="9" lines-covered="9"/>', "incomplete"),
    ("coverage", "lcov.info", b"SF:a.ts\nDA:1,1\n", "unreadable"),
    ("coverage", "lcov.info", b"SF:a.ts\nDA:1,1\nLF:9\nLH:9\nend_of_record\n", "unreadable"),
    ("coverage", "lcov.info", b"SF:a.ts\nend_of_record\n", "nothing-checked"),
    ("coverage", "coverage.json", b'{"totals": {"covered_lines": 0, "num_statements": 0}}', "nothing-checked"),
    ("coverage", "coverage.json", b'{"totals": {"covered_lines": 9, "num_statements": 3}}', "unreadable"),
    ("lighthouse-seo", "lighthouse.json", b"[]", "nothing-checked"),
    ("lighthouse-seo", "lighthouse.json", b"{}", "wrong-tool"),
    ("lighthouse-seo", "lighthouse/manifest.json", b"[]", "nothing-checked"),
    ("wcag", "axe.json", b"[]", "wrong-tool"),
    ("wcag", "axe.json", b'{"testEngine": {"name": "axe-core", "version": "4"}, "violations": [], "passes": []}', "nothing-checked"),
    ("wcag", "axe.json", b'{"testEngine": {"name": "axe-core", "version": "4"}, "passes": [{}]}', "unreadable"),
    ("wcag", "pa11y-ci.json", b'{"total": 0, "passes": 0, "errors": 0, "results": {}}', "nothing-checked"),
    ("wcag", "pa11y-ci.json", b'{"total": 3, "passes": 3, "errors": 0, "results": {}}', "incomplete"),
    ("personal-data", "personal-data.json", b'{"check": "personal-data", "figure": 0, "count": 3}', "wrong-tool"),
    *((gate, name, content, None) for gate, name in (("trivy", "trivy.json"), ("unit-tests", "unit.xml"), ("coverage", "lcov.info"))
      for content in (b"\x00\xff\xfe", b"Error: rate limited\n", b"\n")),
    *((gate, name, b"", "empty") for gate, name in (("trivy", "trivy.json"), ("unit-tests", "unit.xml"), ("coverage", "lcov.info"))),
]  # fmt: skip
"""What a tool that did nothing, a wrapper, or another tool leaves."""


@pytest.mark.parametrize(("gate", "name", "content", "kind"), NOTHING)
def test_a_report_that_proves_nothing_never_passes(
    tmp_path: Path, gate: str, name: str, content: bytes, kind: ProblemKind | None
) -> None:
    put(tmp_path / "r", name, content, count=None)
    (found,) = evidence_of(tmp_path / "r", gate)
    assert found.problem is not None
    assert found.detail
    if kind is not None:
        assert found.problem == kind, found.detail


@pytest.mark.parametrize("gate", list(GATES))
def test_a_missing_report_names_the_file_and_who_writes_it(tmp_path: Path, gate: str) -> None:
    (tmp_path / "r").mkdir()
    verdict = verdicts_of(tmp_path / "r", gate)[gate]
    assert verdict.verdict == "fail"
    assert GATES[gate].files[0] in verdict.reason
    assert GATES[gate].made_by in verdict.reason


NOTES: list[tuple[dict[str, Any], ProblemKind, str]] = [
    ({"commit": "f" * 40}, "other-commit", "ffffffffffff"),
    ({"dirty": True}, "uncommitted", "does not hold"),
    ({"toolVersion": "fallback"}, "fallback", "placeholder"),
    ({"toolVersion": "0.0.0"}, "fallback", "0.0.0"),
    ({"toolVersion": ""}, "no-provenance", "version"),
    ({"time": "2026-11-21T21:00:00+00:00"}, "stale", "hours old"),
    ({"time": "2026-11-23T23:00:00+00:00"}, "future", "clock"),
    ({"time": "2026-11-23T21:00:00"}, "unreadable", "time zone"),
    ({"time": "yesterday"}, "unreadable", "time"),
    ({"sha256": "0" * 64}, "altered", "SHA-256"),
    ({"sha256": "short"}, "unreadable", "sha256"),
    ({"count": None}, "no-provenance", "how many"),
    ({"count": 0}, "nothing-checked", "0 commits"),
    ({"wish": 1}, "unreadable", "wish"),
    ({"measures": {"level": float("nan")}}, "unreadable", "not a number"),
]


@pytest.mark.parametrize(("changes", "kind", "word"), NOTES)
def test_a_note_that_does_not_fit_is_a_failure_of_its_own(tmp_path: Path, changes: dict[str, Any], kind: str, word: str) -> None:
    put(tmp_path / "r", the_report("gitleaks", "pass"), **changes)
    (found,) = evidence_of(tmp_path / "r", "gitleaks")
    assert (found.problem, word in found.detail) == (kind, True), found.detail


def test_a_report_without_a_note_that_does_not_tell_its_origin_is_no_evidence(tmp_path: Path) -> None:
    for case, gate in PAIRS:
        if CASES[case][0] in ("personal-data", "consent", "privacy-policy", "attestation"):
            continue
        folder = tmp_path / f"{case}-{gate}"
        put(folder, the_report(case, "pass"), note=False)
        (found,) = evidence_of(folder, gate)
        tells_all = case == "codacy"  # the one format here that tells its commit and time
        assert found.problem == (None if tells_all else "no-provenance"), (case, found)


@pytest.mark.parametrize("account", ["", "w01@host.example/www/htdocs/w02"])
def test_what_the_logs_of_another_host_hold_is_no_evidence_for_this_one(tmp_path: Path, account: str) -> None:
    report = json.loads(the_report("personal-data", "pass").read_bytes())
    put(tmp_path / "r", "personal-data.json", json.dumps({**report, "commit": COMMIT, "account": account}).encode())
    (found,) = evidence_of(tmp_path / "r", "personal-data")
    assert found.problem == "other-host"
    assert "not about w01@host.example/www/htdocs/w01" in found.detail


def scanned(folder: Path, name: str, **told: Any) -> None:
    """Puts a report of the scan that tells this of itself."""
    report = json.loads(fitted(the_report("personal-data", "pass").read_bytes()))
    put(folder, name, json.dumps({**report, **told}).encode())


ELSEWHERE = {"stack": "sandbox", "account": "mo@127.0.0.1/srv/root"}


def test_reports_about_several_stacks_lie_side_by_side_and_each_counts_for_its_own(tmp_path: Path) -> None:
    scanned(tmp_path / "r", "personal-data-production.json", stack="production")
    scanned(tmp_path / "r", "personal-data-sandbox.json", **ELSEWHERE, figure=3)
    (own,) = evidence_of(tmp_path / "r", "personal-data")
    assert (own.report, own.problem, own.figure) == ("r/personal-data-production.json", None, 0)
    (other,) = evidence_of(tmp_path / "r", "personal-data", stack="sandbox", account=ELSEWHERE["account"])
    assert (other.report, other.figure) == ("r/personal-data-sandbox.json", 3)
    assert other.provenance.about == About("sandbox", ELSEWHERE["account"])


def test_a_report_about_another_stack_alone_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    scanned(tmp_path / "r", "personal-data-sandbox.json", **ELSEWHERE)
    (found,) = evidence_of(tmp_path / "r", "personal-data")
    assert found.problem == "other-host"
    assert "mo@127.0.0.1/srv/root (stack sandbox)" in found.detail
    assert found.detail.endswith("bin/mo gates --stack production --run --only personal-data")


def test_two_stacks_of_one_account_share_a_report_about_its_host(tmp_path: Path) -> None:
    scanned(tmp_path / "r", "personal-data-production.json", stack="production", figure=2)
    (shared,) = evidence_of(tmp_path / "r", "personal-data", stack="staging")
    assert (shared.problem, shared.figure) == (None, 2)
    scanned(tmp_path / "r", "personal-data-staging.json", stack="staging")
    (own,) = evidence_of(tmp_path / "r", "personal-data", stack="staging")
    assert own.figure == 0


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"stack": 7}'])
def test_a_report_that_does_not_say_what_it_is_about_is_never_passed_over(tmp_path: Path, broken: bytes) -> None:
    scanned(tmp_path / "r", "personal-data-production.json", stack="production")
    put(tmp_path / "r", "personal-data-sandbox.json", broken)
    problems = {entry.report: entry.problem for entry in evidence_of(tmp_path / "r", "personal-data")}
    assert problems.pop("r/personal-data-production.json") is None
    assert list(problems.values()) != [None]


@pytest.mark.parametrize(
    ("about", "kind"),
    [
        ({"stack": "sandbox", "host": "mo@127.0.0.1/srv"}, None),
        ({"stack": "", "host": "mo@127.0.0.1/srv"}, "unreadable"),
        ({"stack": "sandbox"}, "unreadable"),
        ({"stack": "sandbox", "host": "h", "port": 22}, "unreadable"),
        ("sandbox", "unreadable"),
        ({"stack": "s" * 101, "host": "h"}, "unreadable"),
    ],
)
def test_a_note_says_which_stack_and_host_were_looked_at(tmp_path: Path, about: Any, kind: str | None) -> None:
    put(tmp_path / "r", the_report("axe", "pass"), about=about)
    (found,) = evidence_of(tmp_path / "r", "wcag")
    assert found.problem == kind
    if kind is None:
        assert found.provenance.about == About("sandbox", "mo@127.0.0.1/srv")


def test_a_note_and_a_report_that_name_two_hosts_are_no_evidence(tmp_path: Path) -> None:
    report = fitted(the_report("personal-data", "pass").read_bytes())
    put(tmp_path / "r", "personal-data.json", report, about={"stack": "production", "host": "mo@127.0.0.1/srv"})
    (found,) = evidence_of(tmp_path / "r", "personal-data")
    assert found.problem == "other-host"


def test_where_the_settings_are_not_complete_a_report_of_the_logs_is_judged_by_all_but_its_host(tmp_path: Path) -> None:
    put(tmp_path / "r", "personal-data.json", fitted(the_report("personal-data", "pass").read_bytes()))
    (found,) = evidence_of(tmp_path / "r", "personal-data", account="")
    assert (found.problem, found.figure) == (None, 0)


def test_a_note_does_not_make_an_old_report_young(tmp_path: Path) -> None:
    report = the_report("trivy", "pass").read_bytes().replace(b"2026-11-23T20", b"2026-10-23T20")
    put(tmp_path / "r", "trivy.json", report)
    (found,) = evidence_of(tmp_path / "r", "trivy")
    assert found.problem == "stale"


def test_the_age_limit_is_the_settings(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("gitleaks", "pass"))
    assert evidence_of(tmp_path / "r", "gitleaks", now=NOW + timedelta(hours=30))[0].problem == "stale"
    assert evidence_of(tmp_path / "r", "gitleaks", now=NOW + timedelta(hours=30), max_age_hours=48)[0].problem is None


def test_uncommitted_changes_count_only_where_the_stack_says_so(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("gitleaks", "pass"), dirty=True)
    (found,) = evidence_of(tmp_path / "r", "gitleaks", allow_uncommitted=True)
    assert (found.problem, found.provenance.uncommitted) == (None, True)


def test_no_commit_to_deploy_is_a_failure(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("gitleaks", "pass"))
    assert evidence_of(tmp_path / "r", "gitleaks", commit="")[0].problem == "other-commit"
    assert evidence_of(tmp_path / "r", "gitleaks", commit=COMMIT[:12])[0].problem == "other-commit"


def test_a_directory_or_an_unreadable_file_in_a_reports_place_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "r" / "gitleaks.json").mkdir(parents=True)
    assert evidence_of(tmp_path / "r", "gitleaks")[0].problem == "missing"


def test_findings_name_places_and_never_the_secret(tmp_path: Path) -> None:
    leaks = [
        {
            "RuleID": "aws",
            "File": "a.py",
            "StartLine": 3,
            "Secret": "hunter2hunter2",
            "Match": "key=hunter2hunter2",
            "Line": "hunter2",
        }
    ]
    put(tmp_path / "r", "gitleaks.json", json.dumps(leaks).encode())
    found = verdicts_of(tmp_path / "r", "gitleaks")["gitleaks"]
    assert "aws in a.py:3" in found.reason
    assert "hunter2" not in str(evidence_of(tmp_path / "r", "gitleaks")) + str(found)


HOSTILE = [
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite tests="1"><testcase name="&b;"/></testsuite>',
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite tests="1"><testcase>&a;</testcase></testsuite>',
    b"<testsuite>" + b"<testsuite>" * 500 + b"</testsuite>" * 500 + b"</testsuite>",
]


@pytest.mark.parametrize("content", HOSTILE)
def test_hostile_xml_is_refused(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "r", "unit.xml", content)
    (found,) = evidence_of(tmp_path / "r", "unit-tests")
    assert (found.problem, found.figure) == ("unreadable", None)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b'{"Results": [' + b"[" * 5000 + b"]" * 5000 + b"]}"])
def test_deeply_nested_json_is_refused(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "r", "trivy.json", content)
    assert evidence_of(tmp_path / "r", "trivy")[0].problem in ("unreadable", "wrong-tool")


def test_the_reports_in_the_repository_are_those_that_the_tests_use() -> None:
    assert {path.name for path in REPORTS.iterdir() if path.is_dir()} == {*CASES, "codacy-sarif", "istanbul-summary"}


def test_a_symbolic_link_to_a_report_is_followed_and_its_note_stands_beside_the_link(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", the_report("gitleaks", "pass"))
    (tmp_path / "r").mkdir()
    for name in ("gitleaks.json", "gitleaks.json.provenance.json"):
        shutil.copy(tmp_path / "elsewhere" / name, tmp_path / "r" / name)
    assert evidence_of(tmp_path / "r", "gitleaks")[0].problem is None
