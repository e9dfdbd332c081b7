"""The gates' verdicts of a deployment: taken once, in its phase ``gates``, kept with that phase's outcome in the journal, and quoted from
there by the update's message, the report and the issue. Nothing judges a report again after the deployment began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from evidence.judge import Verdict
from operations.deployment.outcome import Outcome
from operations.report import GateLine

KEY = "verdicts"
"""Where the outcome of the phase keeps them."""


def lines(verdicts: Sequence[Verdict]) -> tuple[GateLine, ...]:
    """Verdicts as the report and the message have them."""
    return tuple(GateLine(v.name, v.verdict, v.figure, v.threshold, v.reason, v.waiver) for v in verdicts)


def kept(taken: Sequence[GateLine]) -> list[dict[str, Any]]:
    """As JSON, for the outcome's details."""
    return [asdict(line) for line in taken]


def quoted(outcome: Outcome | None) -> tuple[GateLine, ...]:
    """What the phase ``gates`` kept; none where it was not carried out (a rollback), or by a version that kept none."""
    entries = outcome.details.get(KEY) if outcome is not None else None
    found = []
    for entry in entries if isinstance(entries, list) else ():
        try:
            found.append(GateLine(**entry))
        except TypeError:
            return ()  # written by another version
    return tuple(found)


def waived(taken: Sequence[GateLine]) -> list[str]:
    """``gate: who, until when, why`` of each gate that was waived."""
    return [f"{line.name}: {line.waiver}" for line in taken if line.verdict == "waived"]


def noted(message: str, taken: Sequence[GateLine]) -> str:
    """An update's message with what was waived for it: ``bin/mo history`` and ``pulumi stack history`` show it for good."""
    found = waived(taken)
    return f"{message} [waived: {'; '.join(found)}]" if found else message
