"""One run: takes the program's requests one by one, has steps made of them, and brings the state to its end."""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import replace

from embedded.engine import urns
from embedded.engine.events import Events
from embedded.engine.executor import Executor
from embedded.engine.generator import Bail, Continuation, Generator
from embedded.engine.graph import Graph, layers
from embedded.engine.policies import Policies
from embedded.engine.policy_pack import PolicyError
from embedded.engine.registry import Builtin, Registry
from embedded.engine.scoping import Scoping
from embedded.engine.snapshots import StateKeeper
from embedded.engine.steps import Goal, OutputsGoal, ReadGoal, Step, dependency_urns
from embedded.model import EngineError, NotRecordedError, Options, Project, ResourceState, Session
from embedded.providers import UnknownPackage
from embedded.providers.base import ProviderError

_REPORTED = (EngineError, ProviderError, UnknownPackage, PolicyError)


class Deployment:
    """What all parts of a run share. Events of the program and of steps arrive on a queue; only :meth:`loop` decides."""

    def __init__(self, options: Options, project: Project, session: Session, events: Events, cancel: threading.Event) -> None:
        self.options = _without_protected(options, session.snapshot.resources) if options.exclude_protected else options
        self.project = project
        self.events = events
        self.cancel = cancel
        self.preview = options.kind.startswith("preview")
        self.policies: Policies | None = None
        self.resources: list[ResourceState] = []
        self.olds: dict[str, ResourceState] = {}
        self.all_olds: dict[str, list[ResourceState]] = {}
        self.news: dict[str, ResourceState] = {}
        self.reads: dict[str, ResourceState] = {}
        self.goals: dict[str, Goal] = {}
        self.pending_operations = list(session.snapshot.pending)
        held = session.snapshot.resources  # a preview marks states; what the session holds stays as it is
        resources = [replace(state) for state in held] if self.preview else held
        self.keeper = StateKeeper(session.snapshot, None if self.preview else session.journal)
        self._graph: Graph | None = None
        self._set_resources(resources)
        self.registry = Registry(project, self.preview, self._log, Builtin(project, self.news, self.reads))
        destroys = options.kind.endswith("destroy")
        refreshes = options.kind.endswith("refresh")
        mode = "destroy" if destroys and options.run_program else "refresh" if refreshes else "update"
        self.generator = Generator(self, mode, refresh=options.run_program and (options.refresh or refreshes))
        self.scoping = Scoping(self, self.generator)
        self.executor = Executor(self, self.parallel, self.wake)
        self._queue: queue.SimpleQueue[Continuation | Goal | ReadGoal | OutputsGoal | tuple[str, object] | None] = (
            queue.SimpleQueue()
        )
        self._expected = 0
        self._stack_outputs: OutputsGoal | None = None
        self._skipped: set[str] = set()
        self.duplicates: set[str] = set()
        self._announced: set[str] = set()
        self._announcing = threading.Lock()
        self.unasked: set[str] = set()
        """Resources that the policies have not been asked about yet, and could not be beforehand."""
        self._requesting = threading.Lock()

    @property
    def parallel(self) -> int:
        """How many operations run side by side."""
        return self.options.parallel or 4 * (os.cpu_count() or 1)

    @property
    def graph(self) -> Graph:
        if self._graph is None:
            self._graph = Graph(self.resources)
        return self._graph

    def announce(self, parent: str, type_: str, name: str) -> None:
        """Notes that the program has named a resource, before its request is complete (it may wait for a default provider).

        Which of two resources of one name comes first is chance; where both are known in time, nothing is done to either.
        """
        urn = self.urn(parent, type_, name)
        with self._announcing:
            (self.duplicates if urn in self._announced else self._announced).add(urn)

    def urn(self, parent: str, type_: str, name: str) -> str:
        """The URN of a resource of this stack."""
        return urns.make(self.project.stack, self.project.name, urns.qualified_type(parent), type_, name)

    def ensure_provider(self, state: ResourceState) -> None:
        """Loads the provider that looks after the old ``state``."""
        try:
            self.registry.ensure(state.provider, self.all_olds)
        except _REPORTED as error:
            raise EngineError(f"could not load provider for resource {state.urn}: {error}") from None

    def post(self, item: Continuation) -> None:
        """Continues step generation on the deployment's own thread."""
        self._queue.put(item)

    def request(self, goal: Goal | ReadGoal | OutputsGoal) -> None:
        """A request of the program; its ``answer`` is given when it is done."""
        with self._requesting:
            # In the order of registration: nothing is asked about ahead of one that has to wait for its turn.
            if isinstance(goal, Goal) and self.policies is not None and (self.unasked or not self.generator.anticipate(goal)):
                self.unasked.add(self.urn(goal.parent, goal.type, goal.name))
            self._queue.put(goal)

    def finished(self, error: str | None, *, reported: bool = False) -> None:
        """The program will send no more: it ended well (``None``), or with an error that has been ``reported`` or not."""
        self._queue.put(("finished", None if error is None else ("" if reported else error)))

    def wake(self) -> None:
        """Lets the main loop look whether it is to stop."""
        self._queue.put(None)

    def _log(self, severity: str, message: str, *, urn: str = "", ephemeral: bool = False) -> None:
        self.events.diagnostic(severity, message, urn=urn, ephemeral=ephemeral)

    def _set_resources(self, resources: list[ResourceState]) -> None:
        self.resources = list(resources)
        self._graph = None
        self.olds.clear()
        self.all_olds.clear()
        for state in self.resources:
            self.all_olds.setdefault(state.urn, []).append(state)
            if not state.delete:
                self.olds[state.urn] = state

    # Refresh before anything else

    def refresh(self) -> None:
        """Reads all resources (or the targets), and goes on from what is there. Raises ``Bail`` when one cannot be read."""
        options = self.options
        self.check_targets(options.targets)
        self.check_targets(options.excludes)
        targets, excludes = urns.Patterns(options.targets), urns.Patterns(options.excludes)
        steps: dict[int, Step] = {}
        for state in self.resources:
            needed = dependency_urns(state)
            if targets.constrained:
                chosen = targets.matches(state.urn) or (options.target_dependents and any(targets.matches(urn) for urn in needed))
                if chosen:
                    targets.literals.add(state.urn)
            else:
                chosen = not excludes.matches(state.urn)
                if chosen and options.exclude_dependents and any(excludes.matches(urn) for urn in needed):
                    excludes.literals.add(state.urn)
                    chosen = False
            if chosen:
                self.ensure_provider(state)
                steps[id(state)] = Step("refresh", state, state)
        executor = Executor(self, self.parallel, self.wake, ignore_errors=True)
        executor.run_all(steps.values())
        executor.close()
        self._rebuild(steps)
        if executor.failed:
            raise Bail("refresh failed")
        if self.cancel.is_set():
            raise Bail("canceled")

    def _rebuild(self, steps: dict[int, Step]) -> None:
        """Puts the refreshed states in the place of the old ones; what refers to resources that are gone no longer does."""
        resources: list[ResourceState] = []
        there: set[str] = set()
        parents: dict[str, str] = {}
        for state in self.resources:
            step = steps.get(id(state))
            new = step.new if step is not None and step.new is not None else state
            if step is not None and step.refresh_result == "delete":
                parents[state.urn] = parents.get(state.parent, state.parent)
                continue
            self._drop_missing(new, there)
            if new.parent and new.parent not in there:
                new.parent = parents.get(new.parent, "")
            resources.append(new)
            there.add(new.urn)
        self._set_resources(resources)
        self.news.clear()
        self.keeper.rebase(resources)

    @staticmethod
    def _drop_missing(state: ResourceState, there: set[str]) -> None:
        """Takes references to what is gone out of ``state``; properties that depend on nothing are left out, as by the real engine."""
        state.dependencies = [urn for urn in state.dependencies if urn in there]
        found = {key: [urn for urn in needed if urn in there] for key, needed in state.property_dependencies.items()}
        state.property_dependencies = {key: needed for key, needed in found.items() if needed}
        state.replace_with = [urn for urn in state.replace_with if urn in there]
        if state.deleted_with not in there:
            state.deleted_with = ""

    def check_targets(self, given: tuple[str, ...]) -> None:
        """Refuses targets that are neither in the state nor in the program."""
        unknown = [urn for urn in urns.Patterns(given).given if urn not in self.all_olds and urn not in self.generator.urns]
        for urn in unknown:
            hint = "" if "$" in urn else " Did you forget to escape $ in your shell?"
            self.events.error(f"Target '{urn}' could not be found in the stack.{hint}")
        if unknown:
            raise Bail("one or more targets could not be found in the stack")

    # The main loop

    def loop(self) -> bool:
        """Takes requests until the program and all steps are done. Whether it ended without an error outside of steps."""
        finished = False
        while True:
            item = self._queue.get()
            if self.cancel.is_set() or self.executor.stop.is_set():
                return True
            if item is None:
                continue
            try:
                if isinstance(item, tuple):
                    if item[1] is not None:
                        if item[1]:
                            self.events.error(str(item[1]))
                        self.executor.stop.set()
                        return False
                    finished = True
                else:
                    self._handle(item)
                if finished and self._expected == 0:
                    self._complete()
                    return True
            except Bail:
                self.executor.stop.set()
                return False
            except NotRecordedError as problem:
                self.executor.give_up(problem)
                return False
            except _REPORTED as error:
                self.events.error(str(error), self._urn_of(item))
                self.executor.stop.set()
                return False

    def _handle(self, item: Continuation | Goal | ReadGoal | OutputsGoal) -> None:
        waits = False
        if isinstance(item, Goal):
            steps, waits = self.generator.register(item)
        elif isinstance(item, ReadGoal):
            steps = self.generator.validated(self.generator.read(item))
        elif isinstance(item, OutputsGoal):
            self._outputs(item)
            return
        else:
            self._expected -= 1
            steps, waits = item()
        self._expected += waits
        self._skipped.update(step.res.urn for step in list(self.executor.errored))
        chain = []
        for step in steps:
            if any(urn in self._skipped for urn in dependency_urns(step.res)):
                self._skipped.add(step.res.urn)
                if step.answer is not None:
                    step.answer.give(step.new, "skip")
            else:
                chain.append(step)
        if chain:
            self.executor.submit(chain)

    def _urn_of(self, item: object) -> str:
        if isinstance(item, (Goal, ReadGoal)):
            return self.urn(item.parent, item.type, item.name)
        return item.urn if isinstance(item, OutputsGoal) else ""

    def _complete(self) -> None:
        """After the program: deletes what it no longer has (or, refreshing, reads it)."""
        self.executor.wait_idle()
        if self.executor.stop.is_set():
            return
        if self.generator.mode == "refresh":
            self._refresh_rest()
        else:
            self._delete_rest()
        self.check_targets(self.options.targets)

    def _delete_rest(self) -> None:
        if not self.resources and not self.generator.condemned:
            return
        sames, deletes = self.scoping.deletes()
        if sames:
            self.executor.submit(sames).result()
        if not deletes:
            return
        by_state = {id(step.res): step for step in deletes}
        graph = self.scoping.deletion_graph()
        blocked: set[int] = set()
        seen = 0
        for group in layers([step.res for step in deletes], graph):
            for step in self.executor.errored[seen:]:
                seen += 1
                for state in (step.res, step.old):
                    if state is not None and state in graph:
                        blocked |= graph.transitive_dependencies(state)
            self.executor.run_all(by_state[id(state)] for state in group if graph.position(state) not in blocked)

    def _refresh_rest(self) -> None:
        targets, excludes = urns.Patterns(self.options.targets), urns.Patterns(self.options.excludes)
        steps: dict[int, Step] = {}
        for state in self.resources:
            chosen = targets.matches(state.urn) if targets.constrained else not excludes.matches(state.urn)
            if chosen and not self.generator.operated(state.urn):
                self.ensure_provider(state)
                steps[id(state)] = Step("refresh", state, state)
        self.executor.run_all(steps.values())

        changed = [step for step in steps.values() if step.old is not None and step.new is not step.old]
        self.keeper.settle([(step.old, None if step.refresh_result == "delete" else step.new) for step in changed if step.old])

    # Outputs of components and of the stack

    def _outputs(self, goal: OutputsGoal) -> None:
        if urns.qualified_type(goal.urn) == urns.ROOT_STACK_TYPE:
            self._stack_outputs = goal
            goal.answer.give(None)
            return
        self._record_outputs(goal, goal.outputs)
        goal.answer.give(None)

    def _record_outputs(self, goal: OutputsGoal, outputs: dict[str, object]) -> None:
        step = self.executor.pending.pop(goal.urn, None)
        if step is None:
            raise EngineError(f"cannot complete a resource '{goal.urn}' whose registration isn't pending")
        if step.skipped_create or step.new is None:
            return
        step.new.outputs = outputs
        self.events.masker.add_secrets(outputs)
        self.events.outputs_registered(step)
        if step.old is None or step.old.outputs != outputs:
            self.keeper.outputs(step.new)

    def settle_stack_outputs(self, *, failed: bool) -> None:
        """The stack's outputs, last of all. After a failure those that are missing stay as they were."""
        goal = self._stack_outputs
        if goal is None or goal.urn not in self.executor.pending:
            return
        outputs = goal.outputs
        if failed:
            old = self.olds.get(goal.urn)
            outputs = {**((old.outputs or {}) if old is not None else {}), **outputs}
        self._record_outputs(goal, outputs)


def _without_protected(options: Options, resources: list[ResourceState]) -> Options:
    """``options`` with all resources as targets that are not protected and that no protected one needs."""
    graph = Graph(resources)
    kept: set[int] = set()
    for state in resources:
        if state.protect:
            kept |= {graph.position(state), *graph.transitive_dependencies(state)}
    if not kept:
        return options
    return replace(options, targets=tuple(state.urn for position, state in enumerate(resources) if position not in kept))
