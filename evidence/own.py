"""Reports of the project's own checks (personal data, consent, privacy policy): one format, written by ``evidence.own.write``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from evidence import jsonstream
from evidence.jsonstream import amount, number
from evidence.model import MAX_FINDINGS, NOWHERE, About, Figure, Reading, ReportError
from evidence.report import moment

TOOL = "mo-deploy"
VERSION = "1"
_MEASURES = {"personal-data": "findings", "consent": "active", "privacy-policy": "age", "attestation": "mismatches"}


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit that was checked (40 hex), and whether the checkout had changes beside it."""

    id: str
    dirty: bool = False


def write(
    path: Path,
    check: str,
    figure: float,
    count: int,
    findings: Sequence[str],
    commit: Commit,
    now: datetime,
    about: About = NOWHERE,
) -> None:
    """Writes a check's report. ``findings`` are places and kinds, never the values found; all are counted, the first are kept.
    ``about``: the stack and host that it is about, where it is about a host."""
    report = {
        "version": 1,
        "tool": {"name": TOOL, "version": VERSION},
        "check": check,
        "commit": commit.id,
        "uncommitted": commit.dirty,
        "time": now.astimezone(UTC).isoformat(timespec="seconds"),
        "stack": about.stack,
        "account": about.host,
        "figure": figure,
        "count": count,
        "findings": list(findings[:200]),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def read(name: str, stream: BinaryIO) -> Reading:
    """Reads an own check's report; its ``check`` says which measure it holds."""
    values: dict[str, object] = {}
    findings: list[str] = []
    for path, kind, value in jsonstream.events(stream, "start_map"):
        if path == "findings.item" and kind == "string" and len(findings) < MAX_FINDINGS:
            findings.append(value[:200])
        elif kind in ("string", "number", "boolean"):
            if path in values and "." not in path:
                raise ReportError("unreadable", f"gives {path} twice")
            values[path] = value
    measure = _MEASURES.get(str(values.get("check")))
    if values.get("tool.name") != TOOL or measure is None:
        raise ReportError("wrong-tool", "was not written by this project's own checks")
    figure = number(values.get("figure"), "figure", 0, 1e9)
    return Reading(
        tool=TOOL,
        figures={measure: Figure(figure, amount(values.get("count"), "count"), tuple(findings))},
        is_answer=True,
        version=jsonstream.text(values.get("tool.version")),
        commit=jsonstream.text(values.get("commit")),
        time=moment(values.get("time")),
        uncommitted=values.get("uncommitted") is not False,
        about=About(jsonstream.text(values.get("stack")) or "", jsonstream.text(values.get("account")) or ""),
    )
