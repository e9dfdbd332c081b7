"""Carries phases out one after another: each one's start and end is in the journal before anything else happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import monotonic

from rich.console import Console

from operations.deployment.journal import CHANGING, Journal
from operations.deployment.lock import HostLock
from operations.deployment.outcome import Outcome
from operations.problem import Problem

ASKING = CHANGING | {"status page", "report"}
"""The phases before which, as before each restore, the host is asked whether the run still has its lock: in them something changes, or is
told for good."""


RESTORE = "restore "
"""How the phases begin in which a database goes back; the service follows."""


class Phases:
    """The phases of one run. ``carried``: outcomes of an interrupted run that need not be had again, by name; ``lock``: checked before each
    phase, so that a run that has lost it goes no further; ``durations``: seconds of each; ``last``: the one that began last; ``copy``:
    brings the host's copy of the journal up to date, called where another clone would have to know."""

    def __init__(
        self, journal: Journal, out: Console, carried: Mapping[str, Outcome] | None = None, copy: Callable[[], None] = lambda: None
    ) -> None:
        self.outcomes: list[Outcome] = []
        self.durations: dict[str, float] = {}
        self.last: str | None = None
        self.lock: HostLock | None = None
        self._journal, self._out, self._carried = journal, out, dict(carried or {})
        self._copy = copy

    def carry(self, name: str, work: Callable[[], Outcome], *, show: bool = True) -> Outcome:
        """Carries out one phase and gives its outcome, under ``name``; the one of an interrupted run where there is one. ``show``: whether
        a line tells of it. Raises what ``work`` raises; a ``Problem`` is the phase's end all the same."""
        if (known := self._carried.pop(name, None)) is not None:
            self._journal.end(known)
            self.outcomes.append(known)
            self.last = name
            self._told(name)
            return known
        if self.lock is not None:
            self.lock.check(ask=name in ASKING or name.startswith(RESTORE))
        self.last = name
        self._journal.start(name)
        self._told(name)
        begun = monotonic()
        try:
            outcome = replace(work(), name=name)
        except Problem as problem:
            outcome = Outcome(name, False, str(problem))
            self._journal.end(outcome)
            self.outcomes.append(outcome)
            self._told(name)
            raise
        self.durations[name] = round(monotonic() - begun, 1)
        self._journal.end(outcome)
        self.outcomes.append(outcome)
        self._told(name)
        if show:
            self.show(outcome)
        return outcome

    def copy(self) -> None:
        """The journal has come to its end: the host is told, where it was told of the run at all."""
        if self.changed:
            self._copy()

    def _told(self, name: str) -> None:
        if name in CHANGING or name.startswith(RESTORE):
            self._copy()

    def show(self, outcome: Outcome) -> None:
        """One line; a failure's further sentences below it."""
        first, *rest = outcome.summary.split("; ") if not outcome.ok else [outcome.summary]
        style = None if outcome.ok else "red"
        self._out.print(f"{outcome.sign} {outcome.name}: {first}", style=style, markup=False)
        for line in rest:
            self._out.print(f"    {line}", style=style, markup=False)

    @property
    def changed(self) -> bool:
        """Whether the run has come to where the host changes."""
        return bool(CHANGING & {self.last, *(outcome.name for outcome in self.outcomes)})

    def named(self, name: str) -> Outcome | None:
        """The outcome of a phase that has ended, the last one of that name."""
        return next((outcome for outcome in reversed(self.outcomes) if outcome.name == name), None)
