"""JSON reports as a stream of events, in bounded memory, with every fault of the file as a ``ReportError``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import ijson
from ijson.common import ObjectBuilder

from evidence.model import ReportError

Event = tuple[str, str, Any]
"""Path (``Results.item.Target``), kind (``start_map``, ``string``, ``number``, …), value."""

MAX_DEPTH = 200
_BUFFER = 4 << 10
"""Bytes parsed at once. The parser hands out a buffer's events together, and each path costs its depth: a small buffer bounds what deep
nesting can cost before the depth is seen."""
_MAX_NODES = 200_000


def events(stream: BinaryIO, root: str | None = None) -> Iterator[Event]:
    """The events of a whole JSON file. ``root`` is ``start_map`` or ``start_array`` where only that is the format."""
    depth = 0
    first = True
    try:
        for path, kind, value in ijson.parse(stream, use_float=True, buf_size=_BUFFER):
            if first:
                first = False
                if root is not None and kind != root:
                    expected = "object" if root == "start_map" else "list"
                    raise ReportError("wrong-tool", f"is not what the tool writes: JSON {expected} expected at the top")
            if kind in ("start_map", "start_array"):
                depth += 1
                if depth > MAX_DEPTH:
                    raise ReportError("unreadable", f"is nested deeper than {MAX_DEPTH}")
            elif kind in ("end_map", "end_array"):
                depth -= 1
            yield path, kind, value
    except ijson.IncompleteJSONError as error:
        # The parser raises it for any fault; its words tell where the file ended too early.
        cut = "premature eof" in str(error).lower() or "incomplete" in str(error).lower()
        raise ReportError("unreadable", f"{'is cut short' if cut else 'is not JSON'}: {_first_line(error)}") from None
    except (ijson.JSONError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise ReportError("unreadable", f"is not JSON: {_first_line(error)}") from None
    if first:
        raise ReportError("empty", "holds nothing")


def _first_line(error: Exception) -> str:
    """The parser's words without the excerpt of the file (which may hold a secret)."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    return text if text.isascii() and len(text) < 120 else type(error).__name__


def items(source: Iterable[Event], prefix: str) -> Iterator[tuple[str, Any]]:
    """Builds each value at ``prefix`` (one list entry, say); yields ``(prefix, value)``, and ``("", event)`` for everything else."""
    builder: ObjectBuilder | None = None
    depth = nodes = 0
    for path, kind, value in source:
        if builder is None:
            if path != prefix or kind in ("end_map", "end_array", "map_key"):
                yield "", (path, kind, value)
                continue
            if kind not in ("start_map", "start_array"):
                yield prefix, value
                continue
            builder, depth, nodes = ObjectBuilder(), 0, 0
        builder.event(kind, value)
        nodes += 1
        if nodes > _MAX_NODES:
            raise ReportError("too-large", f"holds an entry of more than {_MAX_NODES} values")
        depth += kind in ("start_map", "start_array")
        depth -= kind in ("end_map", "end_array")
        if depth == 0:
            yield prefix, builder.value
            builder = None


def amount(value: object, where: str) -> int:
    """A count: an integer of zero or more. Raises ``ReportError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e15 or value != int(value):
        raise ReportError("unreadable", f"gives no count at {where}")
    return int(value)


def number(value: object, where: str, low: float, high: float) -> float:
    """A number between ``low`` and ``high``. Raises ``ReportError`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ReportError("unreadable", f"gives no number between {low:g} and {high:g} at {where}")
    return float(value)


def mapping(value: object, where: str) -> dict[str, Any]:
    """A JSON object. Raises ``ReportError`` otherwise."""
    if not isinstance(value, dict):
        raise ReportError("unreadable", f"gives no object at {where}")
    return value


def text(value: object) -> str | None:
    """A string that is not empty, else ``None``."""
    return value if isinstance(value, str) and value.strip() else None


def whole_object(source: Iterator[Event]) -> dict[str, Any]:
    """The object whose start was just read from ``source``, up to its end."""
    builder = ObjectBuilder()
    builder.event("start_map", None)
    depth = nodes = 1
    for _, kind, value in source:
        builder.event(kind, value)
        nodes += 1
        if nodes > _MAX_NODES:
            raise ReportError("too-large", f"holds an entry of more than {_MAX_NODES} values")
        depth += kind in ("start_map", "start_array")
        depth -= kind in ("end_map", "end_array")
        if depth == 0:
            break
    return dict(builder.value)
