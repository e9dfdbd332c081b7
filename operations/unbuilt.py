"""Whether ``dist/`` holds what the monorepo's checkout holds: a build that was forgotten, or made before the commit."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from catalog.models import Service
from operations.wording import build_command


def words(dist: Path, source: Path, services: Mapping[str, Service]) -> list[str]:
    """A sentence for the services whose sources differ from those of their artefacts, and for those that were built with changes which no
    commit has. Nothing where neither can be told: no repository, another checkout, an artefact that `bin/mo build` has not made here."""
    from operations.build import checkout
    from operations.build.checkout import Checkout

    source = source.resolve()
    noted = {key: _noted(dist / key, source) for key in services}
    if not any(noted.values()) or (now := checkout.look(source)).commit is None:
        return []
    commits: dict[str, list[str] | None] = {now.commit: []}
    other: dict[tuple[str, bool], list[str]] = {}
    same: dict[str, list[str]] = {}
    dirty: set[str] = set()

    def differs(built: Mapping[str, Any], folders: Sequence[str], now: Checkout) -> bool:
        commit = str(built["commit"])
        if commit not in commits:
            commits[commit] = checkout.between(source, commit, str(now.commit))
        moved = commits[commit]
        if moved is None or checkout.within(moved, folders) or now.mark(*folders) != built["changed"]:
            return True
        return bool(built["changed"]) and any(
            _touched(source / path, built["at"]) for path in checkout.within(now.changed, folders)
        )

    for key, service in services.items():
        built, folders = noted[key], (service.source, *service.build.include)
        if built is None:
            continue
        if now.dirty(*folders):
            dirty.add(key)
        if differs(built, folders, now):
            other.setdefault((built["commit"], bool(built["changed"])), []).append(key)
        elif built["changed"]:
            same.setdefault(built["commit"], []).append(key)
    told = [
        f"dist/ holds {', '.join(names)} as built of {_state(commit, changed)}; the sources are others now, in the checkout at "
        f"{_state(now.commit, not dirty.isdisjoint(names))} ({build_command(names)})."
        for (commit, changed), names in other.items()
    ]
    return told + [f"dist/ holds {', '.join(names)} as built of {_state(commit, True)}." for commit, names in same.items()]


def _state(commit: str, changed: bool) -> str:
    return commit[:7] + (" with uncommitted changes" if changed else "")


def _noted(artefact: Path, source: Path) -> Mapping[str, Any] | None:
    """What the build noted of its sources; ``None`` where it did not, or was of another checkout."""
    try:
        told = json.loads((artefact / ".sources").read_bytes())
        whole = told["source"] == str(source) and isinstance(told["commit"], str) and isinstance(told["changed"], str)
        return {**told, "at": float(told["at"])} if whole else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _touched(path: Path, since: float) -> bool:
    """Whether a file was written, or taken away, since then."""
    try:
        return os.lstat(path if os.path.lexists(path) else path.parent).st_mtime > since
    except OSError:
        return True
