"""SARIF 2.1.0 of Trivy, Gitleaks, ESLint and others. A result's severity comes from the severity among its rule's tags (Trivy's own
word), else from its rule's ``security-severity``, else from its level."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.report import moment
from evidence.severity import is_severe, is_word

_SUCCESSFUL = "runs.item.invocations.item.executionSuccessful"
_EXIT_CODE = "runs.item.invocations.item.exitCode"


@dataclass(frozen=True)
class _Rule:
    """``words``: severities among its tags; ``score``: its ``security-severity``; ``level``: its default."""

    words: tuple[str, ...] = ()
    score: Any = None
    level: str = "warning"


_UNKNOWN_RULE = _Rule(level="error")


@dataclass
class _Run:
    """One run: its tool, its rules, and its results counted by rule and level."""

    tool: str = ""
    version: str = ""
    commit: str = ""
    time: datetime | None = None
    rules: dict[str, _Rule] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    results: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    artifacts: int = 0
    has_results: bool = False
    failed: bool = False
    exit_code: int | None = None


def read(name: str, stream: BinaryIO, tool: str) -> Reading:
    """The report of ``tool`` (its driver's name). Figures: ``findings``, ``errors``, ``severe``. ``count`` is the number of files or, where
    the tool lists all of its rules, of rules; else a note must say it."""
    runs: list[_Run] = []
    version = ""
    for path, event in _entries(stream):
        if path == "version":
            version = str(event)
        elif path == "run":
            runs.append(_Run())
        elif runs:
            _take(runs[-1], path, event)
    if version != "2.1.0":
        raise ReportError("wrong-tool", "is not a SARIF 2.1.0 report")
    if not runs:
        raise ReportError("nothing-checked", "holds no run")
    for run in runs:
        if run.tool.lower() != tool.lower():
            raise ReportError("wrong-tool", f"was written by {run.tool or 'no named tool'}, not by {tool}")
        if not run.has_results:
            raise ReportError("unreadable", "has a run without a list of results: the tool did not finish")
        if run.failed:
            raise ReportError("unreadable", "says of its own run that it was not successful (executionSuccessful)")
    return _summed(tool, runs)


def _entries(stream: BinaryIO) -> Any:
    """``("run", None)``, ``("rule", {…})``, ``("result", {…})``, and simple facts of a run by path."""
    source = jsonstream.events(stream, "start_map")
    rules = jsonstream.items(source, "runs.item.tool.driver.rules.item")
    for prefix, value in rules:
        if prefix:
            yield "rule", value
            continue
        yield from _facts(value, source)


def _facts(event: jsonstream.Event, source: Any) -> Any:
    path, kind, value = event
    if path == "runs.item" and kind == "start_map":
        yield "run", None
    elif path == "runs.item.results" and kind == "start_array":
        yield "results", None
    elif path == "runs.item.results.item":
        if kind != "start_map":
            raise ReportError("unreadable", "has a result that is not an object")
        yield "result", jsonstream.whole_object(source)
    elif path == "runs.item.artifacts.item" and kind == "start_map":
        yield "artifact", None
    elif path in ("version", _SUCCESSFUL, _EXIT_CODE) or (path.startswith("runs.item.") and kind == "string"):
        yield path, value


def _take(run: _Run, path: str, value: Any) -> None:
    if path == "rule":
        _rule(run, jsonstream.mapping(value, "a rule"))
    elif path == "results":
        run.has_results = True
    elif path == "result":
        _result(run, value)
    elif path == "artifact":
        run.artifacts += 1
    elif path == "runs.item.tool.driver.name":
        run.tool = value[:100]
    elif path in ("runs.item.tool.driver.semanticVersion", "runs.item.tool.driver.version"):
        run.version = value[:100]
    elif path == "runs.item.versionControlProvenance.item.revisionId":
        run.commit = value[:64]
    elif path == "runs.item.invocations.item.endTimeUtc":
        run.time = moment(value)
    elif path == _SUCCESSFUL:
        run.failed = run.failed or value is not True
    elif path == _EXIT_CODE:
        run.exit_code = max(run.exit_code or 0, jsonstream.amount(value, "exitCode"))


def _rule(run: _Run, rule: dict[str, Any]) -> None:
    identifier = str(rule.get("id", ""))[:300]
    properties = rule.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    tags = properties.get("tags")
    words = tuple(str(tag) for tag in tags if is_word(tag)) if isinstance(tags, list) else ()
    configuration = rule.get("defaultConfiguration")
    level = configuration.get("level") if isinstance(configuration, dict) else None
    run.order.append(identifier)
    run.rules[identifier] = _Rule(words, properties.get("security-severity"), level if isinstance(level, str) else "warning")


def _result(run: _Run, result: dict[str, Any]) -> None:
    if result.get("kind", "fail") in ("pass", "notApplicable", "informational"):
        return
    suppressions = result.get("suppressions")
    # A finding that its tool was told to pass over, by somebody who is named in the report, is no finding.
    if (
        isinstance(suppressions, list)
        and suppressions
        and all(isinstance(s, dict) and s.get("status", "accepted") == "accepted" for s in suppressions)
    ):
        return
    rule = result.get("rule")
    identifier = result.get("ruleId", rule.get("id") if isinstance(rule, dict) else "")
    index = result.get("ruleIndex", -1)
    level = result.get("level")
    run.results[(str(identifier)[:300], index if isinstance(index, int) else -1, level if isinstance(level, str) else "")] += 1
    if len(run.findings) < MAX_FINDINGS:
        run.findings.append(f"{str(identifier)[:60]} in {_place(result)}")


def _place(result: dict[str, Any]) -> str:
    try:
        location = result["locations"][0]["physicalLocation"]
        line = location.get("region", {}).get("startLine", "")
        return f"{str(location['artifactLocation']['uri'])[:150]}:{line}"
    except (KeyError, IndexError, TypeError, AttributeError):
        return "no place"


def _summed(tool: str, runs: list[_Run]) -> Reading:
    total = errors = severe = 0
    for run in runs:
        for (identifier, index, level), number in run.results.items():
            name = identifier or (run.order[index] if 0 <= index < len(run.order) else "")
            rule = run.rules.get(name, _UNKNOWN_RULE)
            total += number
            errors += number * ((level or rule.level) not in ("warning", "note", "none"))
            severe += number * is_severe(rule.words, [rule.score], level or rule.level)
    counted = sum(run.artifacts for run in runs) or (sum(len(run.rules) for run in runs) if tool == "gitleaks" else 0)
    findings = tuple(place for run in runs for place in run.findings)[:MAX_FINDINGS]
    count = counted or None
    return Reading(
        tool=tool,
        failed=errors if tool == "ESLint" else total,
        exit_code=max((run.exit_code for run in runs if run.exit_code is not None), default=None),
        figures={
            "findings": Figure(total, count, findings),
            "errors": Figure(errors, count, findings),
            "severe": Figure(severe, count, findings),
        },
        version=next((run.version for run in runs if run.version), None),
        commit=next((run.commit for run in runs if run.commit), None),
        time=min((run.time for run in runs if run.time), default=None),
    )
