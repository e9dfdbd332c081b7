"""Line coverage from Cobertura XML, Clover XML, LCOV, ``coverage json`` and Istanbul's summary. ``count`` is the number of lines."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO
from xml.etree.ElementTree import Element

from evidence import jsonstream
from evidence.jsonstream import amount
from evidence.model import Figure, Reading, ReportError
from evidence.report import moment
from evidence.xmlstream import elements, whole

_LINE = 1 << 16
"""Bytes of the longest line of an LCOV file that is still believed."""


def _reading(tool: str, covered: int, lines: int, version: str | None = None, time: datetime | None = None) -> Reading:
    if lines == 0:
        raise ReportError("nothing-checked", "covers no line of code")
    if covered > lines:
        raise ReportError("unreadable", f"says that {covered} of {lines} lines are covered")
    return Reading(tool=tool, figures={"coverage": Figure(100.0 * covered / lines, lines)}, version=version, time=time)


def read_xml(name: str, stream: BinaryIO) -> Reading:
    """Cobertura or Clover, told apart by their root's attributes."""
    source = elements(stream)
    _, root, _ = next(source)
    if root.tag != "coverage":
        raise ReportError("wrong-tool", f"is no coverage report: its root is <{root.tag[:40]}>")
    attributes = dict(root.attrib)
    if "line-rate" in attributes:
        return _cobertura(root, attributes, source)
    if "generated" in attributes:
        return _clover(attributes, source)
    raise ReportError("wrong-tool", "is neither Cobertura (line-rate) nor Clover (generated)")


def _cobertura(root: Element, attributes: dict[str, str], source: object) -> Reading:
    lines = covered = 0
    for event, element, path in source:  # type: ignore[attr-defined]
        if event == "end" and element.tag == "line" and path[-3:] == ("class", "lines", "line"):
            lines += 1
            covered += whole(element, "hits") > 0
    if "lines-valid" in attributes:
        declared = (whole(root, "lines-covered"), whole(root, "lines-valid"))
        if declared[1] != lines or declared[0] > covered:
            raise ReportError("unreadable", f"tells of {declared[0]} of {declared[1]} lines and holds {covered} of {lines}")
    return _reading("coverage", covered, lines, attributes.get("version"), moment(attributes.get("timestamp")))


def _clover(attributes: dict[str, str], source: object) -> Reading:
    totals: tuple[int, int] | None = None
    statements = hit = 0
    for event, element, path in source:  # type: ignore[attr-defined]
        if event == "end" and element.tag == "metrics" and path == ("coverage", "project", "metrics"):
            if totals is not None:
                raise ReportError("unreadable", "holds two totals")
            totals = (whole(element, "coveredstatements"), whole(element, "statements"))
        elif event == "end" and element.tag == "line" and element.get("type") in ("stmt", "cond"):
            statements += 1
            hit += whole(element, "count") > 0
    if totals is None:
        raise ReportError("unreadable", "holds no totals of the project")
    if totals[1] and not statements:
        raise ReportError("unreadable", f"tells of {totals[1]} statements and holds none")
    covered = totals[0] if totals[1] != statements else min(totals[0], hit)
    return _reading("coverage", covered, totals[1], attributes.get("clover"), moment(attributes.get("generated")))


class _Lcov:
    """Sums the records of an LCOV tracefile."""

    def __init__(self) -> None:
        self.covered = self.lines = self.records = 0
        self.open = self.begun = False
        self._da: dict[str, bool] = {}
        self._declared: dict[str, int] = {}

    def line(self, text: str, number: int) -> None:
        key, _, rest = text.partition(":")
        if key == "SF":
            if self.open:
                raise ReportError("unreadable", f"starts a file inside another at line {number}")
            self.open, self._da, self._declared = True, {}, {}
        elif key == "TN" and not self.open:
            self.begun = True
        elif not self.open and text:
            raise ReportError("wrong-tool" if number == 1 else "unreadable", f"is no LCOV at line {number}")
        elif key == "DA":
            place, _, hits = rest.partition(",")
            hits = hits.partition(",")[0]
            if not (place.isascii() and place.isdigit() and hits.isascii() and hits.lstrip("-").isdigit()):
                raise ReportError("unreadable", f"gives no count at line {number}")
            self._da[place] = self._da.get(place, False) or int(hits[:20]) > 0
        elif key in ("LF", "LH"):
            if not (rest.isascii() and rest.isdigit() and len(rest) < 16):
                raise ReportError("unreadable", f"gives no count at line {number}")
            self._declared[key] = int(rest)
        elif text == "end_of_record":
            self._close(number)

    def _close(self, number: int) -> None:
        lines, covered = len(self._da), sum(self._da.values())
        if self._declared.get("LF", lines) != lines or self._declared.get("LH", covered) != covered:
            raise ReportError("unreadable", f"tells of other sums than its lines give, at line {number}")
        self.lines += lines
        self.covered += covered
        self.records += 1
        self.open = self.begun = False


def read_lcov(name: str, stream: BinaryIO) -> Reading:
    """An LCOV tracefile; the last record must be whole."""
    sums = _Lcov()
    number = 0
    last = b""
    while last := stream.readline(_LINE + 1):
        number += 1
        if len(last) > _LINE:
            raise ReportError("unreadable", f"has a line of more than {_LINE} bytes")
        try:
            sums.line(last.decode("utf-8").rstrip("\r\n"), number)
        except UnicodeDecodeError:
            raise ReportError("unreadable", f"is no text at line {number}") from None
        whole_line = last.endswith(b"\n")
    if sums.open or sums.begun or (number and not whole_line):
        raise ReportError("unreadable", "is cut short: its last record has no end")
    return _reading("lcov", sums.covered, sums.lines)


def read_json(name: str, stream: BinaryIO) -> Reading:
    """``coverage json`` (coverage.py) or Istanbul's ``coverage-summary.json``."""
    values: dict[str, object] = {}
    wanted = {
        "meta.version",
        "meta.timestamp",
        "totals.covered_lines",
        "totals.num_statements",
        "total.lines.total",
        "total.lines.covered",
    }
    for path, kind, value in jsonstream.events(stream, "start_map"):
        if path in wanted and kind not in ("start_map", "start_array", "map_key"):
            if path in values:
                raise ReportError("unreadable", f"gives {path} twice")
            values[path] = value
    if "totals.num_statements" in values:
        version = jsonstream.text(values.get("meta.version"))
        lines = amount(values["totals.num_statements"], "totals.num_statements")
        covered = amount(values.get("totals.covered_lines"), "totals.covered_lines")
        return _reading("coverage", covered, lines, version, moment(values.get("meta.timestamp")))
    if "total.lines.total" in values:
        lines = amount(values["total.lines.total"], "total.lines.total")
        return _reading("istanbul", amount(values.get("total.lines.covered"), "total.lines.covered"), lines)
    raise ReportError("wrong-tool", "is neither coverage.py's JSON nor Istanbul's summary")
