"""PHPStan's JSON (``--error-format=json``). It says neither its level nor how many files it looked at: a note beside it does."""

from __future__ import annotations

from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.jsonstream import amount
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.wording import counted


def read(name: str, stream: BinaryIO) -> Reading:
    """``errors`` are those of files and the general ones; what is told and what is listed must agree."""
    totals: dict[str, Any] = {}
    listed = general = 0
    files: list[str] = []
    keys: set[str] = set()
    for path, kind, value in jsonstream.events(stream, "start_map"):
        if path == "" and kind == "map_key":
            keys.add(value)
        elif path in ("totals.errors", "totals.file_errors"):
            if path in totals:
                raise ReportError("unreadable", f"gives {path} twice")
            totals[path] = value
        elif path == "files" and kind == "map_key" and len(files) < MAX_FINDINGS:
            files.append(value[-150:])
        elif path.startswith("files.") and path.endswith(".messages.item") and kind == "start_map":
            listed += 1
        elif path == "errors.item":
            general += 1
    if not keys >= {"totals", "files", "errors"}:
        raise ReportError("wrong-tool", "is not a PHPStan report (totals, files, errors)")
    told = amount(totals.get("totals.errors"), "totals.errors"), amount(totals.get("totals.file_errors"), "totals.file_errors")
    if told[0] > general or told[1] > listed:
        raise ReportError("unreadable", f"reports {counted(sum(told), 'error')} and holds {general + listed}")
    errors = general + listed
    return Reading(tool="PHPStan", figures={"errors": Figure(errors, None, tuple(files))}, failed=errors)
