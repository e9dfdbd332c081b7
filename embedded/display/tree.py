"""The live view on a terminal: a tree of resources that is drawn again in place."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from typing import TextIO

from embedded.display import markup
from embedded.display.rows import Row

_INTERVAL = 0.1  # seconds between two frames at most
_TICK = 1.0  # seconds between two states of the moving dots


class Tree:
    """Draws the rows as a tree, at most ten times a second, in as many lines as the terminal has."""

    def __init__(self, out: TextIO, color: bool, rows: Callable[[], tuple[str, Iterable[tuple[str, Row]], bool]]) -> None:
        self._out = out
        self._color = color
        self._rows = rows
        self._lock = threading.RLock()
        self._drawn = 0
        self._dirty = False
        self._ended = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._refresh, name="display", daemon=True)
        self._thread.start()

    def row(self, row: Row) -> None:
        self._dirty = True

    def line(self, text: str) -> None:
        with self._lock:
            self._erase()
            self._out.write(markup.colorize(text, self._color) + "\n")
            self._out.flush()

    def finish(self) -> None:
        """Draws the tree a last time, whole."""
        self._ended.set()
        self._thread.join()
        frame = self._frame()
        with self._lock:
            self._draw(frame, whole=True)
            if self._drawn:
                self._out.write("\n")
            self._drawn = 0
            self._out.flush()

    def _refresh(self) -> None:
        ticked = 0
        while not self._ended.wait(_INTERVAL):
            tick = int((time.monotonic() - self._started) / _TICK)
            if self._dirty or tick != ticked:
                self._dirty, ticked = False, tick
                frame = self._frame(tick)  # before the lock: it takes that of the rows, whose holder may print a line here
                with self._lock:
                    self._draw(frame, whole=False)

    def _erase(self) -> None:
        if self._drawn:
            self._out.write(f"\x1b[{self._drawn}A\r\x1b[J")
            self._drawn = 0

    def _draw(self, lines: list[str], *, whole: bool) -> None:
        columns, limit = _terminal_size(self._out)
        if not whole and len(lines) > limit:  # the newest rows are the last ones
            kept = max(limit - 2, 1)
            lines = [lines[0], *lines[-kept:], f"… {len(lines) - kept - 1} more"]
        text = "".join(markup.colorize(markup.clip(line, columns), self._color) + "\x1b[K\n" for line in lines)
        move = f"\x1b[{self._drawn}A\r" if self._drawn else ""
        self._out.write(f"{move}{text}\x1b[J")
        self._drawn = len(lines)
        self._out.flush()

    def _frame(self, tick: int = 0) -> list[str]:
        root, rows, preview = self._rows()
        table = [["", *(_header(name) for name in ("Type", "Name", "Plan" if preview else "Status", "Info"))]]
        table += _table(root, dict(rows), tick)
        if len(table) == 1:
            return []
        if not any(row[4] for row in table[1:]):
            table[0][4] = ""
        widths = [max(markup.width(row[column]) for row in table) for column in range(4)]
        return [
            " "
            + "".join(
                cell + " " * (widths[index] - markup.width(cell) + (1 if index == 0 else 2)) for index, cell in enumerate(row[:4])
            )
            + row[4]
            for row in table
        ]


def _header(text: str) -> str:
    return markup.UNDERLINE + markup.BRIGHT_BLUE + text + markup.RESET


def _terminal_size(out: TextIO) -> tuple[int, int]:
    """Columns and lines that a frame may take; a terminal that does not know its size has 80 by 24."""
    try:
        columns, lines = os.get_terminal_size(out.fileno())
    except (OSError, ValueError, AttributeError):
        columns, lines = shutil.get_terminal_size()
    return (columns or 80) - 1, (lines or 24) - 1


def _table(root: str, rows: dict[str, Row], tick: int) -> list[list[str]]:
    """Rows in the order of the tree, each under its parent; one that is hidden only where a child of it is shown."""
    children: dict[str, list[str]] = {}
    for urn, row in rows.items():
        if urn != root:
            state = row.step.either
            parent = state.parent if state is not None else ""
            children.setdefault(parent if parent in rows and parent != urn else root, []).append(urn)

    def needed(urn: str, seen: frozenset[str]) -> bool:
        return not rows[urn].hidden or any(needed(child, seen | {urn}) for child in children.get(urn, []) if child not in seen)

    table: list[list[str]] = []

    def add(urn: str, lead: str, below: str, seen: frozenset[str]) -> None:
        row = rows[urn]
        cells = row.columns()
        cells[1] = lead + cells[1]
        cells[3] += row.suffix(tick)
        table.append(cells)
        shown = [child for child in children.get(urn, []) if child not in seen and needed(child, seen | {urn})]
        for index, child in enumerate(shown):
            last = index == len(shown) - 1
            add(child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), seen | {child})

    if root in rows:
        add(root, "", "", frozenset((root,)))
    return table
