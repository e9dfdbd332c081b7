"""Paths into settings and properties: ``tree.branch``, ``list[0]``, ``tree["a.b"]``."""

from __future__ import annotations

import re
from typing import Any

from embedded.state.errors import StateError

_STEP = re.compile(r"""\.?(?:\[(\d{1,9})\]|\["((?:[^"\\]|\\.)*)"\]|([^.\[\]]+))""")


def parse_path(text: str) -> list[str | int]:
    """The keys and indices that ``text`` names. Raises ``StateError`` for what is no path."""
    path: list[str | int] = []
    position = 0
    while position < len(text):
        step = _STEP.match(text, position)
        if not step or (position == 0 and text.startswith(".")):
            raise StateError(f"invalid configuration key: invalid property path {text!r} at position {position}")
        index, quoted, name = step.groups()
        path.append(int(index) if index is not None else re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else name)
        position = step.end()
    if not path or not isinstance(path[0], str) or not path[0]:
        raise StateError("invalid configuration key: expected a name first")
    return path


def get_at(value: Any, path: list[str | int]) -> Any:
    """What lies at ``path`` in ``value``. Raises ``KeyError`` where there is none."""
    for step in path:
        fits = isinstance(value, list) and step < len(value) if isinstance(step, int) else isinstance(value, dict) and step in value
        if not fits:
            raise KeyError(step)
        value = value[step]
    return value


def set_at(value: Any, path: list[str | int], new: Any, done: str = "") -> Any:
    """A copy of ``value`` with ``new`` at ``path``; missing maps and lists are made, a list grows by one at most."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    secure = isinstance(value, dict) and list(value) == ["secure"]
    if isinstance(step, int):
        items = list(value) if isinstance(value, list) else []
        if value is not None and not isinstance(value, list):
            raise StateError(
                f"{done}: a key for a map must be a string"
                if isinstance(value, dict)
                else f"{done}: expected a list, found a scalar"
            )
        if step > len(items):
            raise StateError(f"{done}[{step}]: array index out of range")
        changed = set_at(items[step] if step < len(items) else None, rest, new, f"{done}[{step}]")
        return [*items[:step], changed, *items[step + 1 :]]
    if value is not None and (secure or not isinstance(value, dict)):
        kind = (
            "a secure value" if secure else "an array; a key for an array must be an int" if isinstance(value, list) else "a scalar"
        )
        raise StateError(f"{done}: expected a map, found {kind}")
    return dict(value or {}) | {step: set_at((value or {}).get(step), rest, new, f"{done}.{step}")}


def remove_at(value: Any, path: list[str | int]) -> Any:
    """A copy of ``value`` without what lies at ``path``; the rest of a list moves up."""
    step, rest = path[0], path[1:]
    if isinstance(step, int) and isinstance(value, list) and step < len(value):
        return [*value[:step], *([remove_at(value[step], rest)] if rest else []), *value[step + 1 :]]
    if isinstance(step, str) and isinstance(value, dict) and step in value:
        return {key: remove_at(item, rest) if key == step else item for key, item in value.items() if key != step or rest}
    return value


def typed(text: str) -> Any:
    """A value given with ``--path``: ``true``, ``false`` and whole numbers without leading zeros have their types."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?(?:0|[1-9]\d{0,17})", text) else text
