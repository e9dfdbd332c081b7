"""What the inputs of a resource will most likely be once its provider has checked them."""

from __future__ import annotations

from embedded.engine import paths
from embedded.engine.steps import Goal
from embedded.model import ResourceState
from embedded.values import PropertyMap, PropertyValue

_DEFAULTS = "__defaults"
"""Where a bridged provider names the inputs that it has added."""


def expected_inputs(goal: Goal, old: ResourceState | None) -> PropertyMap | None:
    """The former ones where the program gives the same again; a component's are the program's. ``None``: it cannot be told.

    One that was taken out, or that a policy has changed, would make another resource of them.
    """
    if not goal.custom:
        return goal.inputs
    former = (old.inputs if old is not None else None) or {}
    return former if _again(former, goal.inputs) else None


def _again(former: PropertyValue, given: PropertyValue) -> bool:
    """Whether ``given`` is ``former`` but for what a provider adds: defaults, which it names, and what is for itself alone."""
    if isinstance(former, list) and isinstance(given, list):
        return len(former) == len(given) and all(map(_again, former, given))
    if not isinstance(former, dict) or not isinstance(given, dict):
        return paths.same(former, given)
    named = former.get(_DEFAULTS)
    defaults = {name for name in named if isinstance(name, str)} if isinstance(named, list) else set()
    added = {key for key in former.keys() - given.keys() if key.startswith("__") or key in defaults}
    return former.keys() - added == given.keys() and all(_again(former[key], value) for key, value in given.items())
