"""The sandbox's daemons: each leads a session of its own and is known by id and start time, so that no other process is ever ended."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.layout import Layout, SandboxError

MARK = "MO_SANDBOX_MARK"
"""Environment variable that every process of a sandbox inherits; its value is the sandbox's folder."""
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/"}
_started: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Daemon:
    """How one daemon is run. ``user``: a system account's name, ``None`` for whoever starts it (and always where that is not root)."""

    name: str
    argv: tuple[str, ...]
    user: str | None = None
    cwd: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)


def as_user(user: str | None) -> dict[str, object]:
    """The arguments of ``subprocess`` that run a child as ``user``; none where this process is not root."""
    if user is None or os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(user)
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}


def start(layout: Layout, daemon: Daemon) -> None:
    """Starts a daemon, detached, its output in ``log/<name>.log``, and records it."""
    environment = {**_ENVIRONMENT, MARK: str(layout.directory), **daemon.environment}
    with (layout.logs / f"{daemon.name}.log").open("ab") as log:
        process = subprocess.Popen(  # type: ignore[call-overload]
            list(daemon.argv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=daemon.cwd or layout.directory,
            env=environment,
            start_new_session=True,
            umask=0o022,
            **as_user(daemon.user),
        )
    _started.append(process)
    record = layout.run / f"{daemon.name}.pid"
    record.write_text(f"{process.pid} {_started_at(process.pid)}\n")


def running(layout: Layout, name: str) -> int | None:
    """The id of a recorded daemon that still runs, else ``None``."""
    for child in _started:
        child.poll()
    try:
        pid, since = (layout.run / f"{name}.pid").read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if pid.isdigit() and _started_at(int(pid)) == since else None


def last_words(layout: Layout, name: str, lines: int = 3) -> str:
    """The end of a daemon's log, on one line, for an error's sentence."""
    try:
        text = (layout.logs / f"{name}.log").read_text(errors="replace").splitlines()
    except OSError:
        return "it left no log"
    return " / ".join(line.strip() for line in text[-lines:] if line.strip()) or "its log is empty"


def wait_until(ready: Callable[[], bool], alive: Callable[[], bool], seconds: float) -> bool:
    """Asks ``ready`` until it is true (``True``), or ``alive`` is false or the time is over (``False``)."""
    end = time.monotonic() + seconds
    while not ready():
        if not alive() or time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def stop(layout: Layout, name: str, seconds: float = 10.0, how: signal.Signals = signal.SIGTERM) -> None:
    """Ends a daemon and everything of its session: by ``how``, and after ``seconds`` by force."""
    pid = running(layout, name)
    members = of_part(layout, name)
    if pid is not None:
        members += descendants([pid])
        end_all([pid], seconds, how)
    end_all(members, 0.5 if how is not signal.SIGKILL else 0, how)
    (layout.run / f"{name}.pid").unlink(missing_ok=True)


def end_all(pids: Iterable[int], seconds: float, how: signal.Signals = signal.SIGTERM) -> None:
    """Ends these processes: by ``how``, and after ``seconds`` by force."""
    known = {pid: since for pid in pids if (since := _started_at(pid)) is not None}
    for pid in known:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
    wait_until(lambda: not _left(known), lambda: True, seconds)
    for pid in _left(known):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not wait_until(lambda: not _left(known), lambda: True, 5):
        left = _left(known)
        raise SandboxError(
            f"The processes {', '.join(map(str, left))} of the sandbox do not end; look at them with ps -fp {left[0]}"
        )


def of_sandbox(layout: Layout, account: str | None) -> list[int]:
    """Every process that belongs to the sandbox: by its mark in the environment, and by its account where that is the sandbox's own."""
    mark = f"{MARK}={layout.directory}".encode()
    found = {pid for pid in _all() if pid != os.getpid() and _marked(pid, mark)}
    if account is not None:
        found.update(of_account(account))
    return sorted(pid for pid in found if _started_at(pid) is not None)


def of_account(account: str) -> list[int]:
    """Every process of an account; none where there is no such account."""
    try:
        uid = pwd.getpwnam(account).pw_uid
    except KeyError:
        return []
    return [pid for pid in _all() if _uid(pid) == uid]


def of_part(layout: Layout, name: str) -> list[int]:
    """The further processes of the session that a part's first process leads, or led before it was killed."""
    try:
        leader, since = (layout.run / f"{name}.pid").read_text().split()
    except (OSError, ValueError):
        return []
    if not leader.isdigit() or _started_at(int(leader)) not in (None, since):
        return []
    mark = f"{MARK}={layout.directory}".encode()
    # nginx and PostgreSQL write their titles over the environment: they are known by the files that they hold.
    return [pid for pid in _session(int(leader)) if _marked(pid, mark) or _holds(pid, layout.directory)]


def descendants(pids: Iterable[int]) -> list[int]:
    """All children of these processes, and theirs."""
    parents: dict[int, list[int]] = {}
    for pid in _all():
        stat = _stat(pid)
        if stat:
            parents.setdefault(int(stat[1]), []).append(pid)
    found: list[int] = []
    queue = list(pids)
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def _marked(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _holds(pid: int, folder: Path) -> bool:
    """Whether a process has a file below ``folder`` open."""
    try:
        return any(str(entry.readlink()).startswith(f"{folder}/") for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def _uid(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def _left(known: dict[int, str]) -> list[int]:
    for child in _started:
        child.poll()
    return [pid for pid, since in known.items() if _started_at(pid) == since]


def _session(leader: int) -> list[int]:
    return [pid for pid in _all() if pid != leader and (stat := _stat(pid)) and int(stat[3]) == leader]


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str] | None:
    """The fields of ``/proc/<pid>/stat`` from the state on; ``None`` where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except (OSError, IndexError):
        return None


def _started_at(pid: int) -> str | None:
    """When a process was started, in the kernel's ticks; ``None`` where it is gone or a zombie without a thread that still ends."""
    stat = _stat(pid)
    # A killed server's first thread is a zombie before its others have let go of its files and ports.
    return None if stat is None or (stat[0] in "ZX" and int(stat[17]) <= 1) else stat[19]
