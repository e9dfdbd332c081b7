"""Which reader reads which file for which gate, as the gates' files say (``[formats]``)."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import BinaryIO, cast

from evidence.gates import GATES, GateFileError
from evidence.model import Reading, ReportError

Reader = Callable[[str, BinaryIO], Reading]
"""Takes a report's name and its bytes, gives what it says; raises ``ReportError`` where it says nothing."""

_REFERENCE = re.compile(r"(?P<module>[a-z_0-9]+)(\.(?P<function>[a-z_0-9]+))?(:(?P<tool>.+))?")


@cache
def resolve(reference: str) -> Reader:
    """The reader that ``junit``, ``github_alerts.read_dependabot`` or ``sarif:Trivy`` names: a function of a module in ``evidence``
    (``read`` where none is named), for one tool's reports where one is. Raises ``GateFileError``."""
    match = _REFERENCE.fullmatch(reference)
    try:
        if match is None:
            raise ValueError(reference)
        function = getattr(importlib.import_module(f"evidence.{match['module']}"), match["function"] or "read")
    except (ImportError, AttributeError, ValueError):
        raise GateFileError(f"{reference!r} names no reader in evidence/") from None
    return cast("Reader", partial(function, tool=match["tool"]) if match["tool"] else function)


READERS: Mapping[str, Mapping[str, str]] = {name: gate.formats for name, gate in GATES.items()}
"""References to readers by gate and by the file's ending."""


def reader(gate: str, name: str) -> Reader:
    """The reader of the file ``name`` for ``gate``. Raises ``ReportError`` where there is none."""
    ending = name[name.rfind(".") :].lower()
    try:
        return resolve(READERS[gate][ending])
    except KeyError:
        raise ReportError("wrong-tool", f"has the ending {ending}, which no reader of the gate {gate} takes") from None
