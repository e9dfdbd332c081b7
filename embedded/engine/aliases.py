"""Which old resource a registration continues: by its URN, or by an alias of its own or of its parent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from embedded.engine import urns
from embedded.engine.steps import Alias
from embedded.model import ResourceState

if TYPE_CHECKING:
    from embedded.engine.deployment import Deployment


class Aliases:
    """``taken``: old URN → the URN that continues it; ``used``: URN → the old URN that it continues."""

    def __init__(self, run: Deployment, seen: set[str]) -> None:
        self._run = run
        self._seen = seen
        self.taken: dict[str, str] = {}
        self.used: dict[str, str] = {}

    def find_old(
        self, urn: str, name: str, type_: str, parent: str, aliases: list[Alias]
    ) -> tuple[ResourceState | None, bool, str]:
        """The old state, whether the registration is invalid (reported), and the alias by which it was found."""
        invalid = False
        if urn in self.taken:
            invalid = True
            self._error(f"Duplicate resource URN '{urn}' conflicting with alias on resource with URN '{self.taken[urn]}'", urn)
        if urn in self._run.olds:
            return self._run.olds[urn], invalid, ""
        for old_urn in self._candidates(name, type_, parent, aliases):
            old = self._run.olds.get(old_urn)
            if old is None:
                continue
            if old_urn == urn:
                return old, invalid, ""
            other = urn if old_urn in self._seen else self.taken.get(old_urn)
            if other is not None:
                invalid = True
                self._error(
                    f"Duplicate resource alias '{old_urn}' applied to resource with URN '{urn}' "
                    f"conflicting with resource with URN '{other}'",
                    urn,
                )
            self.taken[old_urn] = urn
            self.used[urn] = old_urn
            self._run.registry.add_alias(urn, old_urn)
            return old, invalid, old_urn
        return None, invalid, ""

    def _error(self, message: str, urn: str) -> None:
        self._run.events.error(message, urn)

    def _candidates(self, name: str, type_: str, parent: str, aliases: list[Alias]) -> Iterator[str]:
        own = [self._urn(alias, name, type_, parent) for alias in aliases]
        yield from own
        parent_alias = self.used.get(parent)
        if parent_alias:
            parent_name = urns.name_of(parent)
            yield self._inherited(type_, name, parent_name, parent_alias)
            for alias in own:
                yield self._inherited(urns.type_of(alias), urns.name_of(alias), parent_name, parent_alias)

    def _urn(self, alias: Alias, name: str, type_: str, parent: str) -> str:
        if alias.urn:
            return alias.urn
        if alias.parent:
            parent = self.used.get(alias.parent, alias.parent)
        parent_type = "" if alias.no_parent else urns.qualified_type(parent)
        project = self._run.project
        return urns.make(
            alias.stack or project.stack, alias.project or project.name, parent_type, alias.type or type_, alias.name or name
        )

    def _inherited(self, type_: str, name: str, parent_name: str, parent_alias: str) -> str:
        """The alias of a child that its parent's alias means; a name that begins with the parent's changes with it."""
        if parent_name and name.startswith(parent_name):
            name = urns.name_of(parent_alias) + name[len(parent_name) :]
        project = self._run.project
        return urns.make(project.stack, project.name, urns.qualified_type(parent_alias), type_, name)
