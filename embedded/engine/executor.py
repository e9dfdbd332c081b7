"""Runs chains of steps side by side: each chain in order, no step after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from embedded.engine.apply import PartialFailure, Protected, perform
from embedded.engine.ranking import Ranking
from embedded.engine.steps import Step
from embedded.engine.workers import Workers
from embedded.model import EngineError, NotRecordedError
from embedded.providers.base import ProviderError

if TYPE_CHECKING:
    from embedded.engine.deployment import Deployment


_GRACE = (
    0.1  # seconds: operations of the real engine take that long, and what the program asks for meanwhile begins before they fail
)


class Executor:
    """``ignore_errors``: a failure is recorded, all other steps run (refresh)."""

    def __init__(self, run: Deployment, parallel: int, stopped: Callable[[], None], *, ignore_errors: bool = False) -> None:
        self._run = run
        self._workers = Workers(parallel)
        self._ranking = Ranking(run.resources)
        self._stopped = stopped
        self._ignore_errors = ignore_errors
        self._running: set[Future[None]] = set()
        self._lock = threading.Lock()
        self.stop = threading.Event()
        self.failed = self.unrecorded = False
        self.errored: list[Step] = []
        self.pending: dict[str, Step] = {}  # URN → the step whose outputs may still be registered

    def submit(self, chain: list[Step], gate: threading.Event | None = None) -> Future[None]:
        """Runs ``chain`` as soon as there is a worker for it, and the ``gate`` is open; here and now where no provider takes part.

        What only waits for such steps would else stand in line behind slow operations that it has nothing to do with.
        """
        alone = all(_without_provider(step) for step in chain)
        rank = self._ranking.of(chain, 0 if alone else 1)
        if gate is None and alone:
            done: Future[None] = Future()
            self._chain(chain, None)
            done.set_result(None)
            return done
        future = self._workers.submit(lambda: self._chain(chain, gate), rank)
        with self._lock:
            self._running.add(future)
        future.add_done_callback(self._forget)
        return future

    def run_all(self, steps: Iterable[Step]) -> None:
        """Runs ``steps`` in parallel and waits for them. As many as there are workers begin together, whichever fails first."""
        gate = threading.Event()
        submitted = [self.submit([step], gate) for step in steps]
        gate.set()
        wait(submitted)

    def wait_idle(self) -> None:
        while True:
            with self._lock:
                running = set(self._running)
            if not running:
                return
            wait(running)

    def close(self) -> None:
        self.wait_idle()
        self._workers.close()

    def _forget(self, future: Future[None]) -> None:
        with self._lock:
            self._running.discard(future)

    def _chain(self, chain: list[Step], gate: threading.Event | None) -> None:
        if gate is not None:
            gate.wait()
        for position, step in enumerate(chain):
            if self.stop.is_set() or self._run.cancel.is_set():
                return
            try:
                done = self._step(step)
            except NotRecordedError as problem:
                self.give_up(problem, step)
                done = False
            except Exception as error:  # a defect must not leave the program waiting for ever
                self._run.events.error(f"{type(error).__name__}: {error}", step.urn)
                self._fail(step, protected=False)
                done = False
            if not done:
                self._give_up(chain[position + 1 :])
                return

    def give_up(self, problem: NotRecordedError, step: Step | None = None) -> None:
        """Ends the run, whose journal cannot be written: what ``step`` did is not recorded. Reports it once."""
        with self._lock:
            first, self.unrecorded, self.failed = not self.unrecorded, True, True
            if step is not None:
                self.errored.append(step)
        if first:
            self._run.events.error(str(problem))
        self.stop.set()
        self._stopped()

    def _give_up(self, rest: list[Step]) -> None:
        """Answers what waits for the rest of a chain after a failed step: a deletion, say, before the creation of what replaces it."""
        waiting = [step for step in rest if step.answer is not None]
        with self._lock:
            self.errored += waiting
        for step in waiting:
            if step.answer is not None and not self.stop.is_set():
                step.answer.give(step.new, "fail")

    def _step(self, step: Step) -> bool:
        run = self._run
        begun = time.monotonic()
        run.events.step_begins(step)
        number = run.keeper.begin(step)
        error: Exception | None = None
        try:
            perform(run, step)
        except PartialFailure as failure:
            error = failure
        except (EngineError, ProviderError) as failure:
            if not self._ignore_errors:
                time.sleep(max(0.0, _GRACE - (time.monotonic() - begun)))
            run.keeper.fail(number)
            run.events.step_fails(step, str(failure))
            if step.continues is not None:
                step.continues(None, str(failure))
            self._fail(step, protected=isinstance(failure, Protected))
            return False
        if error is None and step.logical and step.new is not None:
            self.pending[step.urn] = step
        if step.new is not None:
            run.events.masker.add_secrets(step.new.outputs)
        if error is not None:
            run.events.step_fails(step, str(error))
            run.keeper.end(number, step)
            self._fail(step, protected=False)
            return False
        run.events.step_ends(step)
        run.keeper.end(number, step)
        if step.continues is not None:
            step.continues(None if step.refresh_result == "delete" else step.new, None)
        elif step.answer is not None:
            step.answer.give(step.new, unknown=step.skipped_create)
        return True

    def _fail(self, step: Step, *, protected: bool) -> None:
        with self._lock:
            self.failed = True
            self.errored.append(step)
        if self._ignore_errors:
            return
        if self._run.options.continue_on_error or protected:
            if step.answer is not None:
                step.answer.give(step.new, "fail")
        else:
            self.stop.set()
            self._stopped()


def _without_provider(step: Step) -> bool:
    """Whether only the state changes."""
    return step.op == "same" or (step.op in ("create", "update") and step.new is not None and not step.new.custom)
