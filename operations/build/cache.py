"""The user's cache of what is slow to make: npm packages, wheels, built artefacts, the gates' tools.

Every entry's name says all that it was made from.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

KEEP_SECONDS = 30 * 24 * 3600
UNFINISHED_SECONDS = 24 * 3600


def default() -> Path:
    """``MO_CACHE``, else ``mo-deploy`` in the user's cache folder."""
    named = os.environ.get("MO_CACHE")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mo-deploy"


def keep(cache: Path, kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The cache's folder ``<kind>/<key>``; where it is not there, ``make`` fills an empty folder that then takes its place.

    Two processes that want the same entry make it once. A failed or killed ``make`` leaves no entry.
    """
    place = cache / kind / key
    with _locked(cache / "locks" / f"{kind}-{key}"):
        if place.is_dir():
            os.utime(place)
            return place
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
        try:
            make(fresh)
            fresh.rename(place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return place


def forget(cache: Path, kind: str, key: str) -> None:
    """Removes an entry that turned out to be damaged."""
    with _locked(cache / "locks" / f"{kind}-{key}"):
        shutil.rmtree(cache / kind / key, ignore_errors=True)


def prune(cache: Path, now: float | None = None) -> None:
    """Removes entries unused for 30 days, and what a killed run left a day ago."""
    moment = now or time.time()
    for kind in ("npm", "wheels", "artefacts", "tools", "work"):
        for entry in (cache / kind).glob("*") if (cache / kind).is_dir() else ():
            with contextlib.suppress(OSError):
                if kind == "work" or entry.name.startswith(".new-"):
                    if entry.stat().st_mtime < moment - UNFINISHED_SECONDS:
                        shutil.rmtree(entry, ignore_errors=True)
                elif entry.stat().st_mtime < moment - KEEP_SECONDS:
                    _drop(cache, kind, entry, moment)


def _drop(cache: Path, kind: str, entry: Path, moment: float) -> None:
    """Takes an entry away unless somebody has just used it; never by half under its own name."""
    with _locked(cache / "locks" / f"{kind}-{entry.name}"):
        if entry.stat().st_mtime < moment - KEEP_SECONDS:
            gone = Path(tempfile.mkdtemp(prefix=".new-", dir=entry.parent))
            entry.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


@contextlib.contextmanager
def work_folder(cache: Path) -> Iterator[Path]:
    """An empty folder for one build, gone afterwards."""
    (cache / "work").mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix="b", dir=cache / "work"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with place.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
