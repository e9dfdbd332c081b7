"""Copies files into an artefact's tree: normalised modes and times, each file hashed as it is written."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from catalog.manifest import File, Link
from operations.build import rules
from operations.build.errors import RefusedError
from operations.build.tree import Entry, Listing

_BLOCK = 1 << 18
_FIELDS = set(File.model_fields)
_EPOCH = 946_684_800  # 2000-01-01, so that no tool takes a time for absent


@dataclass(frozen=True)
class Packed:
    """What a tree holds, sorted by path."""

    files: tuple[File, ...]
    links: tuple[Link, ...]


def modified(sha256: str) -> int:
    """The modification time (Unix seconds) that a file of this content gets.

    Equal content, equal time: rsync finds unchanged files and hard links them. Other content, other time: neither rsync's quick
    check nor a browser's cache takes a changed file of the same size for the old one.
    """
    return _EPOCH + int(sha256[:7], 16)


def pack(parts: Sequence[tuple[str, Listing]], tree: Path, service: str) -> Packed:
    """Writes the listings' files and links below ``tree``, each listing under its prefix (empty for the root).

    Raises ``RefusedError`` where a file's content is forbidden, or where two listings hold the same path.
    """
    files: list[File] = []
    links: list[Link] = []
    bad: list[tuple[str, str]] = []
    made: set[str] = set()
    folders: set[str] = set()
    root = str(tree)
    os.makedirs(root, exist_ok=True)
    for prefix, part in parts:
        for entry in (*part.files, *part.links):
            path = f"{prefix}/{entry.path}" if prefix else entry.path
            if path in made:
                bad.append((path, "there twice, once from an included folder"))
                continue
            made.add(path)
            place = f"{root}/{path}"
            folder = path.rpartition("/")[0]
            if folder not in folders:
                folders.add(folder)
                os.makedirs(os.path.dirname(place), exist_ok=True)
            if entry.target is not None:
                os.symlink(entry.target, place)
                links.append(Link(path=path, target=entry.target))
            else:
                packed, reason = _copy(entry, place, path)
                files.append(packed)
                bad.extend([(path, reason)] if reason else [])
    if bad:
        raise RefusedError(service, bad)
    for folder, _, _ in os.walk(root):
        os.chmod(folder, 0o755)
    return Packed(tuple(sorted(files, key=lambda f: f.path)), tuple(sorted(links, key=lambda link: link.path)))


def _copy(entry: Entry, place: str, path: str) -> tuple[File, str | None]:
    digest = hashlib.sha256()
    size = 0
    head = b""
    source = os.open(entry.place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        target = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            while block := os.read(source, _BLOCK):
                head = head or block[: rules.HEAD]
                digest.update(block)
                size += len(block)
                _write(target, block)
            os.fchmod(target, 0o755 if entry.mode == "755" else 0o644)
        finally:
            os.close(target)
    finally:
        os.close(source)
    sha256 = digest.hexdigest()
    os.utime(place, (modified(sha256), modified(sha256)))
    # Made without validation: every value is right by its making, and 100,000 files share one set of field names.
    file = File.model_construct(_FIELDS, path=path, size=size, sha256=sha256, mode=entry.mode)
    return file, rules.forbidden_content(head)


def _write(descriptor: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def link_tree(source: Path, target: Path) -> None:
    """Makes ``target`` a copy of ``source`` whose files are hard links; copies where the file system does not allow them."""
    pending = [(str(source), str(target))]
    while pending:
        old, new = pending.pop()
        os.mkdir(new, 0o755)
        with os.scandir(old) as found:
            for item in found:
                place = f"{new}/{item.name}"
                if item.is_symlink():
                    os.symlink(os.readlink(item.path), place)
                elif item.is_dir():
                    pending.append((item.path, place))
                else:
                    _link(item.path, place)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def intact(tree: Path, files: Sequence[File], links: Sequence[Link]) -> bool:
    """Whether the tree's files still have the size, mode and time that they were packed with. Content is not read."""
    root = str(tree)
    try:
        for file in files:
            status = os.lstat(f"{root}/{file.path}")
            if (status.st_size, status.st_mode & 0o777, int(status.st_mtime)) != (
                file.size,
                int(file.mode, 8),
                modified(file.sha256),
            ):
                return False
        return all(os.readlink(f"{root}/{link.path}") == link.target for link in links)
    except OSError:
        return False
