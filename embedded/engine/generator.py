"""From what the program asks for to steps: same, create, update, replace, read, refresh, import."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from embedded.engine import urns
from embedded.engine.aliases import Aliases
from embedded.engine.anticipation import expected_inputs
from embedded.engine.comparison import Comparison, is_replacement
from embedded.engine.steps import Goal, ReadGoal, Step, copy_state, dependency_urns
from embedded.model import EngineError, ResourceState
from embedded.providers.base import Diff, Provider, Resource
from embedded.values import UNKNOWN, PropertyMap

if TYPE_CHECKING:
    from embedded.engine.deployment import Deployment


class Bail(Exception):  # noqa: N818 - it is a way out, not an error
    """Step generation ends; what is wrong has been reported already."""


class Generator(Comparison):
    """Decides on steps; runs on the deployment's own thread only, but for ``anticipate``.

    ``mode``: ``update``, ``destroy`` (the program runs, then everything goes) or ``refresh`` (the program runs, nothing is
    changed). With ``refresh`` each resource is read before it is compared.
    """

    def __init__(self, run: Deployment, mode: str, *, refresh: bool) -> None:
        self.run = run
        self.mode = mode
        self.refresh = refresh
        self.failed = False
        self.urns: set[str] = set()
        self.reads: set[str] = set()
        self.deletes: set[str] = set()
        self.replaces: set[str] = set()
        self.updates: set[str] = set()
        self.creates: set[str] = set()
        self.imports: set[str] = set()
        self.sames: set[str] = set()
        self.refreshes: set[str] = set()
        self.skipped_creates: set[str] = set()
        self.condemned: list[ResourceState] = []  # made or kept in this run, to be deleted at its end (destroy with the program)
        self.pending_deletes: set[int] = set()
        self.refreshed: dict[int, ResourceState] = {}
        self.providers: dict[str, ResourceState] = {}
        self.dependent_keys: dict[str, list[str]] = {}
        self._given_targets = urns.Patterns(run.options.targets)
        self._given_excludes = urns.Patterns(run.options.excludes)
        self.targets = urns.Patterns(run.options.targets)  # grow by what depends on them, as the options say
        self.excludes = urns.Patterns(run.options.excludes)
        self.replace_targets = urns.Patterns(run.options.replaces)
        self.aliases = Aliases(run, self.urns)

    # Reads

    def read(self, goal: ReadGoal) -> list[Step]:
        """The steps for a resource that is not ours."""
        urn = self._new_urn(goal.parent, goal.type, goal.name)
        old, _, alias = self.aliases.find_old(urn, goal.name, goal.type, goal.parent, [])
        new = ResourceState(
            urn=urn,
            type=goal.type,
            custom=True,
            id=goal.id,
            inputs=goal.inputs,
            outputs={},
            parent=goal.parent,
            external=True,
            dependencies=goal.dependencies,
            provider=goal.provider,
            additional_secret_outputs=goal.additional_secret_outputs,
            aliases=[alias] if alias else [],
            source_position=goal.source_position,
            stack_trace=goal.stack_trace,
        )
        if not new.id:
            raise EngineError(f"Expected an ID for {urn}")
        if old is not None and not old.external and old.id != goal.id:
            self.replaces.add(urn)
            return [
                Step("read-replacement", old, new, goal.answer),
                Step("replace", old, new, pending_delete=True),
            ]
        if self.mode == "destroy":
            self.condemned.append(new)
        self.reads.add(urn)
        return [Step("read", old, new, goal.answer)]

    # Registrations

    def anticipate(self, goal: Goal) -> bool:
        """Asks the policies beforehand, from any thread, of a resource that seems to be as it was: they judge while others are decided.

        Whether they were asked.
        """
        policies = self.run.policies
        if policies is None or self.mode != "update":
            return False
        urn = self.run.urn(goal.parent, goal.type, goal.name)
        old = self.run.olds.get(urn)
        inputs = expected_inputs(goal, old)
        if inputs is None:
            return False
        new = self._state(goal, urn, old, [])
        new.inputs = inputs
        policies.anticipate(new, goal, self.provider_state(new.provider))
        return True

    def register(self, goal: Goal) -> tuple[list[Step], bool]:
        """The steps for ``goal``, and whether they only prepare the decision (its continuation comes as an event)."""
        if goal.parent and goal.parent not in self.urns:
            raise EngineError(f"could not find parent resource {goal.parent}")
        urn = self._new_urn(goal.parent, goal.type, goal.name)
        old, invalid, alias = self.aliases.find_old(urn, goal.name, goal.type, goal.parent, goal.aliases)
        self.run.goals[urn] = goal
        new = self._state(goal, urn, old, [alias] if alias else [])
        if urns.is_provider_type(goal.type):
            for known in filter(None, (urn, alias)):
                self.providers[known] = new
        if old is not None and self.refresh and self.included(old):
            before = old

            def refreshed(state: ResourceState | None, error: str | None) -> None:
                if state is not None:
                    self.run.graph.alias(state, before)
                    self.refreshed[id(before)] = state
                self.run.post(lambda: self._refreshed(goal, state, new, invalid, error))

            self.refreshes.add(urn)
            return [Step("refresh", old, new, continues=refreshed)], True
        return self._after_refresh(goal, old, new, invalid)

    def _refreshed(
        self, goal: Goal, old: ResourceState | None, new: ResourceState, invalid: bool, error: str | None
    ) -> tuple[list[Step], bool]:
        if error is not None:
            raise EngineError(error)
        return self._after_refresh(goal, old, new, invalid)

    def _after_refresh(self, goal: Goal, old: ResourceState | None, new: ResourceState, invalid: bool) -> tuple[list[Step], bool]:
        urn, own = new.urn, goal.custom and not urns.is_provider_type(goal.type)
        depends_on_skipped = any(needed in self.skipped_creates for needed in self._needs(new))
        if self.mode == "refresh" and (own or depends_on_skipped):
            if old is None:
                return self._skip_create(goal, new), False
            goal.answer.give(old)
            return [], False
        if self.mode == "destroy":
            if depends_on_skipped or (own and old is None):
                if old is not None:
                    new.outputs = old.outputs
                self.skipped_creates.add(urn)
                return [Step("same", copy_state(new), new, goal.answer, skipped_create=True)], False
            self.condemned.append(new)
            if own and old is not None:
                self.sames.add(urn)
                new.inputs = old.inputs
                return [Step("same", old, new, goal.answer)], False
        provider = self.provider_of(new)
        recreating = urn in self.deletes
        seed = os.urandom(32)
        old_import = (old.import_id or old.id) if old is not None else ""
        if goal.custom and goal.import_id and (old is None or old.external or old_import != goal.import_id):
            return self._import(goal, old, new, provider, invalid, recreating, seed), True
        return self.validated(self._decide(goal, old, new, provider, invalid, recreating, seed)), False

    def _import(
        self,
        goal: Goal,
        old: ResourceState | None,
        new: ResourceState,
        provider: Provider | None,
        invalid: bool,
        recreating: bool,
        seed: bytes,
    ) -> list[Step]:
        self.imports.add(new.urn)
        aliases = list(new.aliases)

        def imported(state: ResourceState | None, error: str | None) -> None:
            def go_on() -> tuple[list[Step], bool]:
                if error is not None or state is None:
                    return [], False  # the failed step has been reported
                again = self._state(goal, state.urn, state, aliases)
                again.import_id = state.import_id
                return self.validated(self._decide(goal, state, again, provider, invalid, recreating, seed)), False

            self.run.post(go_on)

        step = Step("import", None, new, goal.answer, ignore_changes=goal.ignore_changes, continues=imported, seed=seed)
        if old is not None and not recreating:
            step.op, step.original = "import-replacement", old
            return [step, Step("replace", old, new, pending_delete=True)]
        return [step]

    def _decide(
        self,
        goal: Goal,
        old: ResourceState | None,
        new: ResourceState,
        provider: Provider | None,
        invalid: bool,
        recreating: bool,
        seed: bytes,
    ) -> list[Step]:
        urn = new.urn
        external = old is not None and old.external
        implicit = urns.is_provider_type(goal.type) or urns.qualified_type(urn) == urns.ROOT_STACK_TYPE
        targeted = implicit or self.included(new)
        fresh = recreating or external or self.replace_wanted(urn)
        if not self._inputs(goal, old, new, provider, targeted=targeted, fresh=fresh, seed=seed) or invalid:
            raise Bail(f"resource {urn} is invalid")
        if targeted:
            self.run.scoping.keep_dependencies(new)
        if recreating:
            self.deletes.discard(urn)
            self.replaces.add(urn)
            keys = self.dependent_keys.get(urn, [])
            return [Step("replace", old, new), Step("create-replacement", old, new, goal.answer, keys=keys)]
        if external:
            self.creates.add(urn)
            create = Step("create-replacement", old, new, goal.answer, pending_delete=True)
            return [create, Step("replace", old, new, pending_delete=True)]
        if self.excludes.constrained and not targeted and self._excluded(new):
            self.excludes.literals.add(urn)
        elif targeted and self._targeted(new):
            self.targets.literals.add(urn)
        if old is None:
            if not targeted:
                return self._skip_create(goal, new)
            self.creates.add(urn)
            return [Step("create", None, new, goal.answer)]
        if not targeted:
            return self.run.scoping.keep_untargeted(old, goal)
        steps = self._compare(goal, old, new, provider, seed)
        if steps:
            return steps
        if urn in self.imports:
            goal.answer.give(old)
            return []
        self.sames.add(urn)
        return [Step("same", old, new, goal.answer)]

    def _inputs(
        self,
        goal: Goal,
        old: ResourceState | None,
        new: ResourceState,
        provider: Provider | None,
        *,
        targeted: bool,
        fresh: bool,
        seed: bytes,
    ) -> bool:
        """Completes ``new.inputs`` by the provider, and lets the policies judge them. Whether the resource may be made."""
        olds = (old.inputs or {}) if old is not None else {}
        inputs, valid = (
            self.restore_ignored(new.urn, goal.inputs, olds, goal.ignore_changes) if old is not None else goal.inputs,
            True,
        )
        if provider is None:
            new.inputs = inputs
        elif not targeted:
            new.inputs = olds
        elif fresh:
            new.inputs, valid = self._check(provider, new, {}, goal.inputs, seed)
        else:
            new.inputs, valid = self._check(provider, new, olds, inputs, seed)
        policies = self.run.policies
        allowed = policies is None or policies.judge(new, goal, self.provider_state(new.provider))
        self.run.unasked.discard(new.urn)
        return allowed and valid

    def _compare(self, goal: Goal, old: ResourceState, new: ResourceState, provider: Provider | None, seed: bytes) -> list[Step]:
        """The steps that make ``old`` into ``new``; none where they are the same."""
        urn = new.urn
        diff = self.replacing(self.diff(goal, old, new, provider), goal.replace_on_changes, bool(old.init_errors))
        if diff.changes == "some" or old.pending_replacement:
            if is_replacement(diff) or old.pending_replacement:
                return self._replace(goal, old, new, provider, diff, seed)
        elif not old.init_errors:
            return []
        self.updates.add(urn)
        step = Step("update", old, new, goal.answer, diffs=diff.diffs, detailed=diff.detailed, ignore_changes=goal.ignore_changes)
        return [step]

    def _replace(
        self, goal: Goal, old: ResourceState, new: ResourceState, provider: Provider | None, diff: Diff, seed: bytes
    ) -> list[Step]:
        urn, run = new.urn, self.run
        if new.protect and old.protect:
            message = (
                f'unable to replace resource "{urn}"\nas it is currently marked for protection. To unprotect the resource, remove the '
                "`protect` flag from the resource in your Pulumi program and run `pulumi up`"
            )
            run.events.error(message, urn)
            self.failed = True
            if not run.preview:
                raise Bail(message)
        if goal.import_id:
            message = (
                "previously-imported resources that still specify an ID may not be replaced; "
                "please remove the `import` declaration from your program;"
            )
            if not run.preview:
                raise EngineError(message)
            run.events.diagnostic("warning", message, urn=urn)
        self.replaces.add(urn)
        if provider is not None and not self.replace_wanted(urn):
            new.inputs, valid = self._check(provider, new, {}, goal.inputs, seed)
            if not valid:
                raise Bail(f"resource {urn} has check errors")
        before = diff.delete_before_replace if goal.delete_before_replace is None else goal.delete_before_replace
        keys, diffs, detailed = diff.replaces, diff.diffs, diff.detailed
        replace = Step("replace", old, new, keys=keys, diffs=diffs, detailed=detailed, pending_delete=not before)
        create = Step(
            "create-replacement", old, new, goal.answer, keys=keys, diffs=diffs, detailed=detailed, pending_delete=not before
        )
        if not before:
            return [create, replace]
        steps = run.scoping.delete_dependents(old, urn)
        run.ensure_provider(old)
        if not old.pending_replacement:
            steps.append(Step("delete-replaced", old, None, pending_replacement=True))
        return [*steps, replace, create]

    # What the decisions are made of

    def _new_urn(self, parent: str, type_: str, name: str) -> str:
        urn = self.run.urn(parent, type_, name)
        if urn in self.urns or urn in self.run.duplicates:
            self.run.events.error(f"Duplicate resource URN '{urn}'; try giving it a unique name", urn)
            raise Bail(f"duplicate URN {urn}")
        self.urns.add(urn)
        return urn

    @staticmethod
    def _state(goal: Goal, urn: str, old: ResourceState | None, aliases: list[str]) -> ResourceState:
        return ResourceState(
            urn=urn,
            type=goal.type,
            custom=goal.custom,
            inputs=goal.inputs,
            parent=goal.parent,
            protect=bool(goal.protect),
            dependencies=goal.dependencies,
            provider=goal.provider,
            property_dependencies=goal.property_dependencies,
            additional_secret_outputs=goal.additional_secret_outputs,
            aliases=aliases,
            custom_timeouts=goal.custom_timeouts,
            import_id=goal.import_id,
            retain_on_delete=bool(goal.retain_on_delete),
            deleted_with=goal.deleted_with,
            replace_with=goal.replace_with,
            created=old.created if old is not None else "",
            modified=old.modified if old is not None else "",
            source_position=goal.source_position,
            stack_trace=goal.stack_trace,
            ignore_changes=goal.ignore_changes,
            replace_on_changes=goal.replace_on_changes,
        )

    def _skip_create(self, goal: Goal, new: ResourceState) -> list[Step]:
        self.sames.add(new.urn)
        self.skipped_creates.add(new.urn)
        return [Step("same", copy_state(new), new, goal.answer, skipped_create=True)]

    def _check(
        self, provider: Provider, state: ResourceState, olds: PropertyMap, news: PropertyMap, seed: bytes
    ) -> tuple[PropertyMap, bool]:
        inputs, failures = provider.check(Resource(state.urn, state.type, state.id), olds, news, seed)
        for failure in failures:
            subject = f"{state.type} resource '{urns.name_of(state.urn)}'"
            if failure.property:
                subject += f": property {failure.property} value {{{_brief(news.get(failure.property))}}}"
            self.run.events.error(f"{subject} has a problem: {failure.reason}", state.urn)
        return inputs, not failures

    def provider_of(self, state: ResourceState) -> Provider | None:
        """The provider that looks after ``state``; ``None`` for a component."""
        if not state.custom:
            return None
        if urns.is_provider_type(state.type):
            return self.run.registry  # type: ignore[return-value]
        if state.provider.startswith("denied:"):
            package = state.provider.removeprefix("denied:")
            self.run.events.error(
                f"Default provider for '{package}' disabled. '{state.urn}' must use an explicit provider.", state.urn
            )
            raise Bail("default provider denied")
        provider = self.run.registry.get(state.provider)
        if provider is None:
            self.run.ensure_provider(state)
            provider = self.run.registry.get(state.provider)
            self.run.scoping.keep_provider(state.provider)
        return provider

    def provider_state(self, reference: str) -> ResourceState | None:
        if not reference:
            return None
        urn, identity = urns.split_reference(reference)
        old = self.run.olds.get(urn)
        return self.providers.get(urn) or (old if old is not None and old.id == identity else None)

    def _needs(self, state: ResourceState) -> list[str]:
        needed = dependency_urns(state)
        if state.provider:
            needed.append(urns.split_reference(state.provider)[0])
        return needed

    # Targets

    def included(self, state: ResourceState) -> bool:
        if self.run.options.targets:
            return self._targeted(state)
        return not (self.run.options.excludes and self._excluded(state))

    def _targeted(self, state: ResourceState) -> bool:
        return self._selected(state, self._given_targets, self.targets, self.run.options.target_dependents)

    def _excluded(self, state: ResourceState) -> bool:
        return self._selected(state, self._given_excludes, self.excludes, self.run.options.exclude_dependents)

    def _selected(self, state: ResourceState, given: urns.Patterns, actual: urns.Patterns, dependents: bool) -> bool:
        return given.matches(state.urn) or (dependents and any(actual.matches(urn) for urn in self._needs(state)))

    def has_step(self, urn: str) -> bool:
        return any(urn in done for done in (self.creates, self.sames, self.updates, self.deletes, self.replaces, self.reads))

    def operated(self, urn: str) -> bool:
        urn = self.aliases.taken.get(urn, urn)
        return any(urn in done for done in (self.sames, self.updates, self.replaces, self.reads, self.refreshes))

    def validated(self, steps: list[Step]) -> list[Step]:
        """``steps``, unless one needs a resource that is not made for it was not targeted."""
        steps = self.run.scoping.take_kept() + steps
        if not self.run.options.targets and not self.run.options.replaces:
            return steps
        for step in steps:
            if step.new is None or step.skipped_create:
                continue
            for urn in self._needs(step.new):
                if urn in self.skipped_creates:
                    self.run.events.error(
                        f"Resource '{step.urn}' depends on '{urn}' which was was not specified in --target list.", step.urn
                    )
                    self.failed = True
                    if not self.run.preview:
                        raise Bail("untargeted create")
                    self.skipped_creates.discard(urn)
        return steps


def _brief(value: object) -> str:
    return "output<unknown>" if value is UNKNOWN else "<nil>" if value is None else str(value)


Continuation = Callable[[], tuple[list[Step], bool]]
