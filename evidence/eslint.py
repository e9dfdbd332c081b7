"""ESLint's JSON (``--format json`` or ``json-with-metadata``): errors, fatal ones included; warnings do not count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.jsonstream import amount
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.wording import counted

_IGNORED = "File ignored "
"""How the one message of a file that was named and not linted begins (``lib/eslint/eslint-helpers.js``, ``createIgnoreResult``)."""


@dataclass
class _Run:
    files: int = 0
    ignored: int = 0
    errors: int = 0
    told: int = 0
    warnings: int = 0
    place: str = ""
    seen: set[str] = field(default_factory=set)
    findings: list[str] = field(default_factory=list)

    def take(self, path: str, kind: str, value: Any) -> None:
        """One event; ``path`` is relative to the list of files."""
        if path == "item":
            self._file(kind, value)
        elif path == "item.filePath":
            self.place = str(value)[-150:]
        elif path == "item.errorCount":
            self.told += amount(value, "errorCount")
        elif path == "item.messages.item.message" and kind == "string":
            self.ignored += value.startswith(_IGNORED)
        elif path == "item.messages.item.severity":
            if value == 1:
                self.warnings += 1
                return
            self.errors += 1
            if len(self.findings) < MAX_FINDINGS:
                self.findings.append(self.place)

    def _file(self, kind: str, value: Any) -> None:
        if kind == "start_map":
            self.files += 1
            self.seen = set()
        elif kind == "map_key":
            self.seen.add(value)
        elif kind != "end_map":
            raise ReportError("wrong-tool", "is not an ESLint report: an entry is not an object")
        elif not self.seen >= {"filePath", "errorCount", "messages"}:
            raise ReportError("wrong-tool", f"is not an ESLint report: entry {self.files} has no filePath, errorCount and messages")


def read(name: str, stream: BinaryIO) -> Reading:
    """``count`` is the number of files that were linted, not ignored."""
    run = _Run()
    prefix: str | None = None
    held = False
    for path, kind, value in jsonstream.events(stream):
        if prefix is None:
            if kind not in ("start_array", "start_map"):
                raise ReportError("wrong-tool", "is not an ESLint report: a list of files expected")
            prefix = "" if kind == "start_array" else "results."
        held |= path == prefix.rstrip(".") and kind == "start_array"
        if path.startswith(prefix):
            run.take(path[len(prefix) :], kind, value)
    if not held:
        raise ReportError("wrong-tool", "is not an ESLint report: a list of files, or an object with results, expected")
    linted = run.files - min(run.ignored, run.files)
    if run.files and not linted:
        raise ReportError("nothing-checked", f"checked nothing: ESLint ignored {counted(run.files, 'file')} and linted none")
    errors = max(run.errors, run.told)
    remarks = (counted(run.warnings - run.ignored, "warning"),) if run.warnings > run.ignored else ()
    return Reading(
        tool="ESLint",
        figures={"errors": Figure(errors, linted, tuple(run.findings))},
        failed=errors,
        held=run.files,
        remarks=(*remarks, *((f"{counted(run.ignored, 'file')} ignored",) if run.ignored else ())),
    )
