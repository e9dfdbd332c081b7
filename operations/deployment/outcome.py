"""What one phase of a deployment hands on, and what a validating phase may look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from catalog.models import Service
from catalog.settings import StackSettings

Because = Literal["failed", "waits", "unreached"]


@dataclass(frozen=True)
class Failure:
    """A service that an update left without its new release, or whose step failed though the release is ``live``.

    ``because``: a step of its own failed, it waits for what failed, or the update ended before it; ``step``: the one that failed (a column
    of the progress); ``root``: the service, or the resource of all services, that it waits for; ``error``: the first error, one line."""

    service: str
    because: Because
    live: bool = False
    step: str | None = None
    root: str | None = None
    error: str = ""

    @property
    def reason(self) -> str:
        """In a few words."""
        if self.because == "waits":
            return f"waits for {self.root}"
        return f"{self.step or 'an update'} failed" if self.because == "failed" else "not reached"

    @property
    def sentence(self) -> str:
        """The whole of it, without the service's name."""
        if self.because == "waits":
            return f"waits for {self.root}, which failed" + (f": {self.error}" if self.error else "")
        if self.because == "unreached":
            return "not reached: " + (self.error or "the update ended before it")
        return self.error or self.reason


@dataclass(frozen=True)
class Outcome:
    """The result of one phase.

    ``summary``: one line for terminal, journal and report; ``details``: JSON, without secrets; ``rollback``: why services must go back
    to their former releases, ``None`` where nothing asks for that; ``reverts``: which, empty for all that the run changed; ``failures``:
    the services that an update left behind. ``details["instead"]``: what became of a phase that has nothing to
    answer for because it did not do its work ("not compared"), so that it does not pass for one that found all well.
    """

    name: str
    ok: bool
    summary: str
    details: dict[str, Any] = field(default_factory=dict)
    rollback: str | None = None
    reverts: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()

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
