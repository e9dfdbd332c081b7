"""Property paths (``a.b[0]["c d"]``, ``*``), and what they are used for: ignored changes, replacing changes, differences."""

from __future__ import annotations

import copy
from typing import Any

from embedded.values import Asset, PropertyMap, PropertyValue, Secret
from embedded.wire import secret

Path = list[str | int]


def parse(text: str) -> Path:
    """The elements of ``text``: names, indexes and ``*``. Raises ``ValueError`` with the reason."""
    elements: Path = []
    if text.startswith("."):
        raise ValueError("expected property path to start with a name or index")
    at, end = 0, len(text)
    while at < end:
        if text[at] == ".":
            at += 1
            if at == end:
                raise ValueError("expected property path to end with a name or index")
        if text[at] == "[":
            element, at = _bracket(text, at)
            elements.append(element)
        else:
            stop = at
            while stop < end and text[stop] not in ".[":
                stop += 1
            elements.append(text[at:stop])
            at = stop
    return elements


def is_path(text: str) -> bool:
    """Whether ``parse`` takes ``text``."""
    try:
        return bool(parse(text))
    except ValueError:
        return False


def _bracket(text: str, at: int) -> tuple[str | int, int]:
    if text[at + 1 : at + 2] == '"':
        name, at = "", at + 2
        while True:
            if at >= len(text):
                raise ValueError("missing closing quote in property name")
            if text[at] == '"':
                break
            if text[at : at + 2] == '\\"':
                at += 1
            name += text[at]
            at += 1
        if text[at + 1 : at + 2] != "]":
            raise ValueError("missing closing bracket in property access")
        return name, at + 2
    close = text.find("]", at)
    if close < 0:
        raise ValueError("missing closing bracket in array index")
    segment = text[at + 1 : close]
    if segment == "*":
        return "*", close + 1
    try:
        return int(segment), close + 1
    except ValueError:
        raise ValueError(f"invalid array index: {segment!r}") from None


def contains(path: Path, other: Path) -> bool:
    """Whether ``other`` is ``path`` or below it."""
    return len(other) >= len(path) and all(mine in ("*", theirs) for mine, theirs in zip(path, other, strict=False))


def restore(inputs: PropertyMap, old: PropertyMap, ignored: list[str]) -> tuple[PropertyMap, list[str]]:
    """``inputs`` with the values of ``old`` at each of the ``ignored`` paths, and the paths where that cannot be done."""
    if not ignored:
        return inputs, []
    result, failed = copy.deepcopy(inputs), []
    for text in ignored:
        try:
            path = parse(text)
        except ValueError:
            continue
        if not path or not _reset(path, old, result, False, False):
            failed.append(text)
    return result, failed


def _reset(path: Path, old: Any, new: Any, old_secret: bool, new_secret: bool) -> bool:  # noqa: C901 - one case an element
    if isinstance(old, Secret):
        old, old_secret = old.value, True
    if isinstance(new, Secret):
        new, new_secret = new.value, True
    key, last = path[0], len(path) == 1

    def taken(value: PropertyValue) -> PropertyValue:
        return secret(value) if old_secret and not new_secret else value

    if key == "*":
        return _reset_all(path, old, new, old_secret, new_secret)
    container: type = list if isinstance(key, int) else dict
    both = isinstance(old, container) and isinstance(new, container)
    if isinstance(key, int):
        if not both:
            return not isinstance(old, list) and not isinstance(new, list)
        if not 0 <= key < min(len(old), len(new)):
            return last and key >= max(len(old), len(new))
        if last:
            new[key] = taken(old[key])
            return True
        return _reset(path[1:], old[key], new[key], old_secret, new_secret)
    if last:
        if isinstance(old, dict) and key in old:
            if not isinstance(new, dict):
                return False
            new[key] = taken(old[key])
        elif isinstance(new, dict):
            new.pop(key, None)
        return True
    if not both:
        return not isinstance(old, dict) and not isinstance(new, dict)
    if key not in new:
        return key not in old
    return _reset(path[1:], old.get(key), new[key], old_secret, new_secret)


def _reset_all(path: Path, old: Any, new: Any, old_secret: bool, new_secret: bool) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        if len(path) > 1:
            return all(k in new and _reset(path[1:], old[k], new[k], old_secret, new_secret) for k in old)
        new.clear()
        new.update({k: secret(v) if old_secret and not new_secret else v for k, v in old.items()})
        return True
    if isinstance(old, list) and isinstance(new, list):
        for index in range(min(len(old), len(new))):
            if len(path) > 1:
                if not _reset(path[1:], old[index], new[index], old_secret, new_secret):
                    return False
            else:
                new[index] = secret(old[index]) if old_secret and not new_secret else old[index]
        return len(old) == len(new)
    return len(path) == 1 and isinstance(new, (dict, list))


def differences(old: PropertyMap, new: PropertyMap) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """What a provider that cannot tell would say: the changed keys, and path → ``{"kind", "inputDiff"}``."""
    detailed: dict[str, dict[str, Any]] = {}
    keys = [key for key in sorted(old.keys() | new.keys()) if _differ(_join("", key), old, new, key, detailed)]
    return keys, detailed


def _join(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    if key and all(c.isascii() and (c.isalnum() or c == "_") for c in key):
        return f"{path}.{key}" if path else key
    escaped = key.replace('"', '\\"')
    return f'{path}["{escaped}"]'


def _differ(path: str, old: Any, new: Any, key: Any, detailed: dict[str, dict[str, Any]]) -> bool:
    missing = object()
    before = old.get(key, missing) if isinstance(old, dict) else old[key] if key < len(old) else missing
    after = new.get(key, missing) if isinstance(new, dict) else new[key] if key < len(new) else missing
    if before is missing or after is missing:
        detailed[path] = {"kind": "add" if before is missing else "delete", "inputDiff": True}
        return True
    if isinstance(before, Secret) and isinstance(after, Secret):
        before, after = before.value, after.value
    if same(before, after):
        return False
    if isinstance(before, dict) and isinstance(after, dict):
        for inner in sorted(before.keys() | after.keys()):
            _differ(_join(path, inner), before, after, inner, detailed)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            _differ(_join(path, index), before, after, index, detailed)
    else:
        detailed[path] = {"kind": "update", "inputDiff": True}
    return True


def same(left: PropertyValue, right: PropertyValue) -> bool:
    """Equality as the engine means it: ``1`` and ``True`` differ; an asset is its hash, where both have one."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, Secret) and isinstance(right, Secret):
        return same(left.value, right.value)
    if isinstance(left, Asset) and isinstance(right, Asset) and "hash" in left.fields and "hash" in right.fields:
        return bool(left.fields["hash"] == right.fields["hash"])
    return bool(left == right)
