"""What the monorepo's checkout is: its commit, and which paths differ from it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_REMOTE = re.compile(r"(?:[a-z+]+://[^/\s]+/|[\w.-]+@[\w.-]+:)([\w.-]+/[\w.-]+?)(?:\.git)?/?")


@dataclass(frozen=True)
class Checkout:
    """``commit`` is HEAD (40 hex), ``None`` outside a repository; ``changed`` are paths below the source that differ from it; ``at``: when
    it was looked at (seconds since the epoch)."""

    commit: str | None
    changed: tuple[str, ...]
    at: float = field(default_factory=time.time, compare=False)

    @property
    def state(self) -> str:
        """The commit and whether it is all there is: what an artefact is confirmed for."""
        return f"{self.commit or ''} {'dirty' if self.changed else 'clean'}"

    def dirty(self, *folders: str) -> bool:
        """Whether anything at or below one of ``folders`` (relative to the source) differs from the commit."""
        return bool(within(self.changed, folders))

    def mark(self, *folders: str) -> str:
        """Which paths at or below ``folders`` differ from the commit, as one SHA-256; empty where none does."""
        found = within(self.changed, folders)
        return hashlib.sha256("\0".join(found).encode("utf-8", "surrogateescape")).hexdigest() if found else ""


def within(paths: Iterable[str], folders: Iterable[str]) -> list[str]:
    """Those of ``paths`` that are at or below one of ``folders``."""
    wanted = tuple(folders)
    return [path for path in paths if any(path == f or path.startswith(f.rstrip("/") + "/") or f in ("", ".") for f in wanted)]


def look(source: Path) -> Checkout:
    """The checkout that ``source`` is or lies in. A folder outside any repository has no commit."""
    top = _git(source, "rev-parse", "HEAD", "--show-prefix")
    if top is None:
        return Checkout(None, ())
    commit, _, prefix = top.decode("utf-8", "surrogateescape").partition("\n")
    prefix = prefix.rstrip("\n")
    status = _git(source, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--", ".") or b""
    paths = [os.fsdecode(record[3:]) for record in status.split(b"\0") if len(record) > 3]
    return Checkout(commit, tuple(sorted(path.removeprefix(prefix) for path in paths)))


def between(source: Path, old: str, new: str) -> list[str] | None:
    """The paths below ``source`` in which two commits differ; ``None`` where the repository lacks one."""
    told = _git(source, "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--relative", old, new, "--", ".")
    return None if told is None else [os.fsdecode(path) for path in told.split(b"\0") if path]


def origin(source: Path) -> str | None:
    """``owner/name`` of the repository that ``source`` was cloned from; ``None`` where its remote ``origin`` does not tell."""
    url = (_git(source, "remote", "get-url", "origin") or b"").decode("utf-8", "replace").strip()
    found = _REMOTE.fullmatch(url)
    return found[1] if found else None


def _git(folder: Path, *arguments: str) -> bytes | None:
    # A repository's own configuration must not start programs of its choice here.
    safe = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", f"safe.directory={folder.resolve()}"]
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *safe, *arguments], cwd=folder, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
