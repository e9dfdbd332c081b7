"""JUnit XML as pytest, vitest, PHPUnit and Playwright write it: the share of the tests that ran and passed."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO
from xml.etree.ElementTree import Element

from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.report import moment
from evidence.xmlstream import elements, whole

_NAMES = {"pytest": "pytest", "pytest tests": "pytest", "vitest tests": "vitest", "jest tests": "jest"}


class _Tally:
    """Counts test cases; a case is passed, failed (failure or error) or skipped."""

    def __init__(self) -> None:
        self.cases = self.failed = self.skipped = 0
        self.declared = self.declared_failed = 0
        self.findings: list[str] = []
        self.tool = ""
        self.times: list[datetime] = []
        self._state = "passed"

    def start(self, element: Element, path: tuple[str, ...]) -> None:
        if element.tag == "testcase":
            self._state = "passed"
        elif element.tag == "testsuite":
            time = moment(element.get("timestamp"))
            if time is not None:
                self.times.append(time)
        if element.tag in ("testsuite", "testsuites"):
            self.tool = self.tool or _NAMES.get(element.get("name", ""), "")
            if path in (("testsuite",), ("testsuites", "testsuite")):
                self.declared += whole(element, "tests", 0)
                self.declared_failed += whole(element, "failures", 0) + whole(element, "errors", 0)

    def end(self, element: Element, path: tuple[str, ...]) -> None:
        if len(path) >= 2 and path[-2] == "testcase":
            if element.tag in ("failure", "error"):
                self._state = "failed"
            elif element.tag == "skipped" and self._state == "passed":
                self._state = "skipped"
        elif element.tag == "testcase":
            self.cases += 1
            self.failed += self._state == "failed"
            self.skipped += self._state == "skipped"
            if self._state == "failed" and len(self.findings) < MAX_FINDINGS:
                self.findings.append(f"{element.get('classname', '')} {element.get('name', '')}".strip()[:200])


def read(name: str, stream: BinaryIO) -> Reading:
    """Reads a JUnit file; ``count`` is the number of tests that ran."""
    tally = _Tally()
    for event, element, path in elements(stream):
        if len(path) == 1 and event == "start" and element.tag not in ("testsuites", "testsuite"):
            raise ReportError("wrong-tool", f"is no JUnit report: its root is <{element.tag[:40]}>")
        (tally.start if event == "start" else tally.end)(element, path)
    if tally.declared > tally.cases:
        raise ReportError("unreadable", f"tells of {tally.declared} tests and holds {tally.cases}: the run was cut short")
    failed = max(tally.failed, tally.declared_failed)
    ran = tally.cases - tally.skipped
    if ran <= 0 and not failed:
        raise ReportError("nothing-checked", f"holds {tally.cases} tests, none of which ran")
    passed = 100.0 * max(ran - failed, 0) / max(ran, 1)
    return Reading(
        tool=tally.tool,
        figures={"passed": Figure(passed, max(ran, failed), tuple(tally.findings))},
        time=min(tally.times, default=None),
    )
