"""Puts files down: each one atomically, none touched where nothing changed, none left from a service that is gone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LISTING = ".mo-monitoring"
"""Names the files of the last export, so that what is gone from the catalogue goes here too and nobody else's file ever does."""


@dataclass(frozen=True)
class Written:
    """What an export did: paths relative to its directory, sorted."""

    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]


def write(directory: Path, files: Mapping[str, str], *, owns: tuple[str, ...]) -> Written:
    """Makes ``directory`` hold exactly ``files`` below the first path parts ``owns`` (``("prometheus",)``), and leaves all else alone.

    Raises ``OSError`` where the directory cannot be written; files written before that stay.
    """
    directory.mkdir(parents=True, exist_ok=True)
    changed, unchanged, removed = [], [], []
    for relative, text in sorted(files.items()):
        if _replace(directory / relative, text.encode()):
            changed.append(relative)
        else:
            unchanged.append(relative)
    before = _listed(directory)
    for relative in sorted(before - files.keys()):
        if relative.split("/", 1)[0] in owns:
            (directory / relative).unlink(missing_ok=True)
            removed.append(relative)
    kept = {r for r in before if r.split("/", 1)[0] not in owns}
    _replace(directory / LISTING, "".join(f"{r}\n" for r in sorted(kept | files.keys())).encode())
    return Written(tuple(changed), tuple(unchanged), tuple(removed))


def _listed(directory: Path) -> set[str]:
    try:
        lines = (directory / LISTING).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return set()
    # The listing stands where others may write: a path that leads out of the directory is none of ours.
    return {line for line in lines if line and not line.startswith("/") and ".." not in Path(line).parts}


def _replace(path: Path, content: bytes) -> bool:
    """Writes ``content`` by a rename; ``False`` where it was there already."""
    try:
        if path.read_bytes() == content:
            return False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True
