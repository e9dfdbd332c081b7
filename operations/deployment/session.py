"""What every run that changes a stack is inside of: its journal from the first line to the last, and the lock on the host."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from operations.deployment import closed, host_journals
from operations.deployment import journal as journals
from operations.deployment import lock as locks
from operations.deployment import owner as owners
from operations.deployment.here import Here
from operations.deployment.journal import Journal, Run
from operations.deployment.outcome import Outcome
from operations.deployment.phases import RESTORE, Phases
from operations.problem import Problem

NEVER_CARRIED = {"lock", closed.NAME, "report", "notify", "issue closed"}
"""Phases that every run has for itself."""


def is_carried(outcome: Outcome) -> bool:
    """Whether a run that goes on need not carry a phase out again: a database that did not go back is tried again."""
    return outcome.name not in NEVER_CARRIED and (outcome.ok or not outcome.name.startswith(RESTORE))


class Session:
    """Use as a context. ``resumes``: the interrupted run that this one goes on with; what that one had done is carried over.

    Left by an error before anything changed, the run is over; left by one afterwards it counts as interrupted, unless the engine itself
    refused (``Problem`` in the phase ``up`` or ``rollback``).
    """

    def __init__(self, here: Here, kind: str, message: str, options: Mapping[str, Any], resumes: Run | None = None) -> None:
        self.here, self.resumes = here, resumes
        self.who = owners.here()
        self.begun = datetime.now(UTC)
        carried = {o.name: o for o in resumes.outcomes if is_carried(o)} if resumes and resumes.changed else {}
        self._journal = Journal(journals.folder_of(here.root, here.stack))
        self._journal.begin(kind, message, self.who, options, resumes.id if resumes else None)
        self.phases = Phases(self._journal, here.out, carried, self._copy)
        self._uncopied = False
        self._held = ExitStack()
        self._over = False

    @property
    def id(self) -> str:
        """The run's id."""
        return self._journal.id

    @property
    def closed(self) -> tuple[str, ...]:
        """The sites that a person has closed, as this run has found them."""
        return closed.of(self.phases.named(closed.NAME))

    def _copy(self) -> None:
        """Brings the host's copy of the journal up to date. What the host does not take is a word, and no failure: this machine has it."""
        try:
            host_journals.keep(host_journals.asker(self.here.root, self.here.stack), self._journal.path)
        except Problem as problem:
            if not self._uncopied:
                text = f"· journal: the host keeps no copy of this run, so that only this machine can go on with it: {problem}"
                self.here.out.print(text, style="dim", markup=False)
            self._uncopied = True

    def lock(self, purpose: str) -> None:
        """The phase ``lock``. Raises ``Problem`` where another has it."""

        def take() -> Outcome:
            held = locks.HostLock(locks.asker(self.here.root, self.here.stack), purpose, who=self.who)
            held.on_lost = self.here.engine.stop
            # Written before it is taken: whatever holds it, the journal of its run names it.
            self._journal.locked(held.id)
            self._held.enter_context(held)
            self.phases.lock = held
            return Outcome("lock", True, held.words or "taken")

        outcome = self.phases.carry("lock", take, show=False)
        if outcome.summary != "taken":
            self.here.out.print(outcome.summary, style="yellow", markup=False)

    def refuse_overtaken(self, live: Mapping[str, str]) -> None:
        """Raises ``Problem`` where another run has changed what is live since the one that this goes on with: what that one had asked,
        and its way back, are of a site that is no more."""
        old, stack = self.resumes, self.here.stack
        if old is not None and (changed := old.overtaken(live)):
            raise Problem(
                f"Another update has changed {', '.join(changed)} since the {old.kind} {old.id} was interrupted, and going on with it "
                f"would take that back; nothing was changed. Deploy (bin/mo deploy --stack {stack}) or go back (bin/mo rollback "
                f"--stack {stack}) anew."
            )

    def planned(self, before: Mapping[str, str], releases: Mapping[str, str], message: str, target: int | None = None) -> None:
        """Writes down what the run is to make live; ``target``: the update that a rollback goes to."""
        self._journal.planned(before, releases, message, target)

    def finish(self, ok: bool, summary: str) -> None:
        """The run's last line."""
        self._journal.done(ok, summary)
        self.phases.copy()
        self._over = True

    def discard(self) -> None:
        """The run had nothing to do and leaves nothing behind."""
        self._journal.discard()
        self._over = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._over and error is not None:
            started = self.phases.changed
            if not started:
                self._journal.done(False, f"nothing was changed: {_why(error)}")
            elif isinstance(error, Problem) and self.phases.last in journals.CHANGING:
                self._journal.done(False, str(error))
                self.phases.copy()
        self._held.close()
        self._journal.close()
        journals.prune(self.here.root, self.here.stack)


def _why(error: BaseException) -> str:
    return str(error) if isinstance(error, Problem) else "stopped by the operator"
