"""The journal of one run: a line an event, appended and synced, so that a run costs the same an operation in a stack of any size.

The file begins with the digest of the checkpoint that it is about. Folding it over that checkpoint gives the state as it was when the
last line was written: at the end of a run the checkpoint replaces it, after a crash the next command folds it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

from embedded.model import NotRecordedError, PendingOperation, ResourceState, Snapshot
from embedded.state.checkpoint import Encrypt, decode_resource, encode_resource, encode_value
from embedded.state.errors import StateError
from embedded.state.files import cannot_write, private_mode, sync_directory

_Entry = dict[str, Any]


def digest(checkpoint: bytes) -> str:
    """What ties a journal to its checkpoint."""
    return hashlib.sha256(checkpoint).hexdigest()


TAKEN_OVER = "this update was cancelled, and another one of the stack has begun since"


class FileJournal:
    """The journal of a run that changes the state (``model.Journal``). Threads share one sync."""

    def __init__(self, path: Path, checkpoint: bytes, snapshot: Snapshot, encrypt: Encrypt | None) -> None:
        """Starts the journal of a run over ``snapshot``, which is what the file content ``checkpoint`` holds.

        Raises ``StateError`` where it cannot be written.
        """
        self.path = path
        self._encrypt = encrypt
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # A file of its own: an update that was cancelled while it slept may have the one before open, and would write into it.
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.fchmod(descriptor, private_mode(path.parent))
        except OSError as problem:
            raise cannot_write(path, problem) from None
        # Without a buffer: a line that found no room must not be written later, when what it says may no longer be so.
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self.broken: NotRecordedError | None = None
        self._write_lock, self._sync_lock = threading.Lock(), threading.Lock()
        self._written = self._synced = 0
        self._operations = itertools.count(1)
        # As recorded: after an interrupted run the CLI saves every step in full.
        self._thin = not snapshot.pending
        # The objects themselves are kept, so that no identity is given twice.
        self._known: dict[int, tuple[int, ResourceState]] = {id(r): (n, r) for n, r in enumerate(snapshot.resources)}
        self._next = len(snapshot.resources)
        try:
            self._append({"journal": 1, "base": digest(checkpoint)}, durable=True)
            sync_directory(path.parent)
        except NotRecordedError as problem:
            raise StateError(str(problem)) from None

    def _append(self, entry: _Entry, *, durable: bool) -> None:
        """Adds a line. Raises ``NotRecordedError`` where it, or one before it, could not be written: after a gap no line may follow."""
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._write_lock:
            if self.broken is not None:
                raise self.broken
            if not self.is_current():
                self.broken = NotRecordedError(f"{TAKEN_OVER}: nothing more is begun.")
                raise self.broken
            try:
                while line:
                    line = line[self._file.write(line) :]
            except OSError as problem:
                raise self._broke(problem) from None
            self._written += 1
            position = self._written
        if not durable:
            return
        with self._sync_lock:
            if self._synced < position:
                reached = self._written
                try:
                    os.fsync(self._file.fileno())
                except OSError as problem:
                    raise self._broke(problem) from None
                self._synced = reached

    def is_current(self) -> bool:
        """Whether this is the stack's journal yet: an update that follows a cancelled one takes it away."""
        try:
            there, own = os.stat(self.path), os.fstat(self._file.fileno())
        except (OSError, ValueError):
            return False
        return (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino)

    def _broke(self, problem: OSError) -> NotRecordedError:
        self.broken = NotRecordedError(
            f"the state's journal {self.path} cannot be written ({problem.strerror or problem}): nothing more is begun. Make that possible "
            "(free space, permissions), then run the command again; operations that it then calls pending may have been completed."
        )
        return self.broken

    def _number(self, state: ResourceState) -> int:
        known = self._known.get(id(state))
        return known[0] if known else -1

    def _enter(self, state: ResourceState) -> int:
        self._known[id(state)] = (self._next, state)
        self._next += 1
        return self._next - 1

    def begin(self, operation: PendingOperation) -> int:
        """See ``model.Journal``."""
        number = next(self._operations)
        self._append(
            {"begin": number, "type": operation.type, "resource": encode_resource(operation.resource, self._encrypt)}, durable=True
        )
        return number

    def end(
        self,
        number: int | None,
        *,
        old: ResourceState | None = None,
        new: ResourceState | None = None,
        remove_old: bool = False,
        keep_old: bool = False,
    ) -> None:
        """See ``model.Journal``. A step that was not begun and removes nothing (``same``) is written, and synced with the next one."""
        entry: _Entry = {"end": number}
        same = self._thin and number is None and old is not None and new is not None and not keep_old and _same(old, new)
        if new is not None and not same:
            entry["new"] = encode_resource(new, self._encrypt)
        with self._write_lock:
            if old is not None and (new is not None or remove_old or keep_old):
                entry["old"] = self._number(old)
            if old is not None and keep_old:
                entry["keep"] = {key: True for key, value in _halves(old).items() if value}
            if new is not None:
                entry["id"] = self._enter(new)
        self._append(entry, durable=number is not None or remove_old or keep_old)

    def rebase(self, resources: list[ResourceState]) -> None:
        """See ``model.Journal``."""
        encoded = [encode_resource(state, self._encrypt) for state in resources]
        with self._write_lock:
            start = self._next
            for state in resources:
                self._enter(state)
        self._append({"rebase": start, "resources": encoded}, durable=True)

    def fail(self, number: int) -> None:
        """See ``model.Journal``."""
        self._append({"fail": number}, durable=True)

    def outputs(self, resource: ResourceState) -> None:
        """See ``model.Journal``; synced with the next entry, since the next run registers the same outputs again."""
        self._append(
            {"outputs": self._number(resource), "value": encode_value(resource.outputs or {}, self._encrypt)}, durable=False
        )

    def close(self, checkpoint: bytes) -> None:
        """Says that ``checkpoint`` is about to replace what this journal is about; call ``discard`` once it has."""
        self._append({"finish": digest(checkpoint)}, durable=True)
        self._file.close()

    def discard(self) -> None:
        """Removes the journal's file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class NoJournal:
    """The journal of a preview: nothing is kept."""

    def begin(self, operation: PendingOperation) -> int:
        """See ``model.Journal``."""
        return 0

    def end(
        self,
        number: int | None,
        *,
        old: ResourceState | None = None,
        new: ResourceState | None = None,
        remove_old: bool = False,
        keep_old: bool = False,
    ) -> None:
        """See ``model.Journal``."""

    def rebase(self, resources: list[ResourceState]) -> None:
        """See ``model.Journal``."""

    def fail(self, number: int) -> None:
        """See ``model.Journal``."""

    def outputs(self, resource: ResourceState) -> None:
        """See ``model.Journal``."""


def read(path: Path) -> list[_Entry]:
    """The entries of a journal that was left behind; what was cut short at its end was never finished and is left out."""
    entries: list[_Entry] = []
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    for line in lines[:-1]:
        try:
            entry = json.loads(line)
        except ValueError:
            break
        if not isinstance(entry, dict):
            break
        entries.append(entry)
    return entries


def belongs(entries: list[_Entry], checkpoint: bytes) -> bool:
    """Whether the journal is about ``checkpoint`` and not done with it."""
    return bool(entries) and entries[0].get("base") == digest(checkpoint)


def done(entries: list[_Entry], checkpoint: bytes) -> bool:
    """Whether ``checkpoint`` already holds all of the journal."""
    return not entries or any(entry.get("finish") == digest(checkpoint) for entry in entries[-1:])


def fold(deployment: dict[str, Any], entries: list[_Entry]) -> dict[str, Any]:
    """The deployment with the journal's entries carried out: what this run finished first, then what it did not reach."""
    base: dict[int, _Entry] = {number: dict(item) for number, item in enumerate(deployment.get("resources") or [])}
    news: dict[int, _Entry] = {}
    pending: dict[int, _Entry] = {}
    for entry in entries:
        if "begin" in entry:
            pending[entry["begin"]] = {"resource": entry["resource"], "type": entry["type"]}
        elif "fail" in entry:
            pending.pop(entry["fail"], None)
        elif "end" in entry:
            pending.pop(entry["end"], None)
            _fold_end(entry, base, news)
        elif "rebase" in entry:
            base, news = dict(enumerate(entry["resources"], entry["rebase"])), {}
        elif "outputs" in entry:
            place = news.get(entry["outputs"]) or base.get(entry["outputs"])
            if place is not None:
                place.pop("outputs", None)
                place.update({"outputs": entry["value"]} if entry["value"] else {})
    resources = _settled(_without_doubles([*news.values(), *base.values()]))
    # As the CLI: only creations stay pending from one run to the next.
    kept = [item for item in deployment.get("pending_operations") or [] if item.get("type") == "creating"]
    parts = {"resources": resources, "pending_operations": kept + list(pending.values())}
    rest = {key: value for key, value in deployment.items() if key not in parts}
    metadata = rest.pop("metadata", {})
    return rest | {key: value for key, value in parts.items() if value} | {"metadata": metadata}


