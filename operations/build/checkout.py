"""What the monorepo's checkout is: its commit, and which paths differ from it."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_REMOTE = re.compile(r"(?:[a-z+]+://[^/\s]+/|[\w.-]+@[\w.-]+:)([\w.-]+/[\w.-]+?)(?:\.git)?/?")


@dataclass(frozen=True)
class Checkout:
    """``commit`` is HEAD (40 hex), ``None`` outside a repository; ``changed`` are paths below the source that differ from it."""

    commit: str | None
    changed: tuple[str, ...]

    @property
    def state(self) -> str:
        """The commit and whether it is all there is: what an artefact is confirmed for."""
        return f"{self.commit or ''} {'dirty' if self.changed else 'clean'}"

    def dirty(self, *folders: str) -> bool:
        """Whether anything at or below one of ``folders`` (relative to the source) differs from the commit."""
        return any(path == f or path.startswith(f.rstrip("/") + "/") or f in ("", ".") for path in self.changed for f in folders)


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
