"""Who listens where on this machine, read from ``/proc``."""

from __future__ import annotations

import socket
from pathlib import Path

_LISTEN = "0A"


def free(port: int) -> bool:
    """Whether a server could bind ``port`` on 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int, timeout: float = 1.0) -> bool:
    """Whether something accepts connections at ``port`` on 127.0.0.1. ``timeout`` in seconds."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout).close()
    except OSError:
        return False
    return True


def holder(port: int) -> int | None:
    """The process that listens at ``port``; ``None`` where none does, or none that this user may look at."""
    inodes = _listening(port)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            held = any(str(f.readlink()) in inodes for f in (entry / "fd").iterdir())
        except OSError:
            continue
        if held:
            return int(entry.name)
    return None


def owner(port: int) -> str:
    """The process that listens at ``port``, as ``process 123 (its command line)``; what can be told where it is another user's."""
    if (pid := holder(port)) is not None:
        return f"process {pid} ({command_line(pid)})"
    return "a process that this user may not see" if _listening(port) else "no process that listens now"


def command_line(pid: int) -> str:
    """A process's command line, shortened to 100 characters."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return "gone"
    words = words.strip()
    return words if len(words) <= 100 else words[:99] + "…"


def _listening(port: int) -> set[str]:
    """The sockets, as ``socket:[inode]``, that listen at ``port`` on any address."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found
