"""Schemas of bridged resource types: defaults, rules, and the differences that they tell."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from embedded.providers.base import CheckFailure
from embedded.providers.differences import differences
from embedded.values import PropertyMap, PropertyValue, Secret, Unknown, plain

DEFAULTS = "__defaults"


@dataclass(frozen=True)
class Field:
    """One property. ``kind``: ``str``, ``int``, ``bool``, ``list``, ``set``, ``map`` or ``object`` (a list of at most one, flattened).

    ``replace``: a change replaces the resource; ``named``: where it is not given it is made from the resource's name; ``deprecated``: what
    to use instead.
    """

    kind: str = "str"
    required: bool = False
    default: PropertyValue = None
    computed: bool = False
    replace: bool = False
    secret: bool = False
    input: bool = True
    named: bool = False
    deprecated: str = ""
    fields: Mapping[str, Field] = field(default_factory=dict)


@dataclass(frozen=True)
class Schema:
    """A resource type: its fields in Pulumi's names, the version of its state, and whether its Diff is detailed (SDKv2's is).

    ``counts_sets``: a changed number of elements is a difference of its own, as older bridges have it. ``delete_first``: a replacement
    deletes the old one first; so does one that keeps a name that was given. ``unstable``: replacing fields that are not called stable.
    """

    fields: Mapping[str, Field]
    meta_version: str | None = None
    writes_defaults: bool = True
    detailed: bool = True
    counts_sets: bool = False
    delete_first: bool = False
    unstable: frozenset[str] = frozenset()

    @property
    def stables(self) -> list[str]:
        """The properties that never change in place."""
        return sorted(name for name, spec in self.fields.items() if spec.replace and name not in self.unstable)


def field_differences(name: str, spec: Field, before: Any, after: Any, counts: bool) -> list[tuple[str, str]]:
    """Each path of one property that differs, with ``add``, ``delete`` or ``update``; ``counts`` as ``Schema.counts_sets``."""
    if spec.kind in ("str", "int", "bool"):
        return [] if _empty(before) and _empty(after) else list(differences({name: before}, {name: after}))
    if isinstance(after, Unknown):
        return [(name, "update" if before else "add")]
    if not before or not after:
        return [] if not before and not after else [(name, "delete" if before else "add")]
    if spec.kind == "set" and isinstance(before, list) and isinstance(after, list):
        found = [(f"{name}[{index}]", "delete") for index, item in enumerate(before) if item not in after]
        found += [(f"{name}[{index}]", "add") for index, item in enumerate(after) if item not in before]
        return [*([(name, "update")] if counts and found and len(before) != len(after) else []), *found]
    if spec.fields:
        before, after = _nested(spec, before), _nested(spec, after)
    return list(differences({name: before}, {name: after}))


def set_order(values: Iterable[str]) -> list[str]:
    """Strings in the order in which Terraform's sets of strings keep them: by the digits of their CRC-32."""
    return sorted(values, key=lambda value: str(zlib.crc32(value.encode())))


def _nested(spec: Field, value: Any) -> Any:
    if isinstance(value, list):
        return [_nested(spec, item) for item in value]
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if key in spec.fields and not _empty(item) and item != []}
    return value


def _empty(value: Any) -> bool:
    return value is None or value == "" or (value == 0 and not isinstance(value, Unknown))


def with_defaults(fields: Mapping[str, Field], given: PropertyMap) -> PropertyMap:
    """``given`` with defaults filled in and ``__defaults`` naming them, nested objects too."""
    checked: PropertyMap = {key: value for key, value in given.items() if key != DEFAULTS}
    for name, spec in fields.items():
        if spec.fields and name in checked:
            checked[name] = _nested_defaults(spec, checked[name])
    filled = sorted(name for name, spec in fields.items() if spec.input and spec.default is not None and checked.get(name) is None)
    checked.update({name: fields[name].default for name in filled})
    checked[DEFAULTS] = filled
    return dict(sorted(checked.items()))


def _nested_defaults(spec: Field, value: PropertyValue) -> PropertyValue:
    if isinstance(value, Secret):
        return Secret(_nested_defaults(spec, value.value))
    if isinstance(value, list):
        return [_nested_defaults(spec, item) for item in value]
    return with_defaults(spec.fields, value) if isinstance(value, dict) else value


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a string"),
    "int": ((int, float), "a whole number"),
    "bool": ((bool,), "a boolean"),
    "list": ((list, tuple), "a list"),
    "set": ((list, tuple), "a list"),
    "map": ((dict,), "a map"),
    "object": ((dict,), "an object"),
}


def validate(fields: Mapping[str, Field], given: PropertyMap, path: str) -> list[CheckFailure]:
    """What is wrong with the given inputs: unknown names, other types, missing ones."""
    failures = []
    for name, wrapped in given.items():
        if name.startswith("__"):
            continue
        spec = fields.get(name)
        where = f"{path}.{name}" if path else name
        if spec is None or not spec.input:
            failures.append(CheckFailure(where, f"unknown property {where!r}"))
            continue
        value: Any = plain(wrapped)
        if value is None or isinstance(value, Unknown):
            continue
        types, words = _KINDS[spec.kind]
        whole = spec.kind != "int" or (isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value))
        wrong = not isinstance(value, types) or not whole
        if wrong:
            failures.append(CheckFailure(where, f"expected {words}, got {type(value).__name__}"))
        elif spec.fields:
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(item, dict):
                    failures += validate(spec.fields, item, where)
    for name, spec in fields.items():
        if spec.required and given.get(name) is None:
            failures.append(CheckFailure(f"{path}.{name}" if path else name, f"missing required property {name!r}"))
    return failures
