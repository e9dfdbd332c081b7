"""Playwright's JSON (``--reporter=json``): the share of the tests that ran and passed; a test that passed on a retry passed."""

from __future__ import annotations

from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.jsonstream import amount
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.report import moment

_STATS = ("expected", "unexpected", "flaky", "skipped")


def read(name: str, stream: BinaryIO) -> Reading:
    """``count`` is the number of tests that ran; errors outside of tests count as failures."""
    values: dict[str, Any] = {}
    outside = tests = bad = 0
    title = ""
    findings: list[str] = []
    for path, kind, value in jsonstream.events(stream, "start_map"):
        if path == "errors.item" and kind != "end_map":
            outside += kind in ("start_map", "string")
        elif path.startswith("stats.") or path == "config.version":
            if path in values:
                raise ReportError("unreadable", f"gives {path} twice")
            values[path] = value
        elif path.endswith(".specs.item.title") and kind == "string":
            title = value[:150]
        elif path.endswith(".specs.item.tests.item.status"):
            tests += 1
            if value not in ("expected", "flaky", "skipped"):
                bad += 1
                if len(findings) < MAX_FINDINGS:
                    findings.append(title)
    if "stats.expected" not in values:
        raise ReportError("wrong-tool", "is no Playwright report (stats)")
    expected, unexpected, flaky, skipped = (amount(values.get(f"stats.{key}"), f"stats.{key}") for key in _STATS)
    if expected + unexpected + flaky + skipped != tests:
        raise ReportError("unreadable", f"tells of {expected + unexpected + flaky + skipped} tests and holds {tests}")
    failed = max(unexpected, bad) + outside
    ran = expected + unexpected + flaky + outside
    if ran == 0:
        raise ReportError("nothing-checked", f"holds {skipped} tests, none of which ran")
    return Reading(
        tool="Playwright",
        figures={"passed": Figure(100.0 * max(ran - failed, 0) / ran, ran, tuple(findings))},
        version=jsonstream.text(values.get("config.version")),
        time=moment(values.get("stats.startTime")),
    )
