"""Tables, times and JSON as the CLI prints them."""

from __future__ import annotations

import json
import sys
import termios
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any


def ask(question: str) -> str:
    """The line that is typed after the question stands on the terminal; what was typed before is thrown away, for it answers another one.
    Raises ``EOFError`` where nobody answers."""
    print(question, end="", flush=True)
    if sys.stdin.isatty():
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    return input()


def table(header: list[str], rows: list[list[str]], indent: str = "") -> str:
    """Left-aligned columns, two spaces apart; further lines of a cell stand below it."""
    widths = [max(len(line) for row in [header, *rows] for line in row[column].split("\n")) for column in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [cell.split("\n") for cell in row]
        for number in range(max(map(len, cells))):
            parts = [(cell[number] if number < len(cell) else "").ljust(width) for cell, width in zip(cells, widths, strict=True)]
            lines.append((indent + "  ".join(parts)).rstrip())
    return "\n".join(lines)


def pretty(value: Any, indent: int = 2) -> str:
    """Indented JSON in the order given; keys are strings. Python's own does it three times slower, and a state has megabytes."""
    return _pretty(value, "\n", " " * indent)


def _pretty(value: Any, line: str, indent: str) -> str:
    inner = line + indent
    if isinstance(value, dict) and value:
        items = [f"{encode_basestring(key)}: {_pretty(item, inner, indent)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(items)}{line}}}"
    if isinstance(value, (list, tuple)) and value:
        return f"[{inner}{f',{inner}'.join([_pretty(item, inner, indent) for item in value])}{line}]"
    return encode_basestring(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def ago(moment: datetime) -> str:
    """How long ago something was, in words."""
    seconds = int((datetime.now(UTC) - moment).total_seconds())
    if seconds < 1:
        return "now"
    for size, name in (
        (31_536_000, "year"),
        (2_592_000, "month"),
        (604_800, "week"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
        (1, "second"),
    ):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "now"


def instant(text: str) -> datetime:
    """A time of the checkpoint, which may have nanoseconds."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6].ljust(6, '0')}+00:00")


def milliseconds(moment: datetime) -> str:
    """RFC 3339 with milliseconds, as listings have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
