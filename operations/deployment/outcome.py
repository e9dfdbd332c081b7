"""What one phase of a deployment hands on, and what a validating phase may look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog.models import Service
from catalog.settings import StackSettings


@dataclass(frozen=True)
class Outcome:
    """The result of one phase.

    ``summary``: one line for terminal, journal and report; ``details``: JSON, without secrets; ``rollback``: why everything must go back
    to the former release set, ``None`` where nothing asks for that. ``details["instead"]``: what became of a phase that has nothing to
    answer for because it did not do its work ("not compared"), so that it does not pass for one that found all well.
    """

    name: str
    ok: bool
    summary: str
    details: dict[str, Any] = field(default_factory=dict)
    rollback: str | None = None

    @property
    def word(self) -> str:
        """``FAILED``, ``ok``, or what it is instead."""
        return str(self.details.get("instead") or "ok") if self.ok else "FAILED"

    @property
    def sign(self) -> str:
        """The same as one character."""
        return {"ok": "✓", "FAILED": "✗"}.get(self.word, "·")


@dataclass(frozen=True)
class Validation:
    """``root``: the project; ``services``: those that are deployed; ``releases``: what each must serve; ``folder``: for JUnit, JSON,
    pictures and videos of this run (``quality-reports/<run id>/``); ``closed``: deployed, closed by a person, and so not among
    ``services``."""

    root: Path
    stack: str
    settings: StackSettings
    services: Mapping[str, Service]
    releases: Mapping[str, str]
    folder: Path
    closed: tuple[str, ...] = ()
