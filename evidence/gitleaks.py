"""Gitleaks' JSON: a list of findings. Only rule, file and line are read, never the secret itself."""

from __future__ import annotations

from typing import BinaryIO

from evidence import jsonstream
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError

_NEEDED = {"RuleID", "File", "StartLine"}


def read(name: str, stream: BinaryIO) -> Reading:
    """The list does not say what was scanned: an empty one needs a note that does (``count``: commits or files). Older versions
    of Gitleaks write ``null`` for an empty one."""
    found = 0
    keys: set[str] = set()
    values: dict[str, str] = {}
    findings: list[str] = []
    for path, kind, value in jsonstream.events(stream):
        if path == "" and kind == "null":
            continue
        if path == "" and kind not in ("start_array", "end_array"):
            raise ReportError("wrong-tool", "is not a Gitleaks report: a list of findings expected")
        if path == "item" and kind == "start_map":
            found += 1
            keys, values = set(), {}
        elif path == "item" and kind == "map_key":
            keys.add(value)
        elif path == "item" and kind == "end_map":
            if not keys >= _NEEDED:
                raise ReportError(
                    "wrong-tool", f"is not a Gitleaks report: entry {found} has no {', '.join(sorted(_NEEDED - keys))}"
                )
            if len(findings) < MAX_FINDINGS:
                findings.append(f"{values.get('RuleID', '')} in {values.get('File', '')}:{values.get('StartLine', '')}")
        elif path == "item" or (path.count(".") == 0 and kind not in ("end_array", "start_array")):
            raise ReportError("wrong-tool", "is not a Gitleaks report: an entry is not an object")
        elif kind in ("string", "number") and path.removeprefix("item.") in _NEEDED:
            values[path.removeprefix("item.")] = str(value)[:150]
    return Reading(tool="Gitleaks", figures={"findings": Figure(found, None, tuple(findings))}, failed=found)
