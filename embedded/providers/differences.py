"""Differences between two property values, as paths: what ``Diff`` answers in its detailed form."""

from __future__ import annotations

import re
from collections.abc import Iterator

from embedded.values import Archive, Asset, Output, PropertyMap, PropertyValue, Secret

_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


def join(path: str, key: str | int) -> str:
    """``path`` one step further, in Pulumi's notation: ``a.b``, ``a[0]``, ``a["b.c"]``."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not _PLAIN_KEY.fullmatch(key):
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'{path}["{quoted}"]'
    return f"{path}.{key}" if path else key


def bare(value: PropertyValue) -> PropertyValue:
    """``value`` without an outer ``Secret`` or ``Output``."""
    while isinstance(value, (Secret, Output)):
        value = value.value
    return value


def differences(old: PropertyMap, new: PropertyMap) -> Iterator[tuple[str, str]]:
    """Each path that differs, with ``add``, ``delete`` or ``update``, at the deepest place that tells it.

    A missing key counts as ``None``.
    """
    yield from _differ("", old, new)


def _differ(path: str, old: PropertyValue, new: PropertyValue) -> Iterator[tuple[str, str]]:
    old, new = bare(old), bare(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differ(join(path, key), old.get(key), new.get(key))
    elif isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        for index in range(max(len(old), len(new))):
            if index >= len(old):
                yield join(path, index), "add"
            elif index >= len(new):
                yield join(path, index), "delete"
            else:
                yield from _differ(join(path, index), old[index], new[index])
    elif not _same(old, new):
        yield path, "add" if old is None else "delete" if new is None else "update"


def _same(old: PropertyValue, new: PropertyValue) -> bool:
    if isinstance(old, bool) != isinstance(new, bool):
        return False
    if isinstance(old, (Asset, Archive)) and isinstance(new, (Asset, Archive)):
        if old.fields.get("hash") and new.fields.get("hash"):
            return bool(type(old) is type(new) and old.fields["hash"] == new.fields["hash"])
        return type(old) is type(new) and old.fields == new.fields
    return bool(old == new)
