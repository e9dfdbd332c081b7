"""Which of the operations that wait goes first: of the longest chain, by what the state tells; in it, what has come furthest."""

from __future__ import annotations

from collections.abc import Sequence

from embedded.engine.steps import Step, dependency_urns
from embedded.model import ResourceState

Rank = tuple[int, int]
"""How many operations one after the other there are on the longest way through this one, and how many of them this one ends."""


class Ranking:
    """``states``: as the run found them, each after what it depends on; what comes after an operation is known of no others. A long
    chain that began late would end alone; and without what has come furthest first, each chain would begin before one goes on."""

    def __init__(self, states: Sequence[ResourceState]) -> None:
        self._states = states
        self._after: dict[str, int] | None = None  # URN → operations that come after it
        self._levels: dict[str, int] = {}  # URN → operations of this run that it comes after, itself included

    def of(self, chain: Sequence[Step], own: int) -> Rank:
        """The rank of ``chain``, which takes ``own`` operations."""
        level = own + max((self._levels.get(urn, 0) for step in chain for urn in dependency_urns(step.res)), default=0)
        self._levels.update((step.urn, level) for step in chain)
        if self._after is None:
            self._after = _after(self._states)
        return level + max((self._after.get(step.urn, 0) for step in chain if step.new is not None), default=0), level


def _after(states: Sequence[ResourceState]) -> dict[str, int]:
    after: dict[str, int] = {}
    for state in reversed(states):
        whole = after.get(state.urn, 0) + (1 if state.custom else 0)
        for urn in dependency_urns(state, with_parent=False):
            after[urn] = max(after.get(urn, 0), whole)
    return after
