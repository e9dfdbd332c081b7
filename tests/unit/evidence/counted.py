"""What a report says, counted by a few lines for each format that share nothing with the readers: the whole file in memory, counted by
regular expressions or as plain JSON. For the figures of the corpus."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any


def _attribute(tag: str, name: str) -> int:
    found = re.search(rf'\b{name}="(\d+)"', tag)
    return int(found.group(1)) if found else 0


def junit(data: bytes) -> float:
    """By the sums that the outermost suites declare; a suite in which nothing ran is a unit that did not pass."""
    text = data.decode()
    cases = re.findall(r"<testcase\b[^>]*?(?:/>|>.*?</testcase>)", text, re.DOTALL)
    bad = [case for case in cases if re.search(r"<(failure|error|warning)\b", case)]
    idle = [case for case in cases if case not in bad and ("<skipped" in case or 'assertions="0"' in case)]
    ran = len(cases) - len(idle)
    suites = re.findall(r"<testsuite\b[^>]*>", text)
    nested = re.search(r"<testsuite\b[^>]*[^/]>\s*<testsuite\b", text) or "</testsuite></testsuite>" in text
    outermost = suites[:1] if nested else suites
    failed = max(len(bad), sum(_attribute(tag, "failures") + _attribute(tag, "errors") for tag in outermost))
    flat = re.findall(r"<testsuite\b[^>]*>(?:(?!<testsuite\b).)*?</testsuite>", text, re.DOTALL)
    empty = [
        suite
        for suite in flat
        if suite.count("<testcase") == len(re.findall(r'<skipped|<testcase\b[^>]*assertions="0"[^>]*/>', suite))
        and "<failure" not in suite
        and "<error" not in suite
    ]
    return 100 * (ran - failed) / (ran + len(empty))


def pytest(data: bytes) -> float:
    """By the suite's own sums: a test without a failure or error in its case passed."""
    tag = re.findall(r"<testsuite\b[^>]*>", data.decode())[0]
    cases = data.decode().split("<testcase")[1:]
    ran = sum("<skipped" not in case for case in cases)
    failed = max(
        sum("<failure" in case or "<error" in case for case in cases), _attribute(tag, "failures") + _attribute(tag, "errors")
    )
    return 100 * (ran - failed) / ran


def playwright(data: bytes) -> float:
    report = json.loads(data)
    suites = report["suites"]
    statuses = [spec["tests"][0]["status"] for suite in suites for spec in _specs(suite)]
    good = statuses.count("expected") + statuses.count("flaky")
    bad = statuses.count("unexpected") + len(report.get("errors", []))
    idle = sum(all(spec["tests"][0]["status"] == "skipped" for spec in specs) for specs in map(_specs, suites))
    return 100 * good / (good + bad + idle)


def _specs(suite: dict[str, Any]) -> list[Any]:
    return [*suite.get("specs", []), *(spec for inner in suite.get("suites", []) for spec in _specs(inner))]


def cobertura(data: bytes) -> float:
    root = re.search(r"<coverage\b[^>]*>", data.decode())
    assert root is not None
    return 100 * _attribute(root.group(), "lines-covered") / _attribute(root.group(), "lines-valid")


def clover(data: bytes) -> float:
    lines = {}
    for part in data.decode().split("<file ")[1:]:
        path = re.search(r'(?:path|name)="([^"]*)"', part)
        assert path is not None
        for tag in re.findall(r"<line [^>]*>", part):
            if 'type="method"' not in tag:
                lines[path.group(1), _attribute(tag, "num")] = _attribute(tag, "count")
    return 100 * sum(count > 0 for count in lines.values()) / len(lines)


def lcov(data: bytes) -> float:
    lines = {}
    for record in data.decode().split("SF:")[1:]:
        for number, count in re.findall(r"^DA:(\d+),(\d+)", record, re.MULTILINE):
            lines[record.splitlines()[0], number] = int(count)
    return 100 * sum(count > 0 for count in lines.values()) / len(lines)


def lcov_of_coverage_py(data: bytes) -> float:
    """Older versions list lines that they do not count (docstrings, line 0 of an empty file): all of them ran."""
    known = missing = 0
    for record in data.decode().split("SF:")[1:]:
        known += int((re.findall(r"^LF:(\d+)", record, re.MULTILINE) or ["0"])[0])
        missing += len(re.findall(r"^DA:\d+,0", record, re.MULTILINE))
    return 100 * (known - missing) / known


def coverage_py(data: bytes) -> float:
    totals = json.loads(data)["totals"]
    return 100 * int(totals["covered_lines"]) / int(totals["num_statements"])


def istanbul(data: bytes) -> float:
    covered = known = 0
    for entry in json.loads(data).values():
        starts = {key: place["start"]["line"] for key, place in entry["statementMap"].items()}
        known += len(set(starts.values()))
        covered += len({starts[key] for key, count in entry["s"].items() if count})
    return 100 * covered / known


def istanbul_summary(data: bytes) -> float:
    lines = json.loads(data)["total"]["lines"]
    return 100 * int(lines["covered"]) / int(lines["total"])


def eslint(data: bytes) -> float:
    report = json.loads(data)
    return float(sum(entry["errorCount"] for entry in (report["results"] if isinstance(report, dict) else report)))


def eslint_sarif(data: bytes) -> float:
    return float(sum(result.get("level") == "error" for run in json.loads(data)["runs"] for result in run["results"]))


def jscpd(data: bytes) -> float:
    return float(json.loads(data)["statistics"]["total"]["percentage"])


def axe(data: bytes) -> float:
    return float(sum(len(rule["nodes"]) for rule in json.loads(data)["violations"]))


def pa11y_ci(data: bytes) -> float:
    return float(json.loads(data)["errors"])


def pa11y(data: bytes) -> float:
    return float(sum(issue["type"] == "error" for issue in json.loads(data)))


def cyclonedx(data: bytes) -> float:
    severe = 0
    for entry in json.loads(data).get("vulnerabilities", []):
        ratings = entry.get("ratings", [])
        severe += not ratings or any(
            rating.get("severity") in ("high", "critical")
            or ("score" not in rating and rating.get("severity") in (None, "unknown"))
            for rating in ratings
        )
    return float(severe)


def trivy(data: bytes) -> float:
    lists = ("Vulnerabilities", "Misconfigurations", "Secrets", "Licenses")
    entries = [
        e for result in json.loads(data)["Results"] for key in lists for e in result.get(key) or [] if e.get("Status") != "PASS"
    ]
    return float(
        sum(
            entry["Severity"] in ("HIGH", "CRITICAL") or (entry["Severity"] == "UNKNOWN" and not entry.get("CVSS"))
            for entry in entries
        )
    )


def trivy_sarif(data: bytes) -> float:
    (run,) = json.loads(data)["runs"]
    severe = {
        rule["id"] for rule in run["tool"]["driver"]["rules"] if {"HIGH", "CRITICAL", "UNKNOWN"} & set(rule["properties"]["tags"])
    }
    return float(sum(result["ruleId"] in severe for result in run["results"]))


def gitleaks(data: bytes) -> float:
    return float(len(json.loads(data) or []))


def gitleaks_sarif(data: bytes) -> float:
    return float(sum(len(run["results"]) for run in json.loads(data)["runs"]))


def lighthouse(data: bytes) -> float:
    return float(100 * json.loads(data)["categories"]["seo"]["score"])


Counter = Callable[[bytes], float]
