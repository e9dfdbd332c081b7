"""WCAG AA: axe-core's results (one page or a list of pages) and pa11y's (one page's list, or ``pa11y-ci --json``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.jsonstream import mapping
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.report import moment
from evidence.wording import counted

_AA = {"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"}
_NEEDED = {"wcag2a", "wcag2aa"}
"""Tags without which a run of axe-core is not about WCAG AA."""


def read(name: str, stream: BinaryIO) -> Reading:
    """Told apart by the file's name: ``pa11y*.json`` or else axe-core."""
    return _pa11y(stream) if name.startswith("pa11y") else _axe(stream)


@dataclass
class _Axe:
    """Counts over all pages of an axe-core report. A rule belongs to WCAG AA by its tags; one without tags counts."""

    violations: int = 0
    checks: int = 0
    url: str = ""
    version: str = ""
    engines: list[str] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    rule: str = ""
    tags: set[str] = field(default_factory=set)
    nodes: int = 0
    incomplete: int = 0
    only: dict[str, set[str]] = field(default_factory=lambda: {"type": set(), "values": set()})

    def take(self, path: str, kind: str, value: Any) -> None:
        """One event of a page; ``path`` is relative to the page."""
        if path.startswith("violations."):
            self._violation(path, kind, value)
        elif path == "testEngine.name" and kind == "string":
            self.engines.append(value)
        elif path == "testEngine.version" and kind == "string":
            self.version = value[:50]
        elif path == "timestamp":
            time = moment(value)
            self.times += [time] if time else []
        elif path == "url" and kind == "string":
            self.url = value[:150]
        elif path == "passes.item" and kind == "start_map":
            self.checks += 1
        elif path.startswith("incomplete.item"):
            self._incomplete(path, kind, value)
        elif path == "toolOptions.runOnly.type":
            self.only["type"].add(str(value))
        elif path == "toolOptions.runOnly.values.item":
            self.only["values"].add(str(value))

    def _incomplete(self, path: str, kind: str, value: Any) -> None:
        """A check that axe-core could not decide: a person has to."""
        if path == "incomplete.item" and kind == "start_map":
            self.tags = set()
        elif path == "incomplete.item.tags.item":
            self.tags.add(str(value))
        elif path == "incomplete.item" and kind == "end_map":
            self.incomplete += not self.tags or bool(self.tags & _AA)

    def missed(self) -> tuple[str, ...]:
        """What ``runOnly`` left out of WCAG AA."""
        if self.only["type"] & {"rule", "rules"}:
            return (f"any rule of WCAG AA but {', '.join(sorted(self.only['values']))[:150]} (runOnly)",)
        lacking = _NEEDED - self.only["values"] if self.only["type"] else set()
        return (f"rules with the tag {' or '.join(sorted(lacking))} (runOnly)",) if lacking else ()

    def _violation(self, path: str, kind: str, value: Any) -> None:
        if path == "violations.item" and kind == "start_map":
            self.rule, self.tags, self.nodes = "", set(), 0
        elif path == "violations.item.id":
            self.rule = str(value)[:60]
        elif path == "violations.item.tags.item":
            self.tags.add(str(value))
        elif path == "violations.item.nodes.item" and kind == "start_map":
            self.nodes += 1
        elif path == "violations.item" and kind == "end_map":
            self.checks += 1
            if not self.tags or self.tags & _AA:
                self.violations += max(self.nodes, 1)
                self.findings.append(f"{self.rule} on {self.url or 'a page'}")


def _axe(stream: BinaryIO) -> Reading:
    """One violation for each element that breaks a rule of WCAG A or AA."""
    seen = _Axe()
    pages = 0
    prefix: str | None = None
    lists = 0
    for path, kind, value in jsonstream.events(stream):
        if prefix is None:
            prefix = "item." if kind == "start_array" else ""
        if path == prefix.rstrip(".") and kind == "start_map":
            pages += 1
        if path.startswith(prefix):
            lists += path == prefix + "violations" and kind == "start_array"
            seen.take(path[len(prefix) :], kind, value)
    if pages == 0 or seen.engines != ["axe-core"] * pages:
        raise ReportError("wrong-tool", "is not an axe-core result (testEngine)")
    if lists != pages:
        raise ReportError("unreadable", f"holds the violations of {lists} of {counted(pages, 'page')}")
    if seen.checks == 0:
        raise ReportError("nothing-checked", "holds no check that passed or failed")
    undecided = f"{counted(seen.incomplete, 'check')} left for a person to decide (axe-core's incomplete)"
    return Reading(
        tool="axe-core",
        figures={"violations": Figure(seen.violations, pages, tuple(seen.findings[:MAX_FINDINGS]))},
        failed=seen.violations,
        missed=seen.missed(),
        held=pages,
        remarks=(undecided,) if seen.incomplete else (),
        version=seen.version or None,
        time=min(seen.times, default=None),
    )


def _pa11y(stream: BinaryIO) -> Reading:
    """Issues of type error. ``pa11y --reporter json`` is a list that names no page (a note does); ``pa11y-ci --json`` has pages."""
    errors = 0
    findings: list[str] = []
    pages: set[str] = set()
    values: dict[str, Any] = {}
    listed: bool | None = None
    for prefix, value in jsonstream.items(jsonstream.events(stream), "item"):
        if prefix:
            issue = mapping(value, "an issue")
            if not {"code", "type", "selector"} <= set(issue):
                raise ReportError("wrong-tool", "is not a pa11y report: an issue has no code, type and selector")
            if issue["type"] not in ("warning", "notice"):
                errors += 1
                findings.append(str(issue["code"])[:100])
            continue
        path, kind, text = value
        if listed is None:
            listed = kind == "start_array"
        if path in ("total", "passes", "errors"):
            values[path] = text
        elif path == "results" and kind == "map_key":
            pages.add(text)
        elif path.startswith("results.") and path.endswith(".item.type") and text not in ("warning", "notice"):
            errors += 1
        elif path.startswith("results.") and path.endswith(".item.code") and len(findings) < MAX_FINDINGS:
            findings.append(str(text)[:100])
    if listed:
        return Reading(tool="pa11y", figures={"violations": Figure(errors, None, tuple(findings[:MAX_FINDINGS]))}, failed=errors)
    if not {"total", "passes", "errors"} <= set(values):
        raise ReportError("wrong-tool", "is not a pa11y-ci report (total, passes, errors, results)")
    total, told = jsonstream.amount(values["total"], "total"), jsonstream.amount(values["errors"], "errors")
    missed = (f"{total - len(pages)} of the {counted(total, 'page')} that it names",) if total > len(pages) else ()
    if total < len(pages):
        raise ReportError("unreadable", f"reports {counted(total, 'page')} and holds {len(pages)}")
    worst = max(errors, told)
    return Reading(tool="pa11y-ci", figures={"violations": Figure(worst, total, tuple(findings))}, failed=worst, missed=missed)
