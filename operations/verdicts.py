"""The gates' verdicts of an update, for its report and its message in the history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from catalog.settings import StackSettings
from components import artefacts
from evidence import collect, judge, waivers
from evidence.model import About
from operations.report import GateLine

_WAIVED = "; waived by "


def now(root: Path, stack: str, settings: StackSettings) -> tuple[GateLine, ...]:
    """The verdicts as the program judges them; none where the reports cannot be judged (the program says why)."""
    commit = artefacts.last_commit(root) or ""
    try:
        evidence = collect.collect(settings.gates, root, commit, About(stack, settings.host.account))
        verdicts = judge.judge(evidence, waivers=waivers.load(root / "waivers.yaml"), commit=commit)
    except (collect.UnknownGateError, waivers.WaiverError):
        return ()
    return tuple(GateLine(v.name, v.verdict, v.figure, v.threshold, v.reason) for v in verdicts)


def waived(lines: Sequence[GateLine]) -> list[str]:
    """``gate: who, until when, why`` of each gate that was let through."""
    return [f"{line.name}: {line.reason.partition(_WAIVED)[2]}" for line in lines if line.verdict == "waived"]


def noted(message: str, lines: Sequence[GateLine]) -> str:
    """An update's message with what was waived for it: ``bin/mo history`` and ``pulumi stack history`` show it for good."""
    found = waived(lines)
    return f"{message} [waived: {'; '.join(found)}]" if found else message
