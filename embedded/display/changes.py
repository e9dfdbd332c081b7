"""The difference between two property values as a tree: added, deleted, changed, the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from embedded.display.steps import Step
from embedded.engine.paths import parse
from embedded.values import UNKNOWN, Output, PropertyMap, PropertyValue, Secret, Unknown

Key = str | int


@dataclass
class Group:
    """What differs inside an object (string keys) or an array (indices)."""

    adds: dict[Key, PropertyValue] = field(default_factory=dict)
    deletes: dict[Key, PropertyValue] = field(default_factory=dict)
    sames: dict[Key, PropertyValue] = field(default_factory=dict)
    updates: dict[Key, Change] = field(default_factory=dict)

    def members(self) -> list[Key]:
        return sorted({*self.adds, *self.deletes, *self.sames, *self.updates}, key=lambda key: (isinstance(key, str), key))

    def any(self) -> bool:
        return bool(self.adds or self.deletes or self.updates)


@dataclass
class Change:
    """Two values that differ; ``array`` or ``object`` tells where, if both are of that kind."""

    old: PropertyValue
    new: PropertyValue
    array: Group | None = None
    object: Group | None = None


def internal(key: Key) -> bool:
    """Whether a property is not for people: ``__defaults`` and the like."""
    return isinstance(key, str) and key.startswith("__")


def compare(old: PropertyMap, new: PropertyMap, *, hide_internal: bool = True, secrets: bool = False) -> Group | None:
    """The difference of two objects; ``None`` where there is none. Two secrets are the same, unless ``secrets`` are to be told apart."""
    group = Group()
    for key, before in old.items():
        if hide_internal and internal(key):
            continue
        if key not in new:
            if before is not None:
                group.deletes[key] = before
            continue
        change = compare_values(before, new[key], hide_internal=hide_internal, secrets=secrets)
        _record(group, key, before, new[key], change)
    for key, after in new.items():
        if key not in old and after is not None and not (hide_internal and internal(key)):
            group.adds[key] = after
    return group if group.any() else None


def _record(group: Group, key: Key, old: PropertyValue, new: PropertyValue, change: Change | None) -> None:
    if change is None or isinstance(new, Output):
        group.sames[key] = old
    elif old is None:
        group.adds[key] = new
    elif new is None:
        group.deletes[key] = old
    else:
        group.updates[key] = change


def compare_values(old: PropertyValue, new: PropertyValue, *, hide_internal: bool = True, secrets: bool = False) -> Change | None:
    """The difference of two values; ``None`` where they are equal."""
    if isinstance(old, Secret) and isinstance(new, Secret) and not secrets:
        return None
    if isinstance(old, list) and isinstance(new, list):
        group = Group()
        for index in range(max(len(old), len(new))):
            if index >= len(old):
                group.adds[index] = new[index]
            elif index >= len(new):
                group.deletes[index] = old[index]
            else:
                change = compare_values(old[index], new[index], hide_internal=hide_internal, secrets=secrets)
                if change is None:
                    group.sames[index] = old[index]
                else:
                    group.updates[index] = change
        return Change(old, new, array=group) if group.any() else None
    if isinstance(old, dict) and isinstance(new, dict):
        found = compare(old, new, hide_internal=hide_internal, secrets=secrets)
        return Change(old, new, object=found) if found else None
    equal = old == new and isinstance(old, bool) == isinstance(new, bool)
    return None if equal else Change(old, new)


def from_detailed(step: Step, *, refresh: bool) -> Group | None:
    """The difference that a provider told by paths. Old values come from the outputs, new ones from the inputs."""
    root = Change(None, None)
    for path, entry in (step.detailed or {}).items():
        old: PropertyMap = {}
        new: PropertyMap = {}
        if step.old is not None:
            old = step.old.inputs if entry.get("inputDiff") else step.old.outputs
        if step.new is not None:
            new = step.new.outputs if refresh and not entry.get("inputDiff") else step.new.inputs
        try:
            elements = list(parse(path)) or [path]
        except ValueError:  # of a newer provider
            elements = [path]
        _insert(root, elements, str(entry.get("diffKind", entry.get("kind", "update"))), old, new)
    return root.object


def _insert(parent: Change, path: list[Key], kind: str, old_parent: PropertyValue, new_parent: PropertyValue) -> None:
    key, rest = path[0], path[1:]
    group = parent.array if isinstance(key, int) else parent.object
    if group is None:
        group = Group()
        if isinstance(key, int):
            parent.array = group
        else:
            parent.object = group
    has_old, old = _member(key, old_parent)
    has_new, new = _member(key, new_parent)
    if rest and (old is None) == (new is None):
        change = group.updates.setdefault(key, Change(old, new))
        _insert(change, rest, kind, old, new)
    elif (old is None and new is not None) if rest else kind.startswith("add"):
        group.adds[key] = new if has_new else UNKNOWN
    elif rest or kind.startswith("delete"):
        group.deletes[key] = old if has_old else UNKNOWN
    else:
        group.updates[key] = compare_values(old, new, hide_internal=False) or Change(old, new)


def _member(key: Key, value: PropertyValue) -> tuple[bool, PropertyValue]:
    if isinstance(value, (Secret, Output, Unknown)):
        return True, value
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return True, value[key]
    if isinstance(value, dict) and isinstance(key, str) and key in value:
        return True, value[key]
    return False, None


def without_unknown_resources(group: Group | None) -> None:
    """Takes out of a stack's planned outputs what is only not known yet inside a resource that is one of them."""
    if group is None:
        return
    resource = "@isPulumiResource" in group.adds
    if resource:
        del group.adds["@isPulumiResource"]
        group.adds = {key: value for key, value in group.adds.items() if not isinstance(value, Unknown)}
    group.adds = {key: _unmarked(value) for key, value in group.adds.items()}
    for key, change in list(group.updates.items()):
        for inner in _groups(change):
            without_unknown_resources(inner)
        gone = isinstance(change.new, Unknown) or (
            change.object is not None and not change.object.any() and change.old == change.new
        )
        if gone:
            del group.updates[key]


def _groups(change: Change) -> Iterator[Group]:
    if change.object is not None:
        yield change.object
    if change.array is not None:
        change.array.adds = {key: _unmarked(value) for key, value in change.array.adds.items()}
        for inner in change.array.updates.values():
            yield from _groups(inner)


def _unmarked(value: PropertyValue) -> PropertyValue:
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if isinstance(value, dict):
        return {key: _unmarked(item) for key, item in value.items() if key != "@isPulumiResource"}
    return value
