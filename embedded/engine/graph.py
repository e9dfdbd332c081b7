"""Who depends on whom among the resources of a state, which are in an order in which each comes after what it depends on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from embedded.engine import urns
from embedded.engine.steps import dependency_urns
from embedded.model import ResourceState


class Graph:
    """Dependencies and dependents by position; built once for a state, in time that grows with its edges."""

    def __init__(self, resources: Iterable[ResourceState]) -> None:
        self.resources = list(resources)
        self._index = {id(state): position for position, state in enumerate(self.resources)}
        self._at: dict[str, list[int]] = defaultdict(list)
        self._dependents: dict[str, list[int]] = defaultdict(list)
        self._children: dict[str, list[int]] = defaultdict(list)
        for position, state in enumerate(self.resources):
            self._at[state.urn].append(position)
            for urn in _needs(state):
                self._dependents[urn].append(position)
            if state.parent:
                self._children[state.parent].append(position)

    def alias(self, new: ResourceState, old: ResourceState) -> None:
        """Lets ``new`` (a refreshed state) stand at the place of ``old``."""
        if id(old) in self._index:
            self._index[id(new)] = self._index[id(old)]

    def __contains__(self, state: ResourceState) -> bool:
        return id(state) in self._index

    def depending_on(self, state: ResourceState, ignored: Callable[[str], bool], *, children: bool) -> list[ResourceState]:
        """All that depends on ``state``, directly or not, in the order of the state; with ``children`` those below it too."""
        start = self._index[id(state)]
        found: set[int] = set()
        urns_found, frontier = {state.urn}, [state.urn]
        while frontier:
            urn = frontier.pop()
            for position in self._dependents[urn] + (self._children[urn] if children else []):
                candidate = self.resources[position]
                if position > start and position not in found and not ignored(candidate.urn):
                    found.add(position)
                    if candidate.urn not in urns_found:
                        urns_found.add(candidate.urn)
                        frontier.append(candidate.urn)
        return [self.resources[position] for position in sorted(found)]

    def dependencies(self, state: ResourceState) -> set[int]:
        """The positions of what must outlive ``state``: what it depends on, the children of components among it, its parent."""
        cursor = self._index[id(state)]
        found: set[int] = set()
        for urn in set(_needs(state)):
            for position in self._at[urn]:
                if position < cursor:
                    found.add(position)
                    if not self.resources[position].custom:
                        found.update(below for below in self._descendants(urn) if below < cursor)
        found.update(position for position in self._at[state.parent] if position < cursor)
        return found

    def transitive_dependencies(self, state: ResourceState) -> set[int]:
        """The positions of all that ``state`` needs, directly or not, its ancestors among them."""
        found: set[int] = set()
        frontier = [state]
        while frontier:
            current = frontier.pop()
            for urn in [*_needs(current), current.parent]:
                for position in self._at[urn] if urn else ():
                    if position not in found:
                        found.add(position)
                        frontier.append(self.resources[position])
        return found

    def position(self, state: ResourceState) -> int:
        return self._index[id(state)]

    def _descendants(self, urn: str) -> list[int]:
        found, frontier = [], [urn]
        while frontier:
            for position in self._children[frontier.pop()]:
                found.append(position)
                frontier.append(self.resources[position].urn)
        return found


def _needs(state: ResourceState) -> list[str]:
    found = dependency_urns(state, with_parent=False)
    if state.provider:
        found.append(urns.split_reference(state.provider)[0])
    return found


def layers(condemned: list[ResourceState], graph: Graph) -> list[list[ResourceState]]:
    """``condemned`` in groups, each of which can be deleted once the groups before it are gone: dependents first."""
    positions = {graph.position(state): state for state in condemned}
    depth: dict[int, int] = {}
    for position in sorted(positions):
        below = [depth[needed] for needed in graph.dependencies(positions[position]) if needed in depth]
        depth[position] = max(below, default=-1) + 1
    groups: list[list[ResourceState]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for position in sorted(positions):
        groups[depth[position]].append(positions[position])
    return groups[::-1]
