"""One thing that the doctor found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from operations.problem import Problem

SKEW = 60
"""Seconds that two clocks may differ before reports, tokens and certificates are judged wrongly."""


@dataclass(frozen=True)
class Finding:
    """``good``: ``None`` for something to know that is no fault. ``text``: one sentence; of a fault with the way out."""

    what: str
    good: bool | None
    text: str


def guarded(what: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """What ``look`` finds; a ``Problem`` is a finding, so that the doctor goes on with the rest."""
    try:
        return look()
    except Problem as problem:
        return [Finding(what, False, str(problem))]


def clock(what: str, ahead: float) -> Finding:
    """A clock that is ``ahead`` seconds before this machine's."""
    if abs(ahead) <= SKEW:
        return Finding(what, True, f"within {SKEW} s of this machine's")
    where = "ahead of" if ahead > 0 else "behind"
    return Finding(
        what, False, f"{abs(ahead):.0f} s {where} this machine's; set this one right (timedatectl set-ntp true) or tell its owner"
    )
