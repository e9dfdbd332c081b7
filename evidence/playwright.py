"""Playwright's JSON (``--reporter=json``): the share of the tests that ran and passed; a test that passed on a retry passed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.jsonstream import amount
from evidence.model import MAX_FINDINGS, Reading, ReportError
from evidence.report import moment
from evidence.units import Outcome, Units
from evidence.wording import counted

_STATS = ("expected", "unexpected", "flaky", "skipped")
_TEST = ".specs.item.tests.item"
_SHARD = ("config.shard.current", "config.shard.total")


@dataclass
class _Run:
    """What the events told so far."""

    units: Units = field(default_factory=Units)
    values: dict[str, Any] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    is_old: bool = False
    """Before 1.33 a report has no stats."""
    title: str = ""
    test: dict[str, Any] = field(default_factory=dict)
    results: list[str] = field(default_factory=list)

    def take(self, path: str, kind: str, value: Any) -> None:
        if path == "suites.item" and kind in ("start_map", "end_map"):
            self.units.open("") if kind == "start_map" else self.units.close()
        elif path == "suites.item.title" and kind == "string":
            self.units.name(value)
        elif path.endswith(".specs.item.title") and kind == "string":
            self.title = value[:150]
        elif path.endswith(_TEST) and kind == "start_map":
            self.test, self.results = {}, []
        elif path.endswith(_TEST) and kind == "end_map":
            self.units.add(self.title, _outcome(self.test, self.results))
        elif path.endswith((f"{_TEST}.status", f"{_TEST}.expectedStatus")):
            self.test[path.rpartition(".")[2]] = value
        elif path.endswith(f"{_TEST}.results.item.status"):
            self.results.append(str(value))
        else:
            self._top(path, kind, value)

    def _top(self, path: str, kind: str, value: Any) -> None:
        self.is_old |= path == "suites" and kind == "start_array"
        if path == "errors.item" and kind in ("start_map", "string"):
            self.outside.append(str(value)[:150] if kind == "string" else "")
        elif path == "errors.item.message" and kind == "string" and self.outside:
            self.outside[-1] = value.splitlines()[0][:150] if value else ""
        elif path.startswith("stats.") or path in ("config.version", *_SHARD):
            if path in self.values:
                raise ReportError("unreadable", f"gives {path} twice")
            self.values[path] = value


def _outcome(test: dict[str, Any], results: list[str]) -> Outcome:
    """A test's outcome. Playwright calls a test ``skipped`` too where it never got to it, or was interrupted in it: then it was not
    expected to be skipped."""
    status = test.get("status")
    if "interrupted" in results:
        return "did-not-run"
    if status == "skipped":
        return "skipped" if test.get("expectedStatus") == "skipped" else "did-not-run"
    return "passed" if status in ("expected", "flaky") and results else "failed"


def read(name: str, stream: BinaryIO) -> Reading:
    """``count`` is the number of tests that ran; errors outside of tests count as failures."""
    run = _Run()
    for path, kind, value in jsonstream.events(stream, "start_map"):
        run.take(path, kind, value)
    values, units = run.values, run.units
    if "stats.expected" not in values and not (run.is_old and "config.version" in values):
        raise ReportError("wrong-tool", "is not a Playwright report (config, suites, stats)")
    missed = list(units.missed())
    unexpected = 0
    if "stats.expected" in values:
        expected, unexpected, flaky, skipped = (amount(values.get(f"stats.{key}"), f"stats.{key}") for key in _STATS)
        told = expected + unexpected + flaky + skipped
        if told > units.held:
            missed.append(f"{told - units.held} of the {counted(told, 'test')} that its stats report")
        elif told < units.held:
            raise ReportError("unreadable", f"reports {counted(told, 'test')} and holds {units.held}")
    for error in run.outside:
        units.add(error or "an error outside of tests", "failed")
    return Reading(
        tool="Playwright",
        figures={"passed": units.figure(unexpected + len(run.outside))},
        failed=max(units.counts["failed"], unexpected + len(run.outside)),
        missed=tuple(missed[:MAX_FINDINGS]),
        remarks=units.remarks(),
        shard=_shard(values),
        version=jsonstream.text(values.get("config.version")),
        time=moment(values.get("stats.startTime")),
    )


def _shard(values: dict[str, Any]) -> tuple[int, int] | None:
    """Which part of the tests was run (``--shard``); ``None``: all of them, as in a merged report."""
    if not any(key in values for key in _SHARD):
        return None
    current, total = (amount(values.get(key), key) for key in _SHARD)
    return current, total
