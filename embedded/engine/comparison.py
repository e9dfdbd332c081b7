"""Whether a resource is as the program wants it, and if not, whether it must be replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedded.engine import paths, urns
from embedded.engine.steps import Goal
from embedded.model import EngineError, ResourceState
from embedded.providers.base import Diff, Provider, Resource
from embedded.providers.wording import go_quote
from embedded.values import PropertyMap

if TYPE_CHECKING:
    from embedded.engine.aliases import Aliases
    from embedded.engine.deployment import Deployment


class Comparison:
    """The part of step generation that compares an old resource with a new one."""

    run: Deployment
    aliases: Aliases
    replaces: set[str]
    providers: dict[str, ResourceState]
    replace_targets: urns.Patterns

    def replace_wanted(self, urn: str) -> bool:
        """Whether the command line asks for a replacement."""
        return self.replace_targets.matches(urn)

    def diff(self, goal: Goal, old: ResourceState, new: ResourceState, provider: Provider | None) -> Diff:
        """What has changed, as the provider says, unless the command line, a provider or ``replace_with`` asks for a replacement."""
        if self.replace_wanted(new.urn) or old.extra.get("taint"):
            return Diff("some", replaces=["id"])
        if any(urn in self.replaces for urn in new.replace_with):
            return Diff("some", replaces=["replaceWith"])
        if self._provider_changed(old, new):
            return Diff("some", replaces=["provider"])
        if provider is None:
            return Diff("none" if paths.same(old.inputs or {}, new.inputs or {}) else "some")
        return self.diff_resource(provider, old, old.inputs or {}, old.outputs or {}, new.inputs or {}, goal.ignore_changes)

    def diff_resource(
        self,
        provider: Provider,
        state: ResourceState,
        olds: PropertyMap,
        outputs: PropertyMap,
        news: PropertyMap,
        ignored: list[str],
    ) -> Diff:
        """The provider's diff; where it cannot tell, the difference of the inputs."""
        diff = provider.diff(Resource(state.urn, state.type, state.id), olds, outputs, news, ignored)
        if diff.changes == "unknown":
            diff.diffs, diff.detailed = paths.differences(olds, self.restore_ignored(state.urn, news, olds, ignored))
            diff.changes = "some" if diff.diffs else "none"
        return diff

    def restore_ignored(self, urn: str, inputs: PropertyMap, olds: PropertyMap, ignored: list[str]) -> PropertyMap:
        """``inputs`` with the old values at the ``ignored`` paths; paths where that cannot be done are told of."""
        result, failed = paths.restore(inputs, olds, ignored)
        if failed:
            listed = ", ".join(failed)
            message = f"cannot ignore changes in added or removed elements of the path: {go_quote(listed)}"
            self.run.events.diagnostic("info", message, urn=urn)
        return result

    @staticmethod
    def replacing(diff: Diff, replace_on_changes: list[str], init_errors: bool) -> Diff:
        """``diff`` with each change below one of ``replace_on_changes`` as a replacement."""
        if not replace_on_changes or (diff.changes != "some" and not init_errors):
            return diff
        wanted = [_parsed(text) for text in replace_on_changes]

        def replaces(text: str) -> bool:
            try:
                path = paths.parse(text)
            except ValueError:
                return False
            return any(paths.contains(pattern, path) for pattern in wanted)

        if diff.detailed is not None:
            for path, change in diff.detailed.items():
                if replaces(path) and not change["kind"].endswith("-replace"):
                    diff.detailed[path] = {**change, "kind": change["kind"] + "-replace"}
        diff.replaces = sorted({*diff.replaces, *(key for key in diff.diffs if replaces(key))})
        if init_errors and replaces("#initerror"):
            diff.replaces.append("#initerror")
            diff.changes = "some"
        return diff

    def _provider_changed(self, old: ResourceState, new: ResourceState) -> bool:
        """Whether another provider means a replacement."""
        if old.provider == new.provider:
            return False
        if not old.provider or not new.provider:
            return True
        old_urn, new_urn = urns.split_reference(old.provider)[0], urns.split_reference(new.provider)[0]
        if self.aliases.taken.get(old_urn) == new_urn:
            return False
        provider, before = self.run.registry.get(new.provider), self.run.olds.get(old_urn)
        after = self.providers.get(new_urn)
        if provider is None or before is None or after is None:
            raise EngineError(f'failed to resolve provider reference: "{old.provider}"')
        hidden = "__internal"
        diff = provider.diff_config(
            new_urn,
            {k: v for k, v in (before.inputs or {}).items() if k != hidden},
            before.outputs or {},
            {k: v for k, v in (after.inputs or {}).items() if k != hidden},
        )
        return is_replacement(diff)


def is_replacement(diff: Diff) -> bool:
    return bool(diff.replaces) or any(change["kind"].endswith("-replace") for change in (diff.detailed or {}).values())


def _parsed(text: str) -> paths.Path:
    try:
        return paths.parse(text)
    except ValueError as error:
        raise EngineError(f"replaceOnChanges: {text!r}: {error}") from None
