"""Ways in which the truth behind a green report could be red: each makes another report, and the note beside it, as a tool, a wrapper or a
cut could have left them. The note is written anew for the changed report unless the mutant is about just that."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

Note = dict[str, Any]
"""Changes to the note, as ``folder.put`` takes them."""
Mutant = tuple[str, bytes, Note]

CUT = "the last entry cut off, and the brackets closed"

NOTES: dict[str, Note] = {
    "exit code 1": {"exitCode": 1},
    "exit code 2": {"exitCode": 2},
    "interrupted (exit code 130)": {"exitCode": 130},
    "killed (signal 9)": {"exitCode": -9},
    "exit code not known": {"exitCode": None},
    "another commit": {"commit": "f" * 40},
    "uncommitted changes": {"dirty": True},
    "two days old": {"time": "2026-11-28T06:00:00Z"},
    "of tomorrow": {"time": "2026-12-01T06:00:00Z"},
    "a part of three": {"shard": "1/3"},
    "a wrapper's stand-in": {"toolVersion": "fallback"},
    "changed after its note": {"sha256": "0" * 64},
}
"""Of every format."""


def mutants(form: str, data: bytes) -> Iterator[Mutant]:
    """Every mutant of a green report."""
    for name, changes in NOTES.items():
        yield name, data, changes
    yield "cut in the middle", data[: len(data) // 2], {}
    yield "empty", b"", {}
    for name, content in OF_FORMAT[form](data):
        if content != data:
            yield name, content, {}


Change = Callable[[bytes], Iterator[tuple[str, bytes]]]


def _junit(data: bytes) -> Iterator[tuple[str, bytes]]:
    text = data.decode()
    cases = list(re.finditer(r"<testcase\b[^>]*?(/>|>.*?</testcase>)", text, re.DOTALL))
    ran = next(case for case in cases if "<skipped" not in case.group() and 'assertions="0"' not in case.group())
    opened = re.sub(r"/>$", ">", ran.group()).removesuffix("</testcase>")
    for tag in ("failure", "error"):
        yield f"one test with <{tag}>", text.replace(ran.group(), f'{opened}<{tag} message="no"/></testcase>', 1).encode()
    for name in ("failures", "errors"):
        pattern = rf'(<testsuite\b[^>]*?\b{name}=")0"'
        yield f'a suite that reports {name}="1"', re.sub(pattern, r'\g<1>1"', text, count=1).encode()
    half = len(cases) // 2
    yield "the second half of the tests cut off", (text[: cases[half].start()] + text[cases[-1].end() :]).encode()
    yield "all tests skipped", _all_cases(text, "<skipped/>").encode()
    yield "no test", (text[: cases[0].start()] + text[cases[-1].end() :]).encode()
    suite = '<testsuite name="empty" tests="0" failures="0" errors="0"></testsuite>'
    yield "a suite without a test beside the others", re.sub(r"(</testsuites>\s*)$", rf"{suite}\1", text).encode()


def _all_cases(text: str, inner: str) -> str:
    return re.sub(
        r"<testcase\b([^>]*?)(/>|>.*?</testcase>)",
        lambda case: f"<testcase{case.group(1)}>{inner}</testcase>",
        text,
        flags=re.DOTALL,
    )


def _json(data: bytes, changes: dict[str, Callable[[Any], Any]]) -> Iterator[tuple[str, bytes]]:
    """Each change gets a copy and changes it in place, or gives another value."""
    for name, change in changes.items():
        value = copy.deepcopy(json.loads(data))
        changed = change(value)
        yield name, json.dumps(value if changed is None else changed).encode()


def _tests_of(report: dict[str, Any]) -> list[dict[str, Any]]:
    def of(suite: dict[str, Any]) -> list[dict[str, Any]]:
        return [t for spec in suite.get("specs", []) for t in spec["tests"]] + [
            t for inner in suite.get("suites", []) for t in of(inner)
        ]

    return [test for suite in report["suites"] for test in of(suite)]


def _ran(report: dict[str, Any]) -> dict[str, Any]:
    return next(test for test in _tests_of(report) if test["status"] == "expected")


def _playwright(data: bytes) -> Iterator[tuple[str, bytes]]:
    def unexpected(report: Any) -> None:
        _ran(report)["status"] = "unexpected"

    def interrupted(report: Any) -> None:
        test = _ran(report)
        test["status"] = "skipped"
        test["results"][0]["status"] = "interrupted"
        if "stats" in report:
            report["stats"]["expected"] -= 1
            report["stats"]["skipped"] += 1

    def did_not_run(report: Any) -> None:
        test = _ran(report)
        test.update(status="skipped", results=[])
        if "stats" in report:
            report["stats"]["expected"] -= 1
            report["stats"]["skipped"] += 1

    yield from _json(
        data,
        {
            "one test unexpected": unexpected,
            "one test interrupted": interrupted,
            "one test did not run": did_not_run,
            "one more unexpected in stats": lambda r: r.setdefault("stats", {}).update(unexpected=1) if "stats" in r else [],
            "one shard of three": lambda r: r["config"].update(shard={"current": 1, "total": 3}),
            "an error outside of tests": lambda r: r["errors"].append({"message": "Timed out waiting for the test suite to run"}),
            "the second file cut off": lambda r: r["suites"].pop(),
            "no test": lambda r: r["suites"].clear(),
        },
    )


def _uncovered(pattern: str) -> Callable[[str], str]:
    """Every line's count becomes 0, the sums stay."""
    return lambda text: re.sub(pattern, r"\g<1>0\g<3>", text)


