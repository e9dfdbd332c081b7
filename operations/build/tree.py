"""A directory's content, read without trusting it: sorted entries, no special file, no link that leads out."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from operations.build import rules
from operations.build.errors import BuildError, RefusedError

_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or link. ``path``: relative to ``root``, with ``/``; ``mode``: ``644`` or ``755``; ``target``: a link's."""

    path: str
    root: str
    size: int
    mode: Literal["644", "755"]
    target: str | None = None

    @property
    def place(self) -> str:
        """Where it lies."""
        return f"{self.root}/{self.path}"


@dataclass(frozen=True)
class Listing:
    """What a directory holds for an artefact, sorted by path, and what was left out of it."""

    files: tuple[Entry, ...]
    links: tuple[Entry, ...]
    left_out: tuple[str, ...]


def listing(
    root: Path,
    service: str,
    *,
    excludes: Sequence[str] = (),
    persistent: Sequence[str] = (),
    only: Sequence[str] = (),
    check: bool = True,
) -> Listing:
    """The entries below ``root``. ``excludes`` are rsync patterns, ``persistent`` paths that belong to the running site; ``only``: paths
    besides which nothing is listed.

    With ``check``, raises ``RefusedError`` with every name that no artefact may hold; without it (a source that is only built from) such
    files are listed as they are, but special files and links that lead out are refused still.
    """
    walk = _Walk(root, rules.Excludes(excludes), frozenset(p.strip("/") for p in persistent), check)
    walk.only = tuple(path.strip("/") for path in only)
    walk.run()
    links = [link for link in walk.links if walk.keeps(link)]
    if walk.bad:
        raise RefusedError(service, sorted(walk.bad))
    if empty := [path for path in walk.only if not any(_within(entry.path, path) for entry in (*walk.files, *links))]:
        raise BuildError(f"{service}: {root} holds no {', '.join(empty)}, which its build packs (`only` in catalog/services.yaml)")
    return Listing(_sorted(walk.files), _sorted(links), tuple(sorted(walk.left_out)))


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def _sorted(entries: list[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.path))


class _Walk:
    def __init__(self, root: Path, excludes: rules.Excludes, persistent: frozenset[str], check: bool) -> None:
        self.root = str(root)
        self.excludes = excludes
        self.persistent = persistent
        self.check = check
        self.only: tuple[str, ...] = ()
        self.files: list[Entry] = []
        self.links: list[Entry] = []
        self.left_out: list[str] = []
        self.bad: list[tuple[str, str]] = []
        self._known: frozenset[str] | None = None

    def run(self) -> None:
        pending = [("", self.root)]
        while pending:
            prefix, place = pending.pop()
            with os.scandir(place) as found:
                for item in found:
                    path = prefix + item.name
                    directory = item.is_dir(follow_symlinks=False)
                    if (
                        rules.left_out(item.name)
                        or self.excludes.match(path, directory)
                        or path in self.persistent
                        or not self._chosen(path)
                    ):
                        self.left_out.append(shown(path))
                    elif directory:
                        unusable = rules.unusable_name(item.name)
                        if unusable:
                            self.bad.append((shown(path), unusable))
                        else:
                            pending.append((path + "/", item.path))
                    else:
                        self._take(path, item)

    def _chosen(self, path: str) -> bool:
        """Whether ``path`` is one of ``only``, lies below one, or leads to one."""
        return not self.only or any(_within(path, chosen) or _within(chosen, path) for chosen in self.only)

    def _take(self, path: str, item: os.DirEntry[str]) -> None:
        reason = rules.forbidden_name(path) if self.check else rules.unusable_name(item.name)
        if reason:
            self.bad.append((shown(path), reason))
            return
        status = item.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            self.links.append(Entry(path, self.root, 0, "644", os.readlink(item.path)))
        elif stat.S_ISREG(status.st_mode):
            self.files.append(Entry(path, self.root, status.st_size, "755" if status.st_mode & 0o100 else "644"))
        else:
            self.bad.append((shown(path), "neither a file, a directory nor a link"))

    def keeps(self, link: Entry) -> bool:
        """Whether the link leads to what the artefact holds (or to what belongs to the running site); one that does not is noted as bad."""
        target = link.target or ""
        root = os.path.realpath(self.root)
        real = os.path.realpath(link.place)
        if target.startswith("/") or not real.startswith(root + os.sep) or any(map(rules.unusable_name, target.split("/"))):
            self.bad.append((link.path, f"a link out of the tree, to {shown(target)}"))
            return False
        inside = real[len(root) + 1 :]
        if inside not in self._places() and not any(inside == p or inside.startswith(p + "/") for p in self.persistent):
            self.bad.append((link.path, f"a link to {shown(target)}, which is not in the artefact"))
            return False
        return True

    def _places(self) -> frozenset[str]:
        """The paths of all files, and of the folders that hold one."""
        if self._known is None:
            found = {entry.path for entry in self.files}
            for path in tuple(found):
                while (path := path.rpartition("/")[0]) and path not in found:
                    found.add(path)
            self._known = frozenset(found)
        return self._known


def shown(path: str) -> str:
    """``path`` fit for a terminal: control characters and broken UTF-8 escaped."""
    return path if path.isprintable() else path.encode("unicode_escape").decode("ascii")


def sha256(place: str | Path) -> str:
    """SHA-256 in hex of a file's content, read in blocks."""
    digest = hashlib.sha256()
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        while block := os.read(descriptor, _BLOCK):
            digest.update(block)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def digests(entries: Sequence[Entry], workers: int | None = None) -> Iterator[str]:
    """The SHA-256 of each entry, in order; several files at a time."""
    places = [entry.place for entry in entries]
    if len(places) < 64:
        yield from map(sha256, places)
        return
    # Chunks, because a future for each small file costs more than hashing it.
    chunks = [places[at : at + 256] for at in range(0, len(places), 256)]
    with ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1)) as pool:
        for chunk in pool.map(lambda part: [sha256(place) for place in part], chunks):
            yield from chunk


def digest(parts: Iterable[tuple[str, Listing]]) -> str:
    """One SHA-256 for the content, modes and links of several listings, each under a label."""
    total = hashlib.sha256()
    for label, part in parts:
        total.update(f"{len(label)}:{label}\n{len(part.files)} {len(part.links)}\n".encode())
        for entry, hexdigest in zip(part.files, digests(part.files), strict=True):
            total.update(f"{entry.mode} {hexdigest} {len(entry.path.encode())}:{entry.path}\n".encode())
        for link in part.links:
            total.update(f"link {len(link.path.encode())}:{link.path} {link.target}\n".encode())
    return total.hexdigest()