# What a step without a change may alter: where the program says it, which the next run says again. The CLI does not save that either.
_UNIMPORTANT = frozenset({"property_dependencies", "source_position", "stack_trace", "created", "modified"})
_COMPARED = [each.name for each in fields(ResourceState) if each.name not in _UNIMPORTANT]


def _same(old: ResourceState, new: ResourceState) -> bool:
    return all(getattr(old, name) == getattr(new, name) for name in _COMPARED)


def _halves(state: ResourceState) -> dict[str, bool]:
    return {"delete": state.delete, "pendingReplacement": state.pending_replacement}


def _fold_end(entry: _Entry, base: dict[int, _Entry], news: dict[int, _Entry]) -> None:
    if "keep" in entry:
        kept = news.get(entry["old"]) or base.get(entry["old"])
        if kept is not None:
            for key in ("delete", "pendingReplacement"):
                kept.pop(key, None)
            kept.update(entry["keep"])
    elif "old" in entry:
        old = news.pop(entry["old"], None) or base.pop(entry["old"], None)
        if "id" in entry and "new" not in entry and old is not None:
            news[entry["id"]] = old
    if "new" in entry:
        news[entry["id"]] = entry["new"]


def _without_doubles(resources: list[_Entry]) -> list[_Entry]:
    """Marks the older one of two resources of one URN as to be deleted: the run stopped between the halves of a replacement."""
    seen: set[str] = set()
    for item in resources:
        if not item.get("delete"):
            if item["urn"] in seen:
                item["delete"] = True
            seen.add(item["urn"])
    return resources


def _settled(resources: list[_Entry]) -> list[_Entry]:
    """References to resources that the run had taken over under another name, by the new one."""
    if not any(item.get("aliases") for item in resources):
        return resources
    from embedded.engine.snapshots import settle_aliases

    values = ("inputs", "outputs")
    states = [decode_resource({key: value for key, value in item.items() if key not in values}, str) for item in resources]
    settled = [encode_resource(state, None) for state in settle_aliases(states)]
    return [new | {key: old[key] for key in values if key in old} for new, old in zip(settled, resources, strict=True)]
