"""JUnit XML as pytest, vitest, jest, node:test, mocha, PHPUnit and Playwright write it: the share of the tests that ran and passed."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO
from xml.etree.ElementTree import Element

from evidence.model import Reading, ReportError
from evidence.report import moment
from evidence.units import Outcome, Units
from evidence.wording import counted
from evidence.xmlstream import elements, whole

_NAMES = {"pytest": "pytest", "pytest tests": "pytest", "vitest tests": "vitest", "jest tests": "jest", "mocha tests": "mocha"}
_NOT_PASSED = ("failure", "error", "warning")
"""PHPUnit writes ``<warning>`` for a class without tests, and ``<error>`` for a risky test."""


class _Tally:
    """Reads suites and cases, and what the suites report themselves."""

    def __init__(self) -> None:
        self.units = Units()
        self.tool = ""
        self.times: list[datetime] = []
        self.declared = self.declared_failed = self.total_failed = 0
        self._state: Outcome = "passed"

    def start(self, element: Element, path: tuple[str, ...]) -> None:
        if element.tag == "testcase":
            # PHPUnit counts assertions: a test without one proved nothing, though PHPUnit calls it risky at most.
            self._state = "asserted-nothing" if element.get("assertions") == "0" else "passed"
            return
        if element.tag not in ("testsuite", "testsuites"):
            return
        self.tool = self.tool or _NAMES.get(element.get("name", "").lower(), "")
        if element.tag == "testsuite":
            self.units.open(element.get("name", ""))
            time = moment(element.get("timestamp"))
            self.times += [time] if time is not None else []
        if len(path) == 1:
            # vitest since 5 counts an error outside of tests here alone.
            self.total_failed = whole(element, "failures", 0) + whole(element, "errors", 0)
        if path in (("testsuite",), ("testsuites", "testsuite")):
            self.declared += whole(element, "tests", 0)
            self.declared_failed += whole(element, "failures", 0) + whole(element, "errors", 0)

    def end(self, element: Element, path: tuple[str, ...]) -> None:
        if len(path) >= 2 and path[-2] == "testcase":
            if element.tag in _NOT_PASSED:
                self._state = "failed"
            elif element.tag == "skipped" and self._state != "failed":
                self._state = "skipped"
        elif element.tag == "testcase":
            self.units.add(f"{element.get('classname', '')} {element.get('name', '')}".strip(), self._state)
        elif element.tag == "testsuite":
            # Mocha's reporter writes a suite without tests for each outer ``describe`` and for its root.
            self.units.close(may_be_empty=self.tool == "mocha" and whole(element, "tests", 0) == 0)


def read(name: str, stream: BinaryIO) -> Reading:
    """Reads a JUnit file; ``count`` is the number of tests that ran."""
    tally = _Tally()
    for event, element, path in elements(stream):
        if len(path) == 1 and event == "start" and element.tag not in ("testsuites", "testsuite"):
            raise ReportError("wrong-tool", f"is not a JUnit report: its root is <{element.tag[:40]}>")
        (tally.start if event == "start" else tally.end)(element, path)
    units = tally.units
    missed = list(units.missed())
    # pytest counts each subtest, re-run and late error in ``tests`` without a test case of its own; all others count what they hold.
    if tally.declared > units.held and tally.tool != "pytest":
        missed.append(f"{tally.declared - units.held} of the {counted(tally.declared, 'test')} that its suites declare")
    failed = max(tally.declared_failed, tally.total_failed)
    figure = units.figure(failed)
    return Reading(
        tool=tally.tool,
        figures={"passed": figure},
        failed=max(units.counts["failed"], failed),
        missed=tuple(missed),
        remarks=units.remarks(),
        time=min(tally.times, default=None),
        held=units.held,
    )
