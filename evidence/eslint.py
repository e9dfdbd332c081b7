"""ESLint's JSON (``--format json``): errors, fatal ones included; warnings do not count."""

from __future__ import annotations

from typing import BinaryIO

from evidence import jsonstream
from evidence.jsonstream import amount
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError


def read(name: str, stream: BinaryIO) -> Reading:
    """``count`` is the number of files."""
    files = errors = messages = told = 0
    place = ""
    findings: list[str] = []
    seen: set[str] = set()
    for path, kind, value in jsonstream.events(stream, "start_array"):
        if path == "item":
            if kind == "start_map":
                files += 1
                seen = set()
            elif kind == "end_map":
                if not seen >= {"filePath", "errorCount", "messages"}:
                    raise ReportError("wrong-tool", f"is no ESLint report: entry {files} has no filePath, errorCount and messages")
            elif kind == "map_key":
                seen.add(value)
            else:
                raise ReportError("wrong-tool", "is no ESLint report: an entry is no object")
        elif path == "item.filePath":
            place = str(value)[-150:]
        elif path == "item.errorCount":
            told += amount(value, "errorCount")
        elif path == "item.messages.item.severity":
            messages += 1
            if value != 1:
                errors += 1
                if len(findings) < MAX_FINDINGS:
                    findings.append(place)
    return Reading(tool="ESLint", figures={"errors": Figure(max(errors, told), files, tuple(findings))})
