"""What the inputs of a resource will most likely be once its provider has checked them."""

from __future__ import annotations

from embedded.engine import paths
from embedded.engine.steps import Goal
from embedded.model import ResourceState
from embedded.values import PropertyMap

_DEFAULTS = "__defaults"
"""Where a bridged provider names the inputs that it has added."""


def expected_inputs(goal: Goal, old: ResourceState | None) -> PropertyMap | None:
    """The former ones where the program gives the same again; a component's are the program's. ``None``: it cannot be told.

    One that was taken out, or that a policy has changed, would make another resource of them.
    """
    if not goal.custom:
        return goal.inputs
    former = (old.inputs if old is not None else None) or {}
    named = former.get(_DEFAULTS)
    added = {_DEFAULTS, *(name for name in named if isinstance(name, str))} if isinstance(named, list) else set()
    given = goal.inputs
    if (
        all(key in former and paths.same(former[key], value) for key, value in given.items())
        and former.keys() <= given.keys() | added
    ):
        return former
    return None
