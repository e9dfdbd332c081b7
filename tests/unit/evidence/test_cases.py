"""Reports that were once judged wrongly, and their kind: what a real tool left, and the verdict that is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evidence import exit_codes, shapes
from evidence.pages import is_same_page
from evidence.severity import is_severe
from tests.unit.evidence.folder import evidence_of, put, the_report, verdicts_of

HERE = Path(__file__).parent / "cases"
CASES: list[tuple[str, str, str, dict[str, Any], float | None, str | None, str]] = [
    # case, gate, name there, note, figure, problem (None: none; "red": the figure is beyond its threshold), words
    ("playwright-interrupted.json", "e2e-tests", "e2e.json", {}, None, "incomplete", "did not run"),
    ("playwright-interrupted.json", "e2e-tests", "e2e.json", {"exitCode": 130}, None, "tool-failed", "exit code 130"),
    ("pytest-subtests.xml", "unit-tests", "unit.xml", {}, 100, None, ""),
    ("trivy-high-6.5.sarif", "trivy", "trivy.sarif", {"count": 12}, 1, "red", "CVE-2099-0001"),
    ("trivy-high-0.0.sarif", "trivy", "trivy.sarif", {"count": 12}, 1, "red", "CVE-2099-0001"),
    ("trivy-medium-7.8.sarif", "trivy", "trivy.sarif", {"count": 12}, 0, None, ""),
    ("trivy-low-old.sarif", "trivy", "trivy.sarif", {"count": 12}, 0, None, ""),
    ("sbom-score-only.json", "sbom", "sbom.json", {}, 1, "red", "CVE-1"),
    ("phpunit-cobertura.xml", "coverage", "coverage.xml", {}, 100, None, ""),
    ("vitest-unhandled.xml", "unit-tests", "unit.xml", {"exitCode": 1}, 100, "tool-failed", "exit code 1"),
    ("eslint-bom.json", "eslint", "eslint.json", {}, 0, None, ""),
    ("eslint-utf16.json", "eslint", "eslint.json", {}, None, "unreadable", "is UTF-16"),
    ("lcov-rust.info", "coverage", "lcov.info", {}, 100, None, ""),
    ("lcov-diluted.info", "coverage", "lcov.info", {}, 62.5, "red", "coverage is 62.5 %, required: at least 80 %"),
    ("cobertura-diluted.xml", "coverage", "coverage.xml", {}, 62.5, "red", "62.5"),
    ("lcov-twice.info", "coverage", "lcov.info", {}, 100, None, ""),
    ("lcov-branches.info", "coverage", "lcov.info", {}, None, "nothing-checked", "branches and no lines"),
]


@pytest.mark.parametrize(("case", "gate", "name", "note", "figure", "problem", "words"), CASES)
def test_a_report_that_was_judged_wrongly_is_judged_rightly(
    tmp_path: Path, case: str, gate: str, name: str, note: dict[str, Any], figure: float | None, problem: str | None, words: str
) -> None:
    put(tmp_path / "r", name, (HERE / case).read_bytes(), **note)
    (found,) = evidence_of(tmp_path / "r", gate)
    assert found.problem == (None if problem == "red" else problem), found.detail
    if figure is not None:
        assert found.figure == pytest.approx(figure)
    verdict = verdicts_of(tmp_path / "r", gate)[gate]
    assert verdict.verdict == ("pass" if problem is None else "fail")
    assert words in verdict.reason


def test_each_case_in_the_folder_is_tried() -> None:
    assert {path.name for path in HERE.iterdir()} == {case for case, *_ in CASES}


# How the tool ended


def test_a_report_of_which_nobody_says_how_its_tool_ended_is_no_evidence(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("vitest", "pass"), exitCode=None)
    (found,) = evidence_of(tmp_path / "r", "unit-tests")
    assert (found.problem, "exitCode" in found.detail) == ("no-provenance", True)


@pytest.mark.parametrize(
    ("case", "kind", "gate", "code", "problem"),
    [
        ("pytest", "fail", "unit-tests", 1, None),
        ("pytest", "pass", "unit-tests", 1, "tool-failed"),
        ("pytest", "fail", "unit-tests", 2, "tool-failed"),
        ("pytest", "pass", "unit-tests", 5, "tool-failed"),
        ("eslint", "fail", "eslint", 1, None),
        ("eslint", "pass", "eslint", 1, "tool-failed"),
        ("eslint", "pass", "eslint", 2, "tool-failed"),
        ("gitleaks", "fail", "gitleaks", 1, None),
        ("gitleaks", "pass", "gitleaks", 1, "tool-failed"),
        ("pa11y-ci", "fail", "wcag", 2, None),
        ("pa11y-ci", "pass", "wcag", 1, "tool-failed"),
        ("lighthouse", "pass", "lighthouse-seo", 1, "tool-failed"),
        ("trivy", "pass", "trivy", 137, "tool-failed"),
        ("trivy", "pass", "trivy", -9, "tool-failed"),
        ("codacy", "pass", "codacy", 0, None),
    ],
)
def test_an_exit_code_must_fit_what_the_report_shows(
    tmp_path: Path, case: str, kind: str, gate: str, code: int, problem: str | None
) -> None:
    put(tmp_path / "r", the_report(case, kind), exitCode=code)
    (found,) = evidence_of(tmp_path / "r", gate)
    assert found.problem == problem, found.detail
    if problem:
        assert f"exit code {code}" in found.detail


def test_the_exit_codes_of_a_tool_are_those_for_findings_and_never_0() -> None:
    assert all(codes and 0 not in codes and max(codes) < 256 for codes in exit_codes.FOUND.values())
    assert exit_codes.fault(0, 0, frozenset()) is None
    assert exit_codes.fault(1, 3, frozenset()) is not None, "a tool that is not listed has no good end but 0"


def test_coverage_of_a_run_whose_tests_failed_is_explained_by_the_tests_report(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("vitest", "fail"), exitCode=1)
    put(tmp_path / "r", the_report("lcov", "pass"), exitCode=1, sameRun=["unit-web.xml"])
    assert evidence_of(tmp_path / "r", "coverage")[0].problem is None
    put(tmp_path / "r", "unit-web.xml", the_report("vitest", "pass").read_bytes(), exitCode=1)
    assert evidence_of(tmp_path / "r", "coverage")[0].problem == "tool-failed"


# Parts of a run


def shard(current: int, total: int) -> bytes:
    report = json.loads(the_report("playwright-json", "pass").read_bytes())
    report["config"]["shard"] = {"current": current, "total": total}
    return json.dumps(report).encode()


def test_one_part_of_a_run_is_no_run(tmp_path: Path) -> None:
    put(tmp_path / "r", "e2e-1.json", shard(1, 3))
    put(tmp_path / "r", "e2e-3.json", shard(3, 3))
    verdict = verdicts_of(tmp_path / "r", "e2e-tests")["e2e-tests"]
    assert (verdict.verdict, "no report of part 2" in verdict.reason) == ("fail", True)
    put(tmp_path / "r", "e2e-2.json", shard(2, 3))
    assert verdicts_of(tmp_path / "r", "e2e-tests")["e2e-tests"].verdict == "pass"


@pytest.mark.parametrize("parts", [[(1, 2), (1, 2)], [(0, 1)], [(3, 2), (1, 2)], [(1, 1), (1, 1)]])
def test_parts_that_do_not_make_a_whole_do_not_pass(tmp_path: Path, parts: list[tuple[int, int]]) -> None:
    for number, part in enumerate(parts):
        put(tmp_path / "r", f"e2e-{number}.json", shard(*part))
    assert verdicts_of(tmp_path / "r", "e2e-tests")["e2e-tests"].verdict == "fail"


def test_a_note_says_which_part_a_report_is_of_where_its_format_cannot(tmp_path: Path) -> None:
    put(tmp_path / "r", "unit-1.xml", the_report("vitest", "pass").read_bytes(), shard="1/2")
    assert verdicts_of(tmp_path / "r", "unit-tests")["unit-tests"].verdict == "fail"
    put(tmp_path / "r", "unit-2.xml", the_report("vitest", "pass").read_bytes(), shard="2/2")
    assert verdicts_of(tmp_path / "r", "unit-tests")["unit-tests"].verdict == "pass"


def test_a_global_timeout_is_an_error_outside_of_tests(tmp_path: Path) -> None:
    report = json.loads(the_report("playwright-json", "pass").read_bytes())
    report["errors"] = [{"message": "Timed out waiting 3s for the test suite to run"}]
    put(tmp_path / "r", "e2e.json", json.dumps(report).encode())
    verdict = verdicts_of(tmp_path / "r", "e2e-tests")["e2e-tests"]
    assert (verdict.verdict, "Timed out waiting" in verdict.reason) == ("fail", True)


# Tests that are none

_PASSED = '<testcase classname="C" name="a" assertions="1"/>'
_SUITE = '<testsuites><testsuite name="all" tests="50">' + '<testcase name="x"/>' * 50 + "</testsuite>{}</testsuites>"


@pytest.mark.parametrize(
    ("xml", "figure", "words"),
    [
        (_SUITE.format('<testsuite name="empty" tests="0"/>'), 5000 / 51, "empty: none of its 0 tests ran"),
        (_SUITE.format('<testsuite name="off" tests="1"><testcase name="y"><skipped/></testcase></testsuite>'), 5000 / 51, "off: none"),
        (f'<testsuites><testsuite name="T" tests="2">{_PASSED}<testcase name="Warning"><warning type="PHPUnit\\Framework\\Warning">'
         "No tests found in class</warning></testcase></testsuite></testsuites>", 50, "Warning"),
        (f'<testsuites><testsuite name="T" tests="2">{_PASSED}<testcase name="risky"><error type="PHPUnit\\Framework\\RiskyTestError">'
         "no assertions</error></testcase></testsuite></testsuites>", 50, "risky"),
    ],
)  # fmt: skip
def test_what_looks_like_a_test_and_is_none_does_not_pass(tmp_path: Path, xml: str, figure: float, words: str) -> None:
    put(tmp_path / "r", "unit.xml", xml.encode())
    verdict = verdicts_of(tmp_path / "r", "unit-tests")["unit-tests"]
    assert verdict.verdict == "fail"
    assert verdict.figure == pytest.approx(figure)
    assert words in verdict.reason


@pytest.mark.parametrize(
    "xml",
    [
        '<testsuite name="T" tests="1"><testcase name="a" assertions="0"/></testsuite>',
        '<testsuites><testsuite name="T" tests="1"><testcase name="incomplete"><skipped/></testcase></testsuite></testsuites>',
    ],
)
def test_tests_that_assert_nothing_or_are_incomplete_prove_nothing(tmp_path: Path, xml: str) -> None:
    put(tmp_path / "r", "unit.xml", xml.encode())
    assert evidence_of(tmp_path / "r", "unit-tests")[0].problem == "nothing-checked"


@pytest.mark.parametrize(
    "xml",
    [
        '<testsuites name="Mocha Tests" tests="1"><testsuite name="Root Suite" tests="0"/><testsuite name="s" tests="1">'
        '<testcase name="a"/></testsuite></testsuites>',
        '<testsuites><testsuite name="C" tests="2"><testcase name="a" assertions="1"/><testsuite name="C::provided" tests="1">'
        '<testcase name="b"><skipped/></testcase></testsuite></testsuite></testsuites>',
    ],
)
def test_suites_that_a_runner_writes_for_its_own_sake_fail_nothing(tmp_path: Path, xml: str) -> None:
    put(tmp_path / "r", "unit.xml", xml.encode())
    assert verdicts_of(tmp_path / "r", "unit-tests")["unit-tests"].verdict == "pass"


def test_skipped_tests_are_named_and_fail_nothing(tmp_path: Path) -> None:
    xml = b'<testsuite name="s" tests="2"><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite>'
    put(tmp_path / "r", "unit.xml", xml)
    verdict = verdicts_of(tmp_path / "r", "unit-tests")["unit-tests"]
    assert (verdict.verdict, verdict.remarks) == ("pass", ("r/unit.xml: 1 test skipped",))


def test_a_run_of_eslint_in_which_every_file_was_ignored_looked_at_nothing(tmp_path: Path) -> None:
    message = {"fatal": False, "severity": 1, "message": 'File ignored because of a matching ignore pattern. Use "--no-ignore".'}
    entry = {"filePath": "/src/a.ts", "messages": [message], "errorCount": 0, "warningCount": 1}
    put(tmp_path / "r", "eslint.json", json.dumps([entry]).encode())
    assert evidence_of(tmp_path / "r", "eslint")[0].problem == "nothing-checked"
    put(tmp_path / "r", "eslint.json", json.dumps({"results": [{**entry, "messages": []}], "metadata": {}}).encode())
    assert verdicts_of(tmp_path / "r", "eslint")["eslint"].verdict == "pass"


@pytest.mark.parametrize(
    ("asked", "final", "problem"),
    [
        ("https://example.at/", "https://example.at/login", "incomplete"),
        ("https://example.at/", "https://sso.example.at/", "incomplete"),
        ("https://example.at/a?x=1", "https://example.at/a", "incomplete"),
        ("http://example.at", "https://example.at/", None),
        ("https://example.at/a/", "https://www.example.at/a#top", None),
    ],
)
def test_lighthouse_on_the_page_one_was_redirected_to_says_nothing_of_the_page(
    tmp_path: Path, asked: str, final: str, problem: str | None
) -> None:
    report = json.loads(the_report("lighthouse", "pass").read_bytes())
    report.update(requestedUrl=asked, finalUrl=final, finalDisplayedUrl=final)
    put(tmp_path / "r", "lighthouse.json", json.dumps(report).encode())
    (found,) = evidence_of(tmp_path / "r", "lighthouse-seo")
    assert found.problem == problem
    if problem:
        assert f"{asked}: it was redirected to {final}" in found.detail


@pytest.mark.parametrize("url", ["", "http://[", "not a url", "/login"])
def test_what_is_no_url_is_no_page(url: str) -> None:
    assert not is_same_page(url, url)
    assert not is_same_page("https://example.at/", url)


def test_what_axe_could_not_decide_is_named(tmp_path: Path) -> None:
    report = json.loads(the_report("axe", "pass").read_bytes())
    (page,) = report if isinstance(report, list) else [report]
    page["incomplete"] = [{"id": "color-contrast", "tags": ["wcag2aa"], "nodes": []}]
    put(tmp_path / "r", "axe.json", json.dumps(page).encode())
    verdict = verdicts_of(tmp_path / "r", "wcag")["wcag"]
    assert (verdict.verdict, "1 check left for a person" in verdict.remarks[0]) == ("pass", True)


@pytest.mark.parametrize(
    "only",
    [{"type": "tag", "values": ["best-practice"]}, {"type": "tag", "values": ["wcag2a"]}, {"type": "rule", "values": ["region"]}],
)
def test_axe_without_the_rules_of_wcag_aa_looked_at_something_else(tmp_path: Path, only: dict[str, Any]) -> None:
    report = json.loads(the_report("axe", "pass").read_bytes())
    (page,) = report if isinstance(report, list) else [report]
    page["toolOptions"] = {"runOnly": only}
    put(tmp_path / "r", "axe.json", json.dumps(page).encode())
    assert evidence_of(tmp_path / "r", "wcag")[0].problem == "incomplete"


# Coverage

_ABSOLUTE = b"SF:/home/ci/repo/src/a.ts\nDA:1,0\nDA:2,1\nend_of_record\n"
_RELATIVE = b"SF:./src/a.ts\nDA:1,1\nDA:2,0\nend_of_record\n"
_WINDOWS = b"SF:C:\\home\\ci\\repo\\src\\a.ts\nDA:1,1\nDA:2,0\nend_of_record\n"


@pytest.mark.parametrize("other", [_RELATIVE, _WINDOWS])
def test_a_file_of_two_reports_counts_once_whatever_its_path_looks_like(tmp_path: Path, other: bytes) -> None:
    put(tmp_path / "r", "coverage-1.info", _ABSOLUTE)
    put(tmp_path / "r", "coverage-2.info", other)
    assert {(found.figure, found.count) for found in evidence_of(tmp_path / "r", "coverage")} == {(100.0, 2)}


def test_two_files_of_one_name_stay_two(tmp_path: Path) -> None:
    put(tmp_path / "r", "coverage-1.info", b"SF:src/index.ts\nDA:1,1\nDA:2,1\nend_of_record\n")
    put(tmp_path / "r", "coverage-2.info", b"SF:src/index.ts\nDA:1,0\nDA:2,0\nDA:3,0\nDA:4,0\nend_of_record\n")
    (found, _) = evidence_of(tmp_path / "r", "coverage")
    assert found.figure == pytest.approx(100 / 3)
    assert found.count == 6


def test_formats_are_joined_and_sums_alone_are_not(tmp_path: Path) -> None:
    clover = (
        b'<coverage generated="1795470000"><project timestamp="1"><metrics statements="2" coveredstatements="1" files="1"/>'
        b'<file name="a.ts" path="/repo/src/a.ts"><metrics statements="2" coveredstatements="1"/><line num="1" count="1" type="stmt"/>'
        b'<line num="2" count="0" type="stmt"/></file></project></coverage>'
    )
    istanbul = {
        "/repo/src/a.ts": {
            "path": "/repo/src/a.ts",
            "statementMap": {str(n): {"start": {"line": n}} for n in (1, 2)},
            "s": {"1": 0, "2": 5},
        }
    }
    put(tmp_path / "r", "clover.xml", clover)
    put(tmp_path / "r", "coverage-final.json", json.dumps(istanbul).encode())
    assert {found.figure for found in evidence_of(tmp_path / "r", "coverage")} == {100.0}
    summary = {"total": {"lines": {"total": 2, "covered": 2}}, "/repo/src/a.ts": {"lines": {"total": 2, "covered": 2}}}
    put(tmp_path / "r", "coverage-summary.json", json.dumps(summary).encode())
    assert {found.problem for found in evidence_of(tmp_path / "r", "coverage")} == {"incomplete"}


def test_a_class_that_is_missing_from_phpunits_cobertura_is_missed(tmp_path: Path) -> None:
    text = (HERE / "phpunit-cobertura.xml").read_text()
    cut = text[: text.index('  <class name="helpers"')] + text[text.index(" </classes>") :]
    put(tmp_path / "r", "coverage.xml", cut.encode())
    assert evidence_of(tmp_path / "r", "coverage")[0].problem == "incomplete"


def test_comments_in_a_tracefile_are_no_fault(tmp_path: Path) -> None:
    put(tmp_path / "r", "lcov.info", b"# made by CI\nTN:\nSF:a.ts\n# a remark\nDA:1,1\nend_of_record\n")
    assert verdicts_of(tmp_path / "r", "coverage")["coverage"].verdict == "pass"


@pytest.mark.parametrize("line", ["99999999", "5000001"])
def test_a_line_that_no_file_has_is_refused(tmp_path: Path, line: str) -> None:
    put(tmp_path / "r", "lcov.info", f"SF:a.ts\nDA:{line},1\nend_of_record\n".encode())
    assert evidence_of(tmp_path / "r", "coverage")[0].problem == "too-large"


# Severity


@pytest.mark.parametrize(
    ("words", "scores", "level", "severe"),
    [
        (["HIGH"], ["6.5"], None, True), (["MEDIUM"], [7.8], None, False), (["UNKNOWN"], [], None, True), ([], [10.0], None, True),
        (["unknown"], [4.0], None, False), ([], ["0.0"], "error", True), ([], ["0.0"], "note", False), ([], [], None, True),
        ([], ["new"], None, True), ([], [-1], None, True), ([], [float("nan")], None, True), (["Negligible"], [], None, False),
        ([None], [None], "warning", False), (["low", "critical"], [], None, True), ([], [6.9, 7.0], None, True),
    ],
)  # fmt: skip
def test_severity_is_one_function_and_unknown_is_severe(
    words: list[Any], scores: list[Any], level: str | None, severe: bool
) -> None:
    assert is_severe(words, scores, level) is severe


def trivy(**result: Any) -> bytes:
    entry = {"Target": "package-lock.json", "Class": "lang-pkgs", **result}
    return json.dumps({"SchemaVersion": 2, "ArtifactType": "filesystem", "Results": [entry]}).encode()


@pytest.mark.parametrize(
    ("report", "figure"),
    [
        (trivy(Misconfigurations=[{"ID": "DS1", "Severity": "HIGH", "Status": "PASS"}]), 0),
        (trivy(Misconfigurations=[{"ID": "DS1", "Severity": "HIGH", "Status": "FAIL"}]), 1),
        (trivy(Misconfigurations=[{"ID": "DS1", "Severity": "HIGH"}]), 1),
        (trivy(Vulnerabilities=[{"VulnerabilityID": "CVE-1", "Severity": "UNKNOWN"}]), 1),
        (trivy(Vulnerabilities=[{"VulnerabilityID": "CVE-1", "Severity": "UNKNOWN", "CVSS": {"nvd": {"V40Score": 5.1}}}]), 0),
        (trivy(Licenses=[{"Name": "AGPL-3.0", "Severity": "CRITICAL"}]), 1),
    ],
)
def test_trivys_entries_count_by_what_trivy_says_of_them(tmp_path: Path, report: bytes, figure: float) -> None:
    put(tmp_path / "r", "trivy.json", report)
    assert evidence_of(tmp_path / "r", "trivy")[0].figure == figure


def test_trivy_that_looked_at_no_package_did_not_look_for_vulnerabilities(tmp_path: Path) -> None:
    put(tmp_path / "r", "trivy.json", trivy(Class="config"))
    assert evidence_of(tmp_path / "r", "trivy")[0].problem == "incomplete"


@pytest.mark.parametrize(
    ("report", "tool"),
    [
        ({"matches": [], "source": {}, "distro": {}, "descriptor": {"name": "grype"}}, "Grype"),
        ({"auditReportVersion": 2, "vulnerabilities": {}}, "npm audit"),
        ({"results": [{"source": {"path": "a"}, "packages": []}], "experimental_config": {}}, "OSV-Scanner"),
        ({"bomFormat": "CycloneDX", "specVersion": "1.6"}, "CycloneDX"),
        ({"message": "Not Found", "documentation_url": "x"}, "an error of GitHub's API"),
        ([{"filePath": "a", "messages": []}], "ESLint"),
    ],
)
def test_another_tools_report_is_refused_by_name_with_the_command_that_makes_the_right_one(
    tmp_path: Path, report: Any, tool: str
) -> None:
    put(tmp_path / "r", "trivy.json", json.dumps(report).encode())
    (found,) = evidence_of(tmp_path / "r", "trivy")
    assert found.problem == "wrong-tool"
    assert tool in found.detail
    assert "trivy fs" in found.detail


def test_what_tells_no_tool_is_named_by_none() -> None:
    import io

    for content in (b"", b"<a/>", b"[", b'{"a": "matches"}', b"\xff\xfe", b'{"x": {"matches": 1, "descriptor": 2}}'):
        assert shapes.named(io.BytesIO(content)) is None


# Messages


@pytest.mark.parametrize(
    ("name", "content", "words", "never"),
    [
        ("eslint.json", b'[{"filePath": "a"', "is cut short", "no JSON"),
        ("eslint.json", b"Oops! Something went wrong", "is not JSON", "cut short"),
        ("unit.xml", b"<testsuites><testsuite", "is cut short", "no XML"),
        ("unit.xml", b"<testsuites></testsuite>", "is no XML", "cut short"),
        ("unit.xml", b"Segmentation fault", "is no XML", "cut short"),
    ],
)
def test_a_report_is_called_cut_short_only_where_it_is(tmp_path: Path, name: str, content: bytes, words: str, never: str) -> None:
    put(tmp_path / "r", name, content)
    (found,) = evidence_of(tmp_path / "r", "eslint" if name == "eslint.json" else "unit-tests")
    assert words in found.detail
    assert never not in found.detail


def test_gitleaks_null_is_an_empty_list(tmp_path: Path) -> None:
    put(tmp_path / "r", "gitleaks.json", b"null\n")
    assert verdicts_of(tmp_path / "r", "gitleaks")["gitleaks"].verdict == "pass"
    put(tmp_path / "r", "gitleaks.json", b"null\n", count=None)
    assert verdicts_of(tmp_path / "r", "gitleaks")["gitleaks"].verdict == "fail"


@pytest.mark.parametrize(
    ("case", "gate", "name"), [("axe", "wcag", "axe.json"), ("lighthouse", "lighthouse-seo", "lighthouse.json")]
)
def test_a_page_that_is_missing_from_a_report_of_several_is_missed(tmp_path: Path, case: str, gate: str, name: str) -> None:
    report = json.loads(the_report(case, "pass").read_bytes())
    pages = report if isinstance(report, list) else [report]
    put(tmp_path / "r", name, json.dumps(pages).encode(), count=len(pages))
    assert evidence_of(tmp_path / "r", gate)[0].problem is None
    put(tmp_path / "r", name, json.dumps(pages).encode(), count=len(pages) + 1)
    assert evidence_of(tmp_path / "r", gate)[0].problem == "incomplete"
