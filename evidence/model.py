"""What a report says, in one form for all tools: what ran, what failed, what was not looked at, how the tool ended, what it is about.

A reader turns a file into a ``Reading`` and decides nothing; ``evidence.soundness`` decides, by one rule for all of them, whether a reading
proves anything. What does is an ``Evidence`` without a problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from evidence.lines import Lines

ProblemKind = Literal[
    "missing",
    "empty",
    "unreadable",
    "too-large",
    "wrong-tool",
    "fallback",
    "nothing-checked",
    "incomplete",
    "tool-failed",
    "no-provenance",
    "altered",
    "other-commit",
    "other-host",
    "uncommitted",
    "future",
    "stale",
]
"""Why a report proves nothing. Each fails its gate, whatever the figure."""


class ReportError(Exception):
    """A report that proves nothing: ``kind`` and one sentence saying what is wrong, without the report's name."""

    def __init__(self, kind: ProblemKind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind: ProblemKind = kind
        self.sentence = sentence
        self.digest = ""
        """SHA-256 of the file, where it was read."""


@dataclass(frozen=True, slots=True)
class About:
    """The stack and the host that a report is about. ``host`` is an account (``HostSettings.account``). Empty where nobody says, and for
    reports about sources, which are about no host."""

    stack: str = ""
    host: str = ""


NOWHERE = About()


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a report. ``count``: how many things were looked at (tests, files, pages), ``None`` where the format does not
    say. ``findings``: the first places to look at, never a secret or personal value."""

    value: float
    count: int | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader found, and what the report says of its own origin.

    ``figures``: by measure (``errors``, ``passed``, ``performance``, …), each with the number of units looked at. ``failed``: how many
    things the report shows for which the tool ends with its exit code for findings (``evidence.exit_codes``). ``missed``: what should
    have been looked at and was not, a phrase each that fits "did not check …"; any of them fails the gate. ``remarks``: what people
    should know and what fails nothing (skipped tests, checks that need a person). ``is_answer``: there is no tool whose end could be
    judged, since the report is a service's answer or written by this program after its check. ``shard``: which part of how many a run
    was. ``lines``: which lines are covered, for the union over all reports of a gate.
    """

    tool: str
    figures: Mapping[str, Figure]
    failed: int = 0
    missed: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    exit_code: int | None = None
    """What the report itself says of how its tool ended; ``None`` where only a note can say it."""
    is_answer: bool = False
    shard: tuple[int, int] | None = None
    held: int | None = None
    """How many units the report holds, whether they ran or not; a note that gives another number was not written for all of it."""
    lines: Lines | None = None
    version: str | None = None
    commit: str | None = None
    time: datetime | None = None
    uncommitted: bool = False
    about: About = NOWHERE


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a report comes from. ``time`` is UTC, ``digest`` the SHA-256 of the file in hex; empty strings and ``None`` where unknown.
    ``uncommitted``: the checkout had changes that the commit does not hold."""

    tool: str = ""
    version: str = ""
    commit: str = ""
    time: datetime | None = None
    digest: str = ""
    uncommitted: bool = False
    about: About = NOWHERE


@dataclass(frozen=True, slots=True)
class Evidence:
    """One report's answer for one gate. ``report`` is its path relative to the project; ``figure`` is ``None`` with a ``problem``
    that left none; ``detail`` is the problem's sentence."""

    gate: str
    report: str
    figure: float | None = None
    count: int | None = None
    findings: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)
    problem: ProblemKind | None = None
    detail: str = ""
    remarks: tuple[str, ...] = ()


MAX_FINDINGS = 20
"""How many places a report's evidence keeps; the report has the rest."""
