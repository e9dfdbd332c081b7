"""The lock of a file backend that a killed update left behind."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

_OWNER = re.compile(r"created by (?P<user>\S+?)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<time>\S+)")


def owners(text: str) -> list[str]:
    """Who holds the locks that an engine's refusal names, as it names them."""
    return [found.group(0) for found in _OWNER.finditer(text)]


def are_stale(text: str, here: str | None = None) -> bool:
    """Whether every lock that the refusal names was taken on this machine by a process that is gone. Another machine's never counts."""
    found = list(_OWNER.finditer(text))
    return bool(found) and all(lock["host"] == (here or socket.gethostname()) and not runs(int(lock["pid"])) for lock in found)


def runs(process: int) -> bool:
    """Whether there is a process of that number on this machine. A zombie is as good as gone: nobody works in it."""
    foreign = False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        foreign = True
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return foreign or not Path("/proc/self/stat").exists()  # what is another user's may be hidden (hidepid)
