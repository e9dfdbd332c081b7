"""Pulumi's locks: a file a process below ``locks/organization/<project>/<stack>/``; who finds another one steps back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from embedded.state import files
from embedded.state.checkpoint import now
from embedded.state.errors import StateError


class LockedError(StateError):
    """Another process holds the stack; the message names it."""


def _describe(path: Path) -> str:
    url = f"file://{path}?no_tmp_dir=true"
    try:
        lock: dict[str, Any] = json.loads(path.read_bytes())
        seconds = str(lock["timestamp"]).split(".")[0].rstrip("Z") + "Z"
        text = f"  {url}: created by {lock['username']}@{lock['hostname']} (pid {lock['pid']}) at {seconds}"
        if not _alive(lock):
            text += "\n  That process is gone: the lock is stale, `pulumi cancel` clears it."
    except (OSError, ValueError, KeyError, TypeError):
        return f"  {url}: created by an unknown process (the lock file cannot be read)"
    return text


class Lock:
    """Holds a stack while the context is open. Raises ``LockedError`` when another process does."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is the stack's folder of locks."""
        import uuid

        self._directory = directory
        self._path = directory / f"{uuid.uuid4()}.json"

    def _check(self) -> None:
        others = [path for path in holders(self._directory) if path != self._path]
        if others:
            raise LockedError(
                f"the stack is currently locked by {len(others)} lock(s). Either wait for the other process(es) to end or delete the "
                "lock file with `pulumi cancel`.\n" + "\n".join(map(_describe, others))
            )

    def __enter__(self) -> Lock:
        import getpass

        self._check()
        lock = {"pid": os.getpid(), "username": getpass.getuser(), "hostname": os.uname().nodename, "timestamp": now()}
        files.write(self._path, json.dumps(lock, separators=(",", ":")).encode())
        try:
            # Another process may have looked just before this file was there.
            self._check()
        except LockedError:
            files.remove(self._path)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        files.remove(self._path)


def holders(directory: Path) -> list[Path]:
    """The locks of a stack."""
    return sorted(path for path in directory.glob("*.json") if not path.name.startswith("."))


def clear(directory: Path) -> None:
    """Removes every lock of a stack, whoever holds it."""
    for path in holders(directory):
        files.remove(path)


def _alive(lock: dict[str, Any]) -> bool:
    return bool(lock["hostname"] != os.uname().nodename or _runs(int(lock["pid"])))


def _runs(pid: int) -> bool:
    foreign = False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        foreign = True
    try:
        # A zombie has been killed, and its parent has yet to take note.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return foreign or not Path("/proc/self/stat").exists()  # what is another user's may be hidden (hidepid)


def is_alive(path: Path) -> bool:
    """Whether the process of a lock may still run: it is on another host, or there is a process of that number here."""
    try:
        return _alive(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return False
