"""Codacy's analysis of a repository (API v3, ``getRepositoryWithAnalysis``): its grade, 0 to 100, stands for maintainability.

Codacy's SARIF holds single issues and no such figure; it is not taken for one.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.jsonstream import number
from evidence.model import Figure, Reading, ReportError
from evidence.report import moment


def read(name: str, stream: BinaryIO) -> Reading:
    """The grade of the last analysed commit."""
    values: dict[str, Any] = {}
    for path, kind, value in jsonstream.events(stream, "start_map"):
        if path.startswith("data.") and kind in ("string", "number", "boolean"):
            if path in values and ".item" not in path:
                raise ReportError("unreadable", f"gives {path} twice")
            values[path] = value
    if "data.repository.name" not in values or "data.grade" not in values:
        raise ReportError("wrong-tool", "is not a Codacy analysis of a repository (data.repository, data.grade)")
    return Reading(
        tool="Codacy",
        figures={"maintainability": Figure(number(values["data.grade"], "data.grade", 0, 100))},
        version="API v3",
        is_answer=True,
        commit=jsonstream.text(values.get("data.lastAnalysedCommit.sha")),
        time=moment(values.get("data.lastAnalysedCommit.endedAnalysis") or values.get("data.lastAnalysedCommit.startedAnalysis")),
    )


def refuse_sarif(name: str, stream: BinaryIO) -> Reading:
    """Says why Codacy's SARIF is no evidence."""
    raise ReportError("wrong-tool", "is SARIF, which carries no maintainability: take the analysis from Codacy's API v3")
