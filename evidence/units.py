"""Tests as units, whichever runner wrote the report: what passed, failed, was skipped, did not run; and suites in which nothing ran."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from evidence.model import MAX_FINDINGS, Figure, ReportError
from evidence.wording import counted

Outcome = Literal["passed", "failed", "skipped", "did-not-run", "asserted-nothing"]


@dataclass
class _Suite:
    name: str
    tests: int = 0
    ran: bool = False
    holds_tests: bool = False
    empty: list[str] = field(default_factory=list)
    """Suites below it in which nothing ran."""


@dataclass
class Units:
    """Counts in bounded memory. A suite is opened, gets its tests and is closed; suites nest."""

    counts: dict[Outcome, int] = field(
        default_factory=lambda: {"passed": 0, "failed": 0, "skipped": 0, "did-not-run": 0, "asserted-nothing": 0}
    )
    findings: list[str] = field(default_factory=list)
    unrun: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    _open: list[_Suite] = field(default_factory=list)

    def open(self, name: str) -> None:
        """A suite begins (a file of tests, a class)."""
        self._open.append(_Suite(name[:150]))

    def name(self, name: str) -> None:
        """The name of the suite that was opened last, where it comes later."""
        if self._open:
            self._open[-1].name = name[:150]

    def close(self, may_be_empty: bool = False) -> None:
        """The suite that was opened last ends. One in which nothing ran counts as a unit that did not pass, unless it is a part of a class
        with tests of its own (a data provider's cases) or ``may_be_empty`` (its runner writes such suites for its own sake)."""
        suite = self._open.pop()
        empty = suite.empty if not suite.holds_tests else []
        if not suite.ran and not may_be_empty:
            # The outermost suite without a test that ran is named, not each one below it.
            empty = [f"{suite.name or 'a suite'}: none of its {counted(suite.tests, 'test')} ran"]
        if self._open:
            self._open[-1].ran |= suite.ran
            self._open[-1].tests += suite.tests
            self._open[-1].empty += empty
        else:
            self.empty += empty

    def add(self, name: str, outcome: Outcome) -> None:
        """One test, in the suite that is open."""
        self.counts[outcome] += 1
        if self._open:
            self._open[-1].tests += 1
            self._open[-1].holds_tests = True
            self._open[-1].ran |= outcome in ("passed", "failed")
        listed = self.findings if outcome == "failed" else self.unrun if outcome == "did-not-run" else None
        if listed is not None and len(listed) < MAX_FINDINGS:
            listed.append(name[:200])

    @property
    def held(self) -> int:
        """All tests that the report holds, whatever became of them."""
        return sum(self.counts.values())

    def figure(self, failed: int) -> Figure:
        """Percentage of the units that passed; ``failed`` where the report reports more failures than it holds. Raises
        ``ReportError`` where nothing ran."""
        failed = max(failed, self.counts["failed"])
        ran = max(self.counts["passed"] + self.counts["failed"], failed)
        if ran == 0:
            raise ReportError("nothing-checked", f"holds {counted(self.held, 'test')}, and none ran")
        units = ran + len(self.empty)
        return Figure(100.0 * (ran - failed) / units, ran, (*self.findings, *self.empty)[:MAX_FINDINGS])

    def missed(self) -> tuple[str, ...]:
        """What a run that was cut short did not get to."""
        number = self.counts["did-not-run"]
        return (f"{counted(number, 'test')} (did not run, or interrupted: {', '.join(self.unrun[:3])})",) if number else ()

    def remarks(self) -> tuple[str, ...]:
        """Skipped tests, and tests without an assertion."""
        said = []
        if number := self.counts["skipped"]:
            said.append(f"{counted(number, 'test')} skipped")
        if number := self.counts["asserted-nothing"]:
            said.append(f"{counted(number, 'test')} without an assertion, not counted")
        return tuple(said)
