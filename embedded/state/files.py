"""Files of the backend: written whole or not at all, each with the ``.attrs`` twin that Pulumi's blob store keeps.

Only their owner reads them. Where accounts share a backend on a disk, its folders have the setgid bit, and the group reads and writes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import stat
from pathlib import Path

from embedded.state.errors import StateError

_UMASK = os.umask(0o022)
os.umask(_UMASK)


def attributes(content: bytes) -> bytes:
    """The content of the ``.attrs`` twin of a file with ``content``."""
    fields = dict.fromkeys(("cache_control", "content_disposition", "content_encoding", "content_language"), "")
    twin: dict[str, str | None] = {f"user.{name}": value for name, value in fields.items()}
    twin["user.content_type"] = "text/plain; charset=utf-8"
    twin["user.metadata"] = None
    twin["md5"] = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    return json.dumps(twin, separators=(",", ":")).encode() + b"\n"


def private_mode(folder: Path) -> int:
    """The mode of a file of the backend in ``folder``: 600, or 660 in a folder that its group shares (setgid)."""
    return 0o660 if folder.stat().st_mode & stat.S_ISGID else 0o600


def replace(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Writes a file durably and at once: readers see the old content or the new, also after a power cut.

    ``mode``: permissions, by default those of any new file (umask). Raises ``StateError`` where it cannot be written.
    """
    try:
        _replace(path, content, mode)
    except OSError as problem:
        raise cannot_write(path, problem) from None


def cannot_write(path: Path, problem: OSError) -> StateError:
    """The refusal for a file that cannot be written: which, why, what to do."""
    return StateError(
        f"{path} cannot be written: {problem.strerror or problem}. Make that possible (free space, permissions), then run it again."
    )


def _replace(path: Path, content: bytes, mode: int | None) -> None:
    import tempfile  # here and not above: most commands write nothing

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".fileblob", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o666 & ~_UMASK if mode is None else mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes renames and removals in ``directory`` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes) -> None:
    """Writes a file of the backend and its twin. Raises ``StateError`` where they cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = private_mode(path.parent)
    except OSError as problem:
        raise cannot_write(path, problem) from None
    replace(twin(path), attributes(content), mode=mode)
    replace(path, content, mode=mode)


def twin(path: Path) -> Path:
    """The ``.attrs`` file beside ``path``."""
    return path.with_name(path.name + ".attrs")


def remove(path: Path) -> None:
    """Removes a file of the backend and its twin; no error where there is none."""
    for each in (path, twin(path)):
        each.unlink(missing_ok=True)


def move(source: Path, target: Path) -> None:
    """Renames a file of the backend and its twin."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)
    with contextlib.suppress(FileNotFoundError):
        os.replace(twin(source), twin(target))
