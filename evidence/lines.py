"""Which lines of which files are covered: the union over all records and reports, so that no file counts twice.

A file is known by its path, normalised: ``./``, Windows separators and drives, and the common case that one tool writes absolute paths
where another writes relative ones.
"""

from __future__ import annotations

import posixpath
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

MAX_LINE = 5_000_000
"""No source file is longer; a larger number is a fault of the report."""
MAX_BYTES = 256 << 20
"""What all files' lines together may take; a byte a line."""


class TooManyLinesError(ValueError):
    """The lines of a report do not fit into memory, or a line's number is none."""


@dataclass
class Lines:
    """``sums``: files of which only the number of covered lines and of lines is known (covered, lines); ``extra``: lines that belong to no
    file by name, as (covered, lines)."""

    files: dict[str, bytearray] = field(default_factory=dict)
    sums: dict[str, tuple[int, int]] = field(default_factory=dict)
    extra: tuple[int, int] = (0, 0)
    _bytes: int = 0

    def add(self, path: str, line: int, hit: bool) -> None:
        """One line of a file; covered where any record says so."""
        if not 0 <= line <= MAX_LINE:
            raise TooManyLinesError(f"names line {line} of {path[-100:]}")
        known = self.files.get(path)
        if known is None:
            known = self.files[path] = bytearray()
            self._bytes += 200 + len(path)
        if line >= len(known):
            grown = max(line + 1, min(2 * len(known), MAX_LINE))
            self._bytes += grown - len(known)
            if self._bytes > MAX_BYTES:
                raise TooManyLinesError(f"names more lines than fit into {MAX_BYTES >> 20} MiB")
            known.extend(bytes(grown - len(known)))
        known[line] = 2 if hit or known[line] == 2 else 1

    def total(self) -> tuple[int, int]:
        """Covered lines, and lines."""
        covered = sum(lines.count(2) for lines in self.files.values()) + sum(c for c, _ in self.sums.values()) + self.extra[0]
        known = sum(len(lines) - lines.count(0) for lines in self.files.values()) + sum(n for _, n in self.sums.values())
        return covered, known + self.extra[1]


def normal(path: str, root: str = "") -> str:
    """A path with ``/``, without drive and ``./``, below ``root`` where it is relative; an absolute one begins with ``/``. Case is kept."""
    plain = path.strip().replace("\\", "/").removeprefix("file://")
    if len(plain) > 2 and plain[1] == ":" and plain[0].isalpha() and plain[2] == "/":
        plain = plain[2:]
    if root and not plain.startswith("/"):
        plain = f"{normal(root)}/{plain}"
    return posixpath.normpath("/" + plain.lstrip("/")) if plain.startswith("/") else posixpath.normpath(plain)


def union(parts: Iterable[Lines]) -> Lines:
    """All reports of a gate together. A file of two reports is one where its path fits (the same, or one is the end of the other's absolute
    one) and its lines are the same; two files that only have the same name, as ``src/index.ts`` of two projects, stay two."""
    result = Lines()
    by_name: dict[str, list[str]] = {}
    for part in parts:
        for path, lines in part.files.items():
            name = posixpath.basename(path)
            fitting = [
                known
                for known in by_name.get(name, ())
                if _same_file(known.partition(_AGAIN)[0], path) and _numbers(result.files[known]) == _numbers(lines)
            ]
            target = fitting[0] if len(fitting) == 1 else _free(path, result.files)
            if target not in result.files:
                by_name.setdefault(name, []).append(target)
            for number, state in enumerate(lines):
                if state:
                    result.add(target, number, state == 2)
        for path, amounts in part.sums.items():
            result.sums[_free(path, result.sums)] = amounts
        result.extra = (result.extra[0] + part.extra[0], result.extra[1] + part.extra[1])
    return result


def in_both(one: Lines, other: Lines) -> str | None:
    """A file that both speak of where one of them gives its sum only: the two cannot be joined. ``None`` where there is none."""
    for sums, counterpart in ((one.sums, other), (other.sums, one)):
        for path in sums:
            if any(_same_file(path, name) for name in (*counterpart.sums, *counterpart.files)):
                return path
    return None


_AGAIN = " (again "


def _same_file(one: str, other: str) -> bool:
    """The same path, or a relative one that is the end of an absolute one."""
    if one == other:
        return True
    relative, absolute = (one, other) if other.startswith("/") else (other, one)
    return absolute.startswith("/") and not relative.startswith("/") and absolute.endswith("/" + relative)


def _numbers(lines: bytearray) -> bytes:
    """Which lines there are, whether covered or not."""
    return bytes(lines).replace(b"\x02", b"\x01").rstrip(b"\x00")


def _free(path: str, taken: Container[str]) -> str:
    """``path``, or with a number where that is taken."""
    return path if path not in taken else next(n for i in range(2, 1 << 20) if (n := f"{path}{_AGAIN}{i})") not in taken)