def _cobertura(data: bytes) -> Iterator[tuple[str, bytes]]:
    text = data.decode()
    classes = list(re.finditer(r"<class\b.*?</class>", text, re.DOTALL))
    yield "no line hit", _uncovered(r'(hits=")(\d+)(")')(text).encode()
    yield "fewer lines covered in the sum", re.sub(r'lines-covered="\d+"', 'lines-covered="0"', text).encode()
    yield "more lines in the sum", re.sub(r'lines-valid="(\d+)"', lambda m: f'lines-valid="{int(m.group(1)) * 3}"', text).encode()
    if len(classes) > 1:
        yield "the last classes cut off", (text[: classes[len(classes) // 2].start()] + text[classes[-1].end() :]).encode()
    yield "no class", (text[: classes[0].start()] + text[classes[-1].end() :]).encode()


def _clover(data: bytes) -> Iterator[tuple[str, bytes]]:
    text = data.decode()
    files = list(re.finditer(r"<file\b.*?</file>", text, re.DOTALL))
    yield "no line hit", _uncovered(r'(<line [^>]*?count=")(\d+)(")')(text).encode()
    if len(files) > 1:
        yield "the last file cut off", (text[: files[-1].start()] + text[files[-1].end() :]).encode()
    yield "no file", (text[: files[0].start()] + text[files[-1].end() :]).encode()


def _lcov(data: bytes) -> Iterator[tuple[str, bytes]]:
    text = data.decode()
    lowered = re.sub(r"^(LH:)\d+", r"\g<1>0", text, flags=re.MULTILINE)
    yield "no line hit", _uncovered(r"(DA:\d+,)(\d+)()")(lowered).encode()
    yield "no line hit, sums as before", _uncovered(r"(DA:\d+,)(\d+)()")(text).encode()
    yield "sums of 0", lowered.encode()
    yield "the end of the last record cut off", text.rstrip().removesuffix("end_of_record").encode()
    yield "no record", b"TN:\n"
    uncovered = re.sub(r"^SF:.*", "SF:another/file", _uncovered(r"(DA:\d+,)(\d+)()")(lowered), flags=re.MULTILINE)
    yield "as many lines again, uncovered, under another name", (text + uncovered).encode()
    yield CUT, text[: text.rstrip().removesuffix("end_of_record").rfind("end_of_record") + len("end_of_record\n")].encode()
    first = text[: text.index("end_of_record") + len("end_of_record\n")]
    yield "and its covered part ten times over", (text + uncovered + first * 10).encode()


def _coverage_py(data: bytes) -> Iterator[tuple[str, bytes]]:
    def last_cut(report: Any) -> None:
        report["files"].pop(list(report["files"])[-1])

    yield from _json(
        data,
        {
            "no line covered in the totals": lambda r: r["totals"].update(covered_lines=0),
            "a file cut off": last_cut,
            "no file": lambda r: r["files"].clear(),
            "no totals": lambda r: r.pop("totals") and None,
        },
    )


def _istanbul(data: bytes) -> Iterator[tuple[str, bytes]]:
    def unhit(report: Any) -> None:
        for entry in report.values():
            entry["s"] = dict.fromkeys(entry["s"], 0)

    def uncounted(report: Any) -> None:
        for entry in report.values():
            entry["s"] = dict(list(entry["s"].items())[:1])

    yield from _json(
        data,
        {
            "no statement hit": unhit,
            "counts cut off": uncounted,
            "no file": lambda r: r.clear(),
            CUT: lambda r: r.popitem() and None,
        },
    )


def _istanbul_summary(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield from _json(
        data,
        {
            "no line covered in the total": lambda r: r["total"]["lines"].update(covered=0),
            "a file cut off": lambda r: {key: r[key] for key in list(r)[:-1]} if len(r) > 2 else r,
            "no total": lambda r: r.pop("total") and None,
        },
    )


_ERROR = {"ruleId": "x", "severity": 2, "message": "no", "line": 1, "column": 1}


def _eslint(data: bytes) -> Iterator[tuple[str, bytes]]:
    def files(report: Any) -> Any:
        return report["results"] if isinstance(report, dict) else report

    def ignored(report: Any) -> None:
        for entry in files(report):
            entry["messages"] = [{"fatal": False, "severity": 1, "message": "File ignored because of a matching ignore pattern."}]

    yield from _json(
        data,
        {
            "one error": lambda r: files(r)[0]["messages"].append(_ERROR),
            "one fatal error": lambda r: files(r)[-1]["messages"].append({**_ERROR, "fatal": True, "ruleId": None}),
            "a file that counts one error": lambda r: files(r)[0].update(errorCount=1),
            "every file ignored": ignored,
            "no file": lambda r: files(r).clear(),
            CUT: lambda r: files(r).pop() and None,
        },
    )


def _sarif(severe: dict[str, Any], tool: str) -> Change:
    def add(report: Any) -> None:
        run = report["runs"][0]
        run["tool"]["driver"].setdefault("rules", []).append({"id": "new-rule", **severe})
        run["results"].append({"ruleId": "new-rule", "level": severe.get("level", "error"), "message": {"text": "no"}})

    def change(data: bytes) -> Iterator[tuple[str, bytes]]:
        yield from _json(
            data,
            {
                "one result": add,
                "a result of a rule that is not known": lambda r: r["runs"][0]["results"].append({"message": {"text": "no"}}),
                "no run": lambda r: r["runs"].clear(),
                "no list of results": lambda r: r["runs"][0].pop("results") and None,
                "not successful by its own word": lambda r: r["runs"][0].update(invocations=[{"executionSuccessful": False}]),
                "exit code 2 by its own word": lambda r: r["runs"][0].update(
                    invocations=[{"executionSuccessful": True, "exitCode": 2}]
                ),
                "of another tool": lambda r: r["runs"][0]["tool"]["driver"].update(name=f"not {tool}"),
            },
        )

    return change


def _jscpd(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield from _json(
        data,
        {
            "more duplicated lines": lambda r: r["statistics"]["total"].update(duplicatedLines=r["statistics"]["total"]["lines"]),
            "a larger percentage": lambda r: r["statistics"]["total"].update(percentage=40),
            "a clone that the total does not count": lambda r: r["duplicates"].append({"firstFile": {"name": "a"}}),
            "no lines": lambda r: r["statistics"]["total"].update(lines=0, sources=0),
        },
    )


def _axe(data: bytes) -> Iterator[tuple[str, bytes]]:
    violation = {"id": "image-alt", "tags": ["wcag2a"], "nodes": [{"html": "<img>"}]}
    yield from _json(
        data,
        {
            "one violation": lambda r: r["violations"].append(violation),
            "one violation without an element": lambda r: r["violations"].append({**violation, "nodes": []}),
            "one violation without tags": lambda r: r["violations"].append({**violation, "tags": []}),
            "no check": lambda r: r.update(passes=[], violations=[]),
            "no list of violations": lambda r: r.pop("violations") is None and None,
            "best practices only": lambda r: r.update(toolOptions={"runOnly": {"type": "tag", "values": ["best-practice"]}}),
            "one rule only": lambda r: r.update(toolOptions={"runOnly": {"type": "rule", "values": ["region"]}}),
            "of another engine": lambda r: r["testEngine"].update(name="htmlcs"),
            "no page": lambda r: [],
        },
    )


def _pa11y(data: bytes) -> Iterator[tuple[str, bytes]]:
    issue = {"code": "WCAG2AA.1", "type": "error", "selector": "img", "message": "no"}
    yield from _json(
        data,
        {
            "one error": lambda r: r.append(issue),
            "one of a type that is not known": lambda r: r.append({**issue, "type": "fatal"}),
            "an entry without a type": lambda r: r.append({"code": "x"}),
        },
    )


def _pa11y_ci(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield from _json(
        data,
        {
            "one error in the total": lambda r: r.update(errors=1),
            "one error of a page": lambda r: r["results"][next(iter(r["results"]))].append(
                {"code": "x", "type": "error", "selector": "a"}
            ),
            "a page cut off": lambda r: r.update(results=dict(list(r["results"].items())[1:])),
            "no page": lambda r: r.update(total=0, passes=0, results={}),
        },
    )


def _cyclonedx(data: bytes) -> Iterator[tuple[str, bytes]]:
    def rated(**rating: Any) -> Callable[[Any], None]:
        return lambda r: r.setdefault("vulnerabilities", []).append({"id": "CVE-1", "ratings": [rating]})

    yield from _json(
        data,
        {
            "one vulnerability, high": rated(severity="high"),
            "one vulnerability by its score alone": rated(score=9.8, method="CVSSv31"),
            "one vulnerability by CVSS 4 alone": rated(score=8.1, method="CVSSv4"),
            "one vulnerability of severity unknown": rated(severity="unknown"),
            "one vulnerability without a rating": lambda r: r.setdefault("vulnerabilities", []).append({"id": "CVE-1"}),
            CUT: lambda r: r["components"].pop() and None,
            "no component": lambda r: r.update(components=[]),
            "of another format": lambda r: r.update(bomFormat="SPDX"),
        },
    )


def _trivy(data: bytes) -> Iterator[tuple[str, bytes]]:
    def found(key: str, **entry: Any) -> Callable[[Any], None]:
        def add(report: Any) -> None:
            result = report["Results"][0]
            result[key] = [*(result.get(key) or []), {"VulnerabilityID": "CVE-1", "ID": "DS1", "RuleID": "r", "Name": "n", **entry}]

        return add

    yield from _json(
        data,
        {
            "one HIGH": found("Vulnerabilities", Severity="HIGH"),
            "one CRITICAL": found("Vulnerabilities", Severity="CRITICAL"),
            "one UNKNOWN": found("Vulnerabilities", Severity="UNKNOWN"),
            "one of a severity that is new": found("Vulnerabilities", Severity="URGENT"),
            "one without a severity": found("Vulnerabilities"),
            "one misconfiguration": found("Misconfigurations", Severity="HIGH", Status="FAIL"),
            "one secret": found("Secrets", Severity="CRITICAL"),
            "one licence": found("Licenses", Severity="HIGH"),
            CUT: lambda r: r["Results"].pop() and None,
            "no target": lambda r: r.update(Results=[]),
            "no package looked at": lambda r: [x.update(Class="config") for x in r["Results"]] and None,
            "of another schema": lambda r: r.update(SchemaVersion=3),
        },
    )


def _gitleaks(data: bytes) -> Iterator[tuple[str, bytes]]:
    leak = {"RuleID": "aws", "File": "a", "StartLine": 1}
    yield "one secret", json.dumps([leak]).encode()
    yield "an entry that is no finding", b"[{}]"
    yield "an error message", b'{"error": "no"}'


def _lighthouse(data: bytes) -> Iterator[tuple[str, bytes]]:
    def score(value: Any) -> Callable[[Any], None]:
        return lambda r: r["categories"]["seo"].update(score=value)

    yield from _json(
        data,
        {
            "a lower score": score(0.5),
            "no score": score(None),
            "a score of 95": score(95),
            "a category that is missing": lambda r: r["categories"].pop("seo") and None,
            "a run that failed": lambda r: r.update(runtimeError={"code": "NO_FCP", "message": "x"}),
            "redirected to the login": lambda r: r.update(finalUrl="https://x.at/login", finalDisplayedUrl="https://x.at/login"),
            "another page asked for": lambda r: r.update(requestedUrl="https://x.at/other"),
            "no result": lambda r: [],
        },
    )


_HIGH = {"properties": {"security-severity": "8.1", "tags": ["HIGH"]}, "defaultConfiguration": {"level": "error"}}
OF_FORMAT: dict[str, Change] = {
    **dict.fromkeys(("pytest", "vitest", "jest", "node-test", "phpunit", "playwright-junit"), _junit),
    **dict.fromkeys(("coverage-xml", "js-cobertura", "phpunit-cobertura"), _cobertura),
    **dict.fromkeys(("clover", "phpunit-clover"), _clover),
    **dict.fromkeys(("coverage-lcov", "js-lcov"), _lcov),
    "playwright": _playwright,
    "coverage-json": _coverage_py,
    "istanbul": _istanbul,
    "istanbul-summary": _istanbul_summary,
    "eslint": _eslint,
    "eslint-meta": _eslint,
    "eslint-sarif": _sarif({"defaultConfiguration": {"level": "error"}}, "ESLint"),
    "jscpd": _jscpd,
    "axe": _axe,
    "pa11y": _pa11y,
    "pa11y-ci": _pa11y_ci,
    "cyclonedx": _cyclonedx,
    "trivy": _trivy,
    "trivy-sarif": _sarif(_HIGH, "Trivy"),
    "gitleaks": _gitleaks,
    "gitleaks-sarif": _sarif({}, "gitleaks"),
    "lighthouse": _lighthouse,
}
