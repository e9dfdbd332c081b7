"""Which reader reads which file for which gate, and whose reports a gate takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO

from evidence import coverage, junit, own
from evidence.model import Reading, ReportError

Reader = Callable[[str, BinaryIO], Reading]
"""Takes a report's name and its bytes, gives what it says; raises ``ReportError`` where it says nothing."""

READERS: Mapping[str, Mapping[str, Reader]] = {
    "unit-tests": {".xml": junit.read},
    "integration-tests": {".xml": junit.read},
    "e2e-tests": {".xml": junit.read},
    "coverage": {".xml": coverage.read_xml, ".info": coverage.read_lcov, ".json": coverage.read_json},
    "personal-data": {".json": own.read},
    "consent": {".json": own.read},
    "privacy-policy": {".json": own.read},
}
"""Readers by gate and by the file's ending."""


def reader(gate: str, name: str) -> Reader:
    """The reader of the file ``name`` for ``gate``. Raises ``ReportError`` where there is none."""
    ending = name[name.rfind(".") :].lower()
    try:
        return READERS[gate][ending]
    except KeyError:
        raise ReportError("wrong-tool", f"has the ending {ending}, which no reader of the gate {gate} takes") from None
