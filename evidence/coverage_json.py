"""Line coverage from ``coverage json`` (coverage.py), Istanbul's ``coverage-final.json`` and its ``coverage-summary.json``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from evidence import coverage, jsonstream
from evidence.jsonstream import amount, mapping
from evidence.lines import Lines, TooManyLinesError, normal
from evidence.model import Reading, ReportError
from evidence.report import moment
from evidence.wording import counted


def read(name: str, stream: BinaryIO) -> Reading:
    """Told apart by their keys."""
    source = jsonstream.events(stream, "start_map")
    next(source)
    form = _Form()
    try:
        for path, kind, value in source:
            form.take(path, kind, value, source)
    except TooManyLinesError as error:
        raise ReportError("too-large", str(error)) from None
    return form.reading()


@dataclass
class _Form:
    """Entries of the top level, each read as soon as it is there."""

    lines: Lines = field(default_factory=Lines)
    meta: dict[str, Any] = field(default_factory=dict)
    totals: dict[str, Any] | None = None
    summary: tuple[int, int] | None = None
    istanbul: bool = False
    python: bool = False
    key: str = ""
    inside: bool = False

    def take(self, path: str, kind: str, value: Any, source: Iterator[jsonstream.Event]) -> None:
        if kind == "map_key":
            self.key = value
            if path == "" and value in ("meta", "totals", "total") and value in self.meta.get("", ()):
                raise ReportError("unreadable", f"gives {value} twice")
            if path == "":
                self.meta.setdefault("", set()).add(value)
        elif path == "files" and kind == "start_map" and not self.inside:
            self.inside = self.python = True
        elif path == "files" and kind == "end_map":
            self.inside = False
        elif kind == "start_map":
            self._entry(jsonstream.whole_object(source))

    def _entry(self, entry: dict[str, Any]) -> None:
        if self.inside:
            _python_file(self.lines, self.key, entry)
        elif self.key == "meta":
            self.meta |= {"version": entry.get("version"), "timestamp": entry.get("timestamp")}
        elif self.key == "totals":
            self.totals = entry
        elif "statementMap" in entry:
            self.istanbul = True
            _istanbul_file(self.lines, normal(str(entry.get("path", self.key))), entry)
        elif isinstance(entry.get("lines"), dict):
            amounts = _amounts(entry["lines"], self.key)
            if self.key == "total":
                self.summary = amounts
            elif normal(self.key) in self.lines.sums:
                raise ReportError("unreadable", f"gives {self.key[-100:]} twice")
            else:
                self.lines.sums[normal(self.key)] = amounts

    def reading(self) -> Reading:
        if self.totals is not None:
            return self._python()
        if self.istanbul:
            return coverage.reading("istanbul", self.lines)
        if self.summary is not None:
            if not self.lines.sums:
                self.lines.sums["total"] = self.summary
            elif self.lines.total() != self.summary:
                covered, known = self.lines.total()
                raise ReportError(
                    "incomplete",
                    f"reports {self.summary[0]} of {counted(self.summary[1], 'line')}, its files of {covered} of {known}",
                )
            return coverage.reading("istanbul", self.lines)
        raise ReportError("wrong-tool", "is neither coverage.py's JSON nor Istanbul's (coverage-final.json, coverage-summary.json)")

    def _python(self) -> Reading:
        totals = self.totals or {}
        covered = amount(totals.get("covered_lines"), "totals.covered_lines")
        known = amount(totals.get("num_statements"), "totals.num_statements")
        if covered > known:
            raise ReportError("unreadable", f"says that {covered} of {counted(known, 'line')} are covered")
        if self.lines.total() != (covered, known):
            held = self.lines.total()
            raise ReportError("incomplete", f"reports {covered} of {counted(known, 'line')}, its files of {held[0]} of {held[1]}")
        version = jsonstream.text(self.meta.get("version"))
        return coverage.reading("coverage", self.lines, version, moment(self.meta.get("timestamp")))


def _amounts(entry: dict[str, Any], key: str) -> tuple[int, int]:
    where = f"lines of {key[-100:]}"
    covered, known = amount(entry.get("covered"), where), amount(entry.get("total"), where)
    if covered > known:
        raise ReportError("unreadable", f"says that {covered} of {known} {where} are covered")
    return covered, known


def _python_file(lines: Lines, key: str, entry: dict[str, Any]) -> None:
    numbers = {}
    for name in ("executed_lines", "missing_lines"):
        if not isinstance(entry.get(name), list):
            raise ReportError("unreadable", f"gives no {name} of {key[-100:]}")
        numbers[name] = sorted({amount(number, f"{name} of {key[-100:]}") for number in entry[name]} - {0})
    summary = mapping(entry.get("summary"), f"summary of {key[-100:]}")
    covered = amount(summary.get("covered_lines"), f"covered_lines of {key[-100:]}")
    # Before 7.11 docstrings are among the lines that ran, and are not counted.
    for line in numbers["executed_lines"][max(len(numbers["executed_lines"]) - covered, 0) :]:
        lines.add(normal(key), line, True)
    for line in numbers["missing_lines"]:
        lines.add(normal(key), line, False)


def _istanbul_file(lines: Lines, path: str, entry: dict[str, Any]) -> None:
    """A line is covered where one of the statements that begin on it ran, as Istanbul's own reports count."""
    statements = mapping(entry.get("statementMap"), f"statementMap of {path[-100:]}")
    counts = mapping(entry.get("s"), f"s of {path[-100:]}")
    if set(statements) != set(counts):
        raise ReportError(
            "incomplete", f"reports {counted(len(statements), 'statement')} of {path[-100:]} and counts {len(counts)}"
        )
    for key, place in statements.items():
        start = mapping(mapping(place, "a statement").get("start"), "a statement's start")
        lines.add(path, amount(start.get("line"), f"a line of {path[-100:]}"), amount(counts[key], f"a count of {path[-100:]}") > 0)
