"""What else a step takes along: dependents of a delete-before-replace, resources outside of the targets, and what is left to delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded.engine import urns
from embedded.engine.comparison import is_replacement
from embedded.engine.generator import Bail, Generator
from embedded.engine.graph import Graph
from embedded.engine.steps import Goal, Step, copy_state, dependency_urns
from embedded.model import EngineError, ResourceState
from embedded.values import UNKNOWN

if TYPE_CHECKING:
    from embedded.engine.deployment import Deployment


def protection(urn: str) -> str:
    return (
        f'resource "{urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, either remove the `protect` flag from '
        f"the resource in your Pulumi program and run `pulumi up`, or use the command:\n`pulumi state unprotect '{urn}'`"
    )


class Scoping:
    """The part of step generation that looks at the old state as a whole."""

    def __init__(self, run: Deployment, generator: Generator) -> None:
        self.run = run
        self.generator = generator
        self._kept: list[Step] = []
        self._kept_urns: set[str] = set()

    # Resources outside of the targets, kept as they are

    def take_kept(self) -> list[Step]:
        """Same steps for old resources that the next steps need in the state before them."""
        kept, self._kept = self._kept, []
        steps = []
        for step in kept:
            if not self.generator.has_step(step.urn) and not self.generator.operated(step.urn):
                self.generator.urns.add(step.urn)
                self.generator.sames.add(step.urn)
                steps.append(step)
        return steps

    def keep_provider(self, reference: str) -> None:
        urn, identity = urns.split_reference(reference)
        old = self.run.olds.get(urn)
        if old is not None and old.id == identity and urn not in self._kept_urns:
            self._kept_urns.add(urn)
            self._kept.append(Step("same", old, copy_state(old), untargeted=True))

    def keep_dependencies(self, state: ResourceState) -> None:
        """With targets: lets the old resources that ``state`` needs, and nobody has registered, stand before it."""
        if not self.run.options.targets:
            return
        for urn in dependency_urns(state):
            self._keep(urn)

    def _keep(self, urn: str) -> None:
        old = self.run.olds.get(urn)
        if old is None or urn in self._kept_urns or self.generator.has_step(urn):
            return
        self._kept_urns.add(urn)
        if old.provider:
            provider, identity = urns.split_reference(old.provider)
            known = self.run.olds.get(provider)
            if known is not None and known.id == identity:
                self._keep(provider)
        for needed in dependency_urns(old):
            self._keep(needed)
        self._kept.append(Step("same", old, copy_state(old), untargeted=True))

    def keep_untargeted(self, old: ResourceState, goal: Goal) -> list[Step]:
        """Same steps for ``old``, which is not targeted, and for what it depends on and no longer is in the program."""
        if old.provider and self.run.registry.get(old.provider) is None:
            raise EngineError(
                f"provider {old.provider} for resource {old.urn} has not been registered yet, this is due to a change of providers "
                "mixed with --target. Change your program back to the original providers"
            )
        steps: list[Step] = []
        self._keep_with_dependencies(old, goal, steps)
        return steps

    def _keep_with_dependencies(self, old: ResourceState, goal: Goal | None, steps: list[Step]) -> None:
        if old.delete:
            return
        generator = self.generator
        generator.urns.add(old.urn)
        generator.sames.add(old.urn)
        generator.sames.add(generator.aliases.taken.get(old.urn, old.urn))
        needed = dependency_urns(old)
        if old.provider:
            provider, identity = urns.split_reference(old.provider)
            known = self.run.olds.get(provider)
            if known is not None and known.id == identity and not generator.operated(provider):
                needed.insert(0, provider)
        for urn in needed:
            if not generator.has_step(urn):
                dependency = self.run.olds.get(urn)
                if dependency is None:
                    self.run.events.error(f"dependency {urn} of untargeted resource {old.urn} has no old state")
                    raise Bail("no old state")
                self._keep_with_dependencies(dependency, None, steps)
        steps.append(Step("same", old, copy_state(old), goal.answer if goal else None, untargeted=True))

    # Delete before replace

    def delete_dependents(self, root: ResourceState, urn: str) -> list[Step]:
        """Deletes what a replacement of ``root`` would replace too, dependents first."""
        run, generator = self.run, self.generator
        dependents = self.dependent_replacements(root) if root in run.graph else []
        dependents += [(state, []) for state in self._replaced_with(urn)]
        steps: list[Step] = []
        for dependent, keys in reversed(dependents):
            if id(dependent) in generator.pending_deletes:
                continue
            generator.dependent_keys[dependent.urn] = keys
            if dependent.delete:
                steps.append(Step("delete", dependent, None))
            else:
                if dependent.protect:
                    message = (
                        f'unable to replace resource "{dependent.urn}" as part of replacing "{urn}" as it is currently marked for '
                        "protection. To unprotect the resource, remove the `protect` flag from the resource in your Pulumi program and run "
                        f"`pulumi up`, or use the command:\n`pulumi state unprotect '{dependent.urn}'`"
                    )
                    run.events.error(message, urn)
                    generator.failed = True
                    raise Bail(message)
                steps.append(Step("delete-replaced", dependent, None, pending_replacement=True))
            generator.deletes.add(dependent.urn)
            generator.pending_deletes.add(id(dependent))
        return steps

    def _replaced_with(self, urn: str) -> list[ResourceState]:
        found = {state.urn: state for state in (*self.run.news.values(), *self.run.olds.values()) if urn in state.replace_with}
        return list(found.values())

    def dependent_replacements(self, root: ResourceState) -> list[tuple[ResourceState, list[str]]]:
        """The old resources that are replaced if ``root`` is: their diff with unknown inputs says so."""
        generator = self.generator
        replaced = {root.urn}
        done = (generator.reads, generator.creates, generator.sames, generator.updates, generator.deletes, generator.replaces)
        found = []
        for state in self.run.graph.depending_on(root, lambda urn: any(urn in urns_ for urns_ in done), children=False):
            replace, keys = self._would_be_replaced(state, replaced)
            if replace:
                replaced.add(state.urn)
                found.append((state, keys))
        return found

    def _would_be_replaced(self, state: ResourceState, replaced: set[str]) -> tuple[bool, list[str]]:
        if not state.custom or state.external:
            return False, []
        if state.provider and urns.split_reference(state.provider)[0] in replaced:
            self.run.ensure_provider(state)
            return True, []
        inputs = dict(state.inputs or {})
        unknown = [key for key in inputs if any(urn in replaced for urn in state.property_dependencies.get(key, ()))]
        if not unknown:
            return False, []
        inputs.update(dict.fromkeys(unknown, UNKNOWN))
        if urns.is_provider_type(state.type):
            self.run.registry.same(state, checked=False)
        else:
            self.run.ensure_provider(state)
        provider = self.generator.provider_of(state)
        assert provider is not None
        olds, outputs = state.inputs or {}, state.outputs or {}
        diff = self.generator.diff_resource(provider, state, olds, outputs, inputs, state.ignore_changes)
        diff = self.generator.replacing(diff, state.replace_on_changes, False)
        return is_replacement(diff), diff.replaces

    # What is left at the end

    def deletes(self) -> tuple[list[Step], list[Step]]:
        """Same steps for what is out of scope, and delete steps for what the program no longer has."""
        run, generator = self.run, self.generator
        given = urns.Patterns(run.options.targets)
        allowed = self._deletable(given) if given.constrained else None
        kept = self._undeletable() if allowed is None and run.options.excludes else set()
        sames: list[Step] = []
        deletes: list[Step] = []

        def in_scope(urn: str) -> bool:
            return urn in allowed if allowed is not None else urn not in kept

        for original in run.resources:
            if not in_scope(original.urn):
                if not generator.operated(original.urn):
                    sames.append(Step("same", original, copy_state(original), untargeted=True))
                continue
            state = generator.refreshed.get(id(original), original)
            if state.delete:
                if id(state) in generator.pending_deletes:
                    continue
                generator.deletes.add(state.urn)
                deletes.append(Step(_deletion(state, replaced=True), state, None))
            elif not generator.operated(state.urn):
                generator.deletes.add(state.urn)
                operation = "remove-pending-replace" if state.pending_replacement else _deletion(state, replaced=False)
                deletes.append(Step(operation, state, None))
            if state.urn in generator.deletes:
                run.ensure_provider(state)
        for state in generator.condemned:
            if in_scope(state.urn):
                generator.deletes.add(state.urn)
                deletes.append(Step(_deletion(state, replaced=False), state, None))
        if given.constrained and not run.options.target_dependents:
            self._report_untargeted(given, deletes)
        return sames, deletes

    def _report_untargeted(self, given: urns.Patterns, deletes: list[Step]) -> None:
        untargeted = [step.urn for step in deletes if not given.matches(step.urn)]
        for urn in untargeted:
            self.run.events.error(
                f"Resource '{urn}' will be destroyed but was not specified in --target list.\nEither include resource in --target list "
                "or pass --target-dependents to proceed.",
                urn,
            )
        if untargeted:
            self.generator.failed = True
            if not self.run.preview:
                raise Bail("delete untargeted resource")

    def deletion_graph(self) -> Graph:
        graph = Graph([*self.generator.condemned, *self.run.resources])
        by_id = {id(state): state for state in self.run.resources}
        for old_id, new in self.generator.refreshed.items():
            if old_id in by_id:
                graph.alias(new, by_id[old_id])
        return graph

    def _deletable(self, given: urns.Patterns) -> set[str]:
        """The targets, and all that cannot be without them."""
        graph = self.deletion_graph()
        found: set[str] = set()
        for state in self.run.resources:
            if given.matches(state.urn) and state.urn not in found:
                found.add(state.urn)
                found.update(below.urn for below in graph.depending_on(state, found.__contains__, children=True))
        result = {urn for urn in found if urn in self.run.all_olds}
        for urn in found:
            for state in self.run.all_olds.get(urn, ()):
                if state in self.run.graph:
                    result.update(dependent.urn for dependent, _ in self.dependent_replacements(state))
            result.update(state.urn for state in self._replaced_with(urn))
        return result

    def _undeletable(self) -> set[str]:
        """The excluded, and all that they need."""
        excludes = urns.Patterns(self.run.options.excludes)
        graph = self.deletion_graph()
        frontier = [state for state in self.run.resources if excludes.matches(state.urn)]
        found: set[str] = set()
        while frontier:
            state = frontier.pop()
            if state.urn in found:
                continue
            found.add(state.urn)
            frontier += [graph.resources[position] for position in graph.dependencies(state)]
            if self.run.options.exclude_dependents:
                frontier += graph.depending_on(state, found.__contains__, children=True)
        return found & self.run.olds.keys()


def _deletion(state: ResourceState, *, replaced: bool) -> str:
    if state.external:
        return "discard-replaced" if replaced else "discard"
    return "delete-replaced" if replaced else "delete"
