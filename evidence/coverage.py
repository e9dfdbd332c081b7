"""Line coverage from Cobertura and Clover XML: the union by file and line. ``count`` is the number of lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO
from xml.etree.ElementTree import Element

from evidence.lines import Lines, TooManyLinesError, normal
from evidence.model import Figure, Reading, ReportError
from evidence.report import moment
from evidence.wording import counted
from evidence.xmlstream import elements, whole

Source = Iterator[tuple[str, Element, tuple[str, ...]]]


def reading(tool: str, lines: Lines, version: str | None = None, time: datetime | None = None) -> Reading:
    """What a coverage report says. Raises ``ReportError`` where it speaks of no line."""
    covered, known = lines.total()
    if known == 0:
        raise ReportError("nothing-checked", "covers no line of code")
    if covered > known:
        raise ReportError("unreadable", f"says that {covered} of {counted(known, 'line')} are covered")
    return Reading(
        tool=tool,
        figures={"coverage": Figure(100.0 * covered / known, known)},
        held=known,
        lines=lines,
        version=version,
        time=time,
    )


def read(name: str, stream: BinaryIO) -> Reading:
    """Cobertura or Clover, told apart by their root's attributes."""
    source = elements(stream)
    _, root, _ = next(source)
    if root.tag != "coverage":
        raise ReportError("wrong-tool", f"is not a coverage report: its root is <{root.tag[:40]}>")
    attributes = dict(root.attrib)
    try:
        if "line-rate" in attributes:
            return _cobertura(root, attributes, source)
        if "generated" in attributes:
            return _clover(attributes, source)
    except TooManyLinesError as error:
        raise ReportError("too-large", str(error)) from None
    raise ReportError("wrong-tool", "is neither Cobertura (line-rate) nor Clover (generated)")


@dataclass
class _Cobertura:
    """``held``: lines as they stand there; a file may be in several classes, so the union has fewer."""

    lines: Lines = field(default_factory=Lines)
    roots: list[str] = field(default_factory=list)
    path: str = ""
    held: int = 0
    hit: int = 0
    complexity: float = 0.0

    def take(self, event: str, element: Element, path: tuple[str, ...]) -> None:
        if event == "end" and element.tag == "source" and element.text:
            self.roots.append(element.text)
        elif element.tag == "class" and event == "start":
            # Where there are several roots, nobody says which one a file is below.
            self.path = normal(element.get("filename", ""), self.roots[0] if len(self.roots) == 1 else "")
            self.complexity += _decimal(element.get("complexity"))
        elif event == "end" and path[-3:] == ("class", "lines", "line"):
            hit = whole(element, "hits") > 0
            self.held += 1
            self.hit += hit
            self.lines.add(self.path, whole(element, "number"), hit)


def _cobertura(root: Element, attributes: dict[str, str], source: Source) -> Reading:
    found = _Cobertura()
    for event, element, path in source:
        found.take(event, element, path)
    if "lines-valid" in attributes:
        covered, valid = whole(root, "lines-covered"), whole(root, "lines-valid")
        union = found.lines.total()
        unplaced_hit, unplaced = covered - union[0], valid - union[1]
        # PHPUnit writes no line for statements outside of classes and functions, and counts them in its total. Its complexity, of the
        # whole and of each class, shows that none of them is missing; where a tool measures none, nothing but whole sums will do.
        php = _decimal(attributes.get("complexity")) == found.complexity > 0 and 0 <= unplaced_hit <= unplaced
        if valid not in (found.held, union[1]) and not php:
            raise ReportError("incomplete", f"reports {counted(valid, 'line')} and holds {found.held}: a part of it is missing")
        if covered not in (found.hit, union[0]) and not php:
            raise ReportError("unreadable", f"reports {counted(covered, 'covered line')} and holds {found.hit}")
        if php and unplaced > 0:
            found.lines.extra = (unplaced_hit, unplaced)
    return reading("coverage", found.lines, attributes.get("version"), moment(attributes.get("timestamp")))


def _decimal(value: str | None) -> float:
    try:
        number = float(value or 0)
    except ValueError:
        return 0.0
    return number if 0 <= number < 1e9 else 0.0


@dataclass
class _Clover:
    """``told``: statements by the files' own metrics; ``total``: by the project's."""

    lines: Lines = field(default_factory=Lines)
    path: str = ""
    files: int = 0
    measured: int = 0
    told: int = 0
    told_hit: int = 0
    held: int = 0
    statements: int = 0
    total: tuple[int, int, int | None] | None = None

    def take(self, event: str, element: Element, path: tuple[str, ...]) -> None:
        if element.tag == "file" and event == "start":
            self.path = normal(element.get("path") or element.get("name") or "")
            self.files += 1
            self.statements = 0
        elif event == "end" and element.tag == "line" and element.get("type") in ("stmt", "cond"):
            self.statements += 1
            self.held += 1
            self.lines.add(self.path, whole(element, "num"), whole(element, "count") > 0)
        elif event == "end" and element.tag == "metrics" and path[-2] == "file":
            self.measured += 1
            self.told += whole(element, "statements")
            self.told_hit += whole(element, "coveredstatements")
        elif event == "end" and element.tag == "metrics" and path == ("coverage", "project", "metrics"):
            if self.total is not None:
                raise ReportError("unreadable", "holds two totals")
            files = whole(element, "files") if "files" in element.attrib else None
            self.total = (whole(element, "coveredstatements"), whole(element, "statements"), files)


def _clover(attributes: dict[str, str], source: Source) -> Reading:
    found = _Clover()
    for event, element, path in source:
        found.take(event, element, path)
    if found.total is None:
        raise ReportError("unreadable", "holds no totals of the project")
    covered, statements, files = found.total
    if files not in (None, found.files) or found.measured not in (0, found.files):
        raise ReportError(
            "incomplete", f"reports {counted(found.files if files is None else files, 'file')} and holds {found.measured}"
        )
    if found.measured and (found.told, found.told_hit) != (statements, covered):
        raise ReportError(
            "incomplete", f"reports {covered} of {counted(statements, 'statement')}, its files of {found.told_hit} of {found.told}"
        )
    if found.held > statements or (statements and not found.held):
        raise ReportError("incomplete", f"reports {counted(statements, 'statement')} and holds {found.held}")
    union = found.lines.total()
    if statements == union[1] == found.held and covered != union[0]:
        raise ReportError("unreadable", f"reports {counted(covered, 'covered statement')} and holds {union[0]}")
    return reading("coverage", found.lines, attributes.get("clover"), moment(attributes.get("generated")))
