"""The unprivileged account that stands for the shared host's: one of its own where we are root, else the current user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.layout import Layout, SandboxError

_TRIES = 40


def name(layout: Layout) -> str:
    """The account's login name."""
    return f"mosandbox{layout.mark}" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def own(layout: Layout) -> str | None:
    """The account's name where it belongs to the sandbox alone, else ``None``."""
    return name(layout) if os.geteuid() == 0 else None


def create(user: str, home: Path) -> None:
    """Makes the account where it is missing. Raises ``SandboxError`` where ``useradd`` refuses."""
    if os.geteuid() != 0 or _exists(user):
        return
    # A password of "*" admits no password and, unlike the usual "!", does not lock the account for keys.
    argv = [
        "useradd",
        "--no-create-home",
        "--home-dir",
        str(home),
        "--shell",
        "/bin/sh",
        "--password",
        "*",
        "--comment",
        "mo-deploy",
        user,
    ]
    _admin(argv, lambda: _exists(user), f"The account {user} cannot be made")


def remove(user: str) -> None:
    """Removes an account that ``create`` made."""
    if os.geteuid() == 0 and user.startswith("mosandbox") and _exists(user):
        _admin(["userdel", user], lambda: not _exists(user), f"The account {user} cannot be removed")


def give(path: Path, user: str, mode: int) -> None:
    """Makes ``path`` the account's, with ``mode``."""
    if os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    path.chmod(mode)


def directory(path: Path, user: str | None = None, mode: int = 0o755) -> Path:
    """A directory that exists with this mode and, where named, this owner."""
    path.mkdir(parents=True, exist_ok=True)
    if user is not None:
        give(path, user, mode)
    else:
        path.chmod(mode)
    return path


def write(path: Path, text: str, mode: int = 0o644, user: str | None = None) -> bool:
    """Replaces a file by one rename; says whether it changed."""
    if path.is_file() and path.read_text() == text:
        return False
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    new.chmod(mode)
    if user is not None:
        give(new, user, mode)
    new.replace(path)
    return True


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _admin(argv: list[str], done: Callable[[], bool], problem: str) -> None:
    program = shutil.which(argv[0], path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        raise SandboxError(f"{problem}: {argv[0]} is not installed (Debian package passwd)")
    said = ""
    for _ in range(_TRIES):
        result = subprocess.run([program, *argv[1:]], capture_output=True, text=True, check=False)
        if done():
            return
        said = result.stderr.strip()
        # Another sandbox may be changing /etc/passwd at this moment.
        time.sleep(0.1)
    raise SandboxError(f"{problem}: {said or 'no reason given'}")
