"""Scans log files, compressed ones too, for personal data. Says place and kind; never the value."""

from __future__ import annotations

import bz2
import gzip
import ipaddress
import lzma
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

from evidence.personal_kinds import Allowed, kinds

MAX_BYTES = 8 << 30
"""A log that unpacks to more is refused: it may be a trap."""
_CHUNK = 64 << 10
_OVERLAP = 128
_NO_READER = (".zst", ".zip", ".7z", ".rar", ".lz4")
_KEPT = 200


class ScanError(Exception):
    """A log that cannot be scanned; the message names it and says why."""


@dataclass
class Scan:
    """What was found. ``places``: ``file:line kind``, the first of them; ``by_kind`` counts all; ``files`` and ``lines`` were read."""

    files: int = 0
    lines: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    places: list[str] = field(default_factory=list)

    @property
    def findings(self) -> int:
        """How many lines hold personal data, each counted once a kind."""
        return sum(self.by_kind.values())


def scan(folder: Path, allowed: Allowed | None = None) -> Scan:
    """Scans every file below ``folder``. Raises ``ScanError`` for one that cannot be read or unpacked whole."""
    result = Scan()
    allow = allowed or Allowed()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            _file(path, path.relative_to(folder).as_posix(), allow, result)
    return result


def _file(path: Path, shown: str, allowed: Allowed, result: Scan) -> None:
    allowed = replace(allowed, clock=path.stat().st_mtime)
    if path.suffix in _NO_READER:
        raise ScanError(f"{shown} cannot be scanned: no reader for {path.suffix}; unpack it")
    try:
        with _opened(path) as stream:
            for number, text in _lines(stream, shown):
                result.lines = result.lines + 1
                for kind in sorted(kinds(text, allowed)):
                    result.by_kind[kind] += 1
                    if len(result.places) < _KEPT:
                        result.places.append(f"{shown}:{number} {kind}")
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise ScanError(f"{shown} cannot be read whole: {type(error).__name__}") from None
    result.files += 1


def _opened(path: Path) -> BinaryIO:
    """The file's plain content, by its first bytes rather than by its name."""
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.open(path, "rb"))
    if start.startswith(b"BZh"):
        return cast("BinaryIO", bz2.open(path, "rb"))
    if start.startswith(b"\xfd7zXZ\x00"):
        return cast("BinaryIO", lzma.open(path, "rb"))
    return path.open("rb")


def _lines(stream: BinaryIO, shown: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers. A longer one comes in pieces that overlap, so that nothing hides at a seam."""
    number = 1
    size = 0
    before = b""
    while piece := stream.readline(_CHUNK):
        size += len(piece)
        if size > MAX_BYTES:
            raise ScanError(f"{shown} unpacks to more than {MAX_BYTES >> 30} GiB")
        yield number, (before + piece).decode("utf-8", "replace").replace("\x00", "")
        if piece.endswith(b"\n"):
            number, before = number + 1, b""
        else:
            before = piece[-_OVERLAP:]


def load_allowed(path: Path) -> Allowed:
    """The allow-list: one entry a line (address, network, e-mail address, ``*@domain``), ``#`` begins a remark. Without the file, only
    loopback addresses are allowed. Raises ``ScanError`` for an entry that allows everything, or a file that cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return Allowed()
    except (OSError, UnicodeDecodeError):
        raise ScanError(f"the allow-list {path.name} cannot be read as text") from None
    networks = list(Allowed().networks)
    values: set[str] = set()
    for number, line in enumerate(lines, 1):
        entry = line.partition("#")[0].strip().lower()
        if not entry:
            continue
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            if entry in ("*", "*@") or ("*" in entry and not entry.startswith("*@")) or len(entry) < 5:
                raise ScanError(f"line {number} of the allow-list {path.name} allows too much") from None
            values.add(entry)
            continue
        if network.num_addresses > 1 << (24 if network.version == 4 else 96):
            raise ScanError(f"line {number} of the allow-list {path.name} allows too large a network")
        networks.append(network)
    return Allowed(tuple(networks), frozenset(values))
