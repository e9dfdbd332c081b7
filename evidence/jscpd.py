"""jscpd's JSON: the share of duplicated lines over all formats, in per cent."""

from __future__ import annotations

from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.jsonstream import amount, number
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.report import moment
from evidence.wording import counted

_TOTAL = "statistics.total."


def read(name: str, stream: BinaryIO) -> Reading:
    """``count`` is the number of files; the percentage is computed from the lines again."""
    values: dict[str, Any] = {}
    clones = 0
    findings: list[str] = []
    first = ""
    for path, kind, value in jsonstream.events(stream, "start_map"):
        if path == "duplicates.item" and kind == "start_map":
            clones += 1
        elif path == "duplicates.item.firstFile.name" and kind == "string":
            first = value[:150]
        elif path == "duplicates.item.secondFile.name" and kind == "string" and len(findings) < MAX_FINDINGS:
            findings.append(f"{first} and {value[:150]}")
        elif (path.startswith(_TOTAL) or path == "statistics.detectionDate") and kind in ("number", "string"):
            if path in values:
                raise ReportError("unreadable", f"gives {path} twice")
            values[path] = value
    if _TOTAL + "lines" not in values:
        raise ReportError("wrong-tool", "is not a jscpd report (statistics.total)")
    lines, duplicated = (amount(values.get(_TOTAL + key), key) for key in ("lines", "duplicatedLines"))
    declared = number(values.get(_TOTAL + "percentage"), "percentage", 0, 100)
    if amount(values.get(_TOTAL + "clones"), "clones") != clones:
        raise ReportError("unreadable", f"reports {counted(values[_TOTAL + 'clones'], 'clone')} and holds {clones}")
    share = 100.0 * duplicated / lines if lines else 0.0
    sources = amount(values.get(_TOTAL + "sources"), "sources")
    return Reading(
        tool="jscpd",
        figures={"duplication": Figure(max(declared, round(share, 2)), sources if lines else 0, tuple(findings))},
        failed=clones,
        time=moment(values.get("statistics.detectionDate")),
    )
