"""Who runs a deployment: a person at a machine or a CI run, and the process, so that a dead one is known as dead."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from operations import locks
from operations.wording import on_one_line


@dataclass(frozen=True)
class Owner:
    """``boot``: of the kernel that runs the process; ``started``: its start in that kernel's ticks; both empty where they cannot be told.
    ``run``: the address of the CI run."""

    user: str
    machine: str
    pid: int
    boot: str = ""
    started: str = ""
    run: str | None = None

    def __str__(self) -> str:
        return self.name + (f" ({self.run})" if self.run else f" (pid {self.pid})")

    @property
    def name(self) -> str:
        """``user@machine``."""
        return f"{self.user}@{self.machine}"

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def here(environment: Mapping[str, str] | None = None) -> Owner:
    """This process."""
    variables = os.environ if environment is None else environment
    repository, number = variables.get("GITHUB_REPOSITORY"), variables.get("GITHUB_RUN_ID")
    run = f"{variables.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository}/actions/runs/{number}" if number else None
    return Owner(variables.get("GITHUB_ACTOR") or _user(), socket.gethostname(), os.getpid(), _boot(), _started(os.getpid()), run)


def read(found: Any) -> Owner:
    """The owner in what ``plain`` gave, from a file or a host: whatever is not as expected is unknown, and nothing drives a terminal."""
    raw = found if isinstance(found, dict) else {}

    def text(key: str) -> str:
        value = raw.get(key)
        return on_one_line(value).strip() if isinstance(value, str) else ""

    pid = raw.get("pid")
    if not isinstance(pid, int) or isinstance(pid, bool) or not 0 < pid < 1 << 31:
        pid = 0
    return Owner(
        text("user") or "somebody",
        text("machine") or "an unknown machine",
        pid,
        text("boot"),
        text("started"),
        text("run") or None,
    )


def is_gone(owner: Owner) -> bool:
    """Whether the process certainly runs no more: it was on this machine, since its last start, and is not there now."""
    if owner.pid == 0 or owner.machine != socket.gethostname() or not owner.boot or owner.boot != _boot():
        return False
    if not locks.runs(owner.pid):
        return True
    now = _started(owner.pid)
    return bool(owner.started and now) and now != owner.started


def is_here(owner: Owner) -> bool:
    """Whether the process is this machine's and still runs."""
    return owner.machine == socket.gethostname() and owner.boot == _boot() and owner.pid != 0 and not is_gone(owner)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return f"uid {os.getuid()}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
