"""What a report says, as one typed, frozen ``Evidence``, whichever tool wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

ProblemKind = Literal[
    "missing",
    "empty",
    "unreadable",
    "too-large",
    "wrong-tool",
    "fallback",
    "nothing-checked",
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
    """What a reader found: figures by measure (``errors``, ``passed``, ``performance``, …) and what the report says of its own origin."""

    tool: str
    figures: Mapping[str, Figure]
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


MAX_FINDINGS = 20
"""How many places a report's evidence keeps; the report has the rest."""
