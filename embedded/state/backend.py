"""The file backend: which stacks there are, their checkpoints, backups, history and tags, at the places where the CLI looks for them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.state import files, journal, locks
from embedded.state.checkpoint import MAGIC, VERSION, Checkpoint, now, parse
from embedded.state.errors import NotSupportedError, StackNotFoundError, StateError

_NAME = re.compile(r"[A-Za-z0-9._-]")
ORGANIZATION = "organization"


@dataclass(frozen=True)
class StackName:
    """A stack of a project. Its text is the name alone, as the CLI prints it."""

    project: str
    name: str

    @property
    def qualified(self) -> str:
        """``organization/<project>/<stack>``."""
        return f"{ORGANIZATION}/{self.project}/{self.name}"

    def __str__(self) -> str:
        return self.name


def parse_stack_name(text: str, project: str | None) -> StackName:
    """The stack that ``text`` names: ``dev``, ``project/dev`` or ``organization/project/dev``. Raises ``StateError`` for a bad name."""
    parts = text.split("/")
    if len(parts) == 2 and parts[0] == ORGANIZATION:
        parts = parts[1:]
    elif len(parts) == 3:
        if parts[0] != ORGANIZATION:
            raise StateError(f"organization name must be '{ORGANIZATION}'")
        parts = parts[1:]
    if len(parts) > 2 or not parts[-1]:
        raise StateError("could not parse stack name: expected <stack>, <project>/<stack> or organization/<project>/<stack>")
    name = parts[-1]
    if len(name) > 100:
        raise StateError("a stack name cannot exceed 100 characters")
    for position, character in enumerate(name):
        if not _NAME.match(character):
            raise StateError(
                "a stack name may only contain alphanumeric, hyphens, underscores, or periods: "
                f"invalid character {character!r} at position {position}"
            )
    if name in (".", ".."):
        raise StateError("a stack name may not be '.' or '..'")
    if len(parts) == 2:
        project = parts[0]
    if not project:
        raise StateError("if you're not in a project, the stack's name must be qualified: organization/<project>/<stack>")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", project) or project in (".", ".."):
        raise StateError("a project name may only contain alphanumerics, hyphens, underscores, and periods")
    return StackName(project, name)


class Backend:
    """A state directory. Every path is below ``<directory>/.pulumi``."""

    def __init__(self, url: str) -> None:
        """``url`` is ``file://<directory>``; ``StateError`` when there is no such directory, or it is of another kind."""
        if not url.startswith("file://"):
            raise NotSupportedError(
                f"the backend {url.split('://', maxsplit=1)[0]}://…" if "://" in url else f"the backend {url!r}"
            )
        path = url.removeprefix("file://").split("?")[0]
        self.url = url
        self.directory = Path(os.path.abspath(os.path.expanduser(path or ".")))
        if not self.directory.is_dir():
            reason = "not a directory" if self.directory.exists() else "no such file or directory"
            raise StateError(f'unable to open state directory "{url}": stat {self.directory}: {reason}')
        self.root = self.directory / ".pulumi"
        meta = self.root / "meta.yaml"
        if meta.exists() and meta.read_text(errors="replace").strip() not in ("version: 1", ""):
            raise StateError(
                f"{meta} names a layout of the state that this engine does not know (expected 'version: 1'): the Pulumi CLI does it"
            )

    # -- places

    def path(self, stack: StackName) -> Path:
        """The stack's checkpoint."""
        return self.root / "stacks" / stack.project / f"{stack.name}.json"

    def lock_directory(self, stack: StackName) -> Path:
        """Where the stack's locks are."""
        return self.root / "locks" / ORGANIZATION / stack.project / stack.name

    def journal_path(self, stack: StackName) -> Path:
        """The journal of a run of this engine; only there while it runs, or after it was killed."""
        return self.root / "journals" / stack.project / f"{stack.name}.jsonl"

    def _history(self, stack: StackName) -> Path:
        return self.root / "history" / stack.project / stack.name

    def _backups(self, stack: StackName) -> Path:
        return self.root / "backups" / stack.project / stack.name

    def _tags(self, stack: StackName) -> Path:
        return self.root / "stacks" / stack.project / f"{stack.name}.pulumi-tags"

    # -- stacks

    def exists(self, stack: StackName) -> bool:
        """Whether there is such a stack. Compressed checkpoints are refused by name."""
        path = self.path(stack)
        for ending in (".gz", ".zst"):
            if path.with_name(path.name + ending).exists():
                raise NotSupportedError(f"the compressed checkpoint {path.name}{ending}")
        return path.is_file()

    def stacks(self, project: str | None = None) -> list[StackName]:
        """The stacks of ``project``, or all, in order of name."""
        found = (self.root / "stacks").glob(f"{project or '*'}/*.json")
        return sorted(
            (StackName(p.parent.name, p.stem) for p in found if not p.name.startswith(".")), key=lambda s: (s.project, s.name)
        )

    def lock(self, stack: StackName) -> locks.Lock:
        """A lock on the stack, to be used as a context."""
        return locks.Lock(self.lock_directory(stack))

    def create(self, stack: StackName, salt: str | None) -> None:
        """Adds an empty stack whose secrets are encrypted with ``salt``."""
        if self.exists(stack):
            raise StateError(f"stack '{stack.qualified}' already exists")
        meta = self.root / "meta.yaml"
        if not meta.exists():
            files.write(meta, b"version: 1\n")
        path = self.path(stack)
        with self.lock(stack):
            files.write(path.with_name(path.name + ".bak"), json_line({"version": 0, "checkpoint": {"stack": stack.qualified}}))
            deployment: dict[str, Any] = {"manifest": {"time": now(), "magic": MAGIC, "version": VERSION}}
            if salt:
                deployment["secrets_providers"] = {"type": "passphrase", "state": {"salt": salt}}
            files.write(path, Checkpoint(stack.qualified, deployment | {"metadata": {}}).text().encode())

    def remove(self, stack: StackName) -> None:
        """Removes the stack and its history; its backups stay."""
        path = self.path(stack)
        with self.lock(stack):
            files.write(path.with_name(path.name + ".bak"), path.read_bytes())
            files.remove(path)
            for each in self._history(stack).glob("*"):
                each.unlink()
            files.remove(self._tags(stack))
            self.journal_path(stack).unlink(missing_ok=True)

    def rename(self, old: StackName, new: StackName) -> None:
        """Renames the stack: its URNs, checkpoint, history and tags."""
        if self.exists(new):
            raise StateError(f"stack '{new.qualified}' already exists")
        with self.lock(old):
            content, checkpoint = self._folded(old)
            renamed = Checkpoint(checkpoint.stack, _rename(checkpoint.deployment, old, new), checkpoint.extra)
            files.write(self.path(new), renamed.text().encode())
            path = self.path(old)
            files.write(path.with_name(path.name + ".bak"), content)
            files.remove(path)
            self.journal_path(old).unlink(missing_ok=True)
            for entry in sorted(self._history(old).glob(f"{old.name}-*")):
                target = self._history(new) / (new.name + entry.name.removeprefix(old.name))
                target.parent.mkdir(parents=True, exist_ok=True)
                entry.rename(target)
            if self._tags(old).exists():
                files.move(self._tags(old), self._tags(new))

    # -- checkpoints

    def read(self, stack: StackName) -> tuple[bytes, Checkpoint]:
        """The checkpoint's file as it is, and what it holds. ``StateError`` names the last good backup of an unusable one."""
        if not self.exists(stack):
            raise StackNotFoundError(stack.name)
        path = self.path(stack)
        content = path.read_bytes()
        try:
            return content, parse(content)
        except StateError as problem:
            good = self._last_good(stack)
            hint = f"the last good copy is {good}" if good else "there is no good copy among its backups"
            raise StateError(f"the state {path} {problem}; it was left as it is, and {hint}") from None

    def _last_good(self, stack: StackName) -> Path | None:
        path = self.path(stack)
        backups = [p for p in self._backups(stack).glob(f"{stack.name}.*.json") if p.name.split(".")[-2].isdigit()]
        for candidate in [
            *sorted(backups, key=lambda p: int(p.name.split(".")[-2]), reverse=True),
            path.with_name(path.name + ".bak"),
        ]:
            with contextlib.suppress(StateError, OSError):
                parse(candidate.read_bytes())
                return candidate
        return None

    def current(self, stack: StackName) -> Checkpoint:
        """The state as of now: the checkpoint with the journal of a run that is under way, or was killed."""
        return self._folded(stack)[1]

    def _folded(self, stack: StackName) -> tuple[bytes, Checkpoint]:
        content, checkpoint = self.read(stack)
        entries = journal.read(self.journal_path(stack))
        if journal.belongs(entries, content) and not journal.done(entries, content):
            checkpoint = Checkpoint(checkpoint.stack, journal.fold(checkpoint.deployment or {}, entries), checkpoint.extra)
        return content, checkpoint

    def recover(self, stack: StackName) -> str | None:
        """Folds the journal of a run that was killed into the checkpoint; only with the lock held, or for ``cancel``.

        A journal that is about another state (another engine wrote it since) is set aside; then the answer is a warning that names it.
        """
        path = self.journal_path(stack)
        if not path.exists():
            return None
        content, checkpoint = self.read(stack)
        entries = journal.read(path)
        if journal.belongs(entries, content) and len(entries) > 1 and not journal.done(entries, content):
            folded = (
                Checkpoint(checkpoint.stack, journal.fold(checkpoint.deployment or {}, entries), checkpoint.extra).text().encode()
            )
            self.write(stack, folded)
        elif not journal.done(entries, content) and len(entries) > 1:
            aside = path.with_name(f"{stack.name}.{time.time_ns()}.jsonl")
            path.rename(aside)
            return (
                f"the state was written by another program after this engine had been killed; what the killed run did is in {aside}"
            )
        path.unlink()
        return None

    def write(self, stack: StackName, content: bytes) -> None:
        """Replaces the checkpoint; the one before becomes ``.bak``."""
        path = self.path(stack)
        with contextlib.suppress(FileNotFoundError):
            files.write(path.with_name(path.name + ".bak"), path.read_bytes())
        files.write(path, content)

    def save(self, stack: StackName, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint outside a run (``stack import``, ``cancel``)."""
        self.write(stack, checkpoint.text().encode())

    # -- history

    def add_history(self, stack: StackName, update: dict[str, Any], content: bytes) -> None:
        """Keeps a finished operation, with the checkpoint that it left, and a backup of that."""
        stem = f"{stack.name}-{time.time_ns()}"
        files.write(self._history(stack) / f"{stem}.history.json", json_line(update))
        files.write(self._history(stack) / f"{stem}.checkpoint.json", content)
        files.write(self._backups(stack) / f"{stack.name}.{time.time_ns()}.json", content)

    def history(self, stack: StackName) -> Iterator[dict[str, Any]]:
        """The operations, newest first. Entries that cannot be read are left out."""
        for path in sorted(self._history(stack).glob("*.history.json"), reverse=True):
            with contextlib.suppress(ValueError, OSError):
                entry = json.loads(path.read_bytes())
                if isinstance(entry, dict):
                    yield entry

    # -- tags

    def tags(self, stack: StackName) -> dict[str, str]:
        """The stack's tags."""
        try:
            document = json.loads(self._tags(stack).read_bytes())
            return {str(key): str(value) for key, value in document["tags"].items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StateError(f"{self._tags(stack)} is no file of stack tags") from None

    def set_tags(self, stack: StackName, tags: dict[str, str]) -> None:
        """Replaces the stack's tags."""
        if tags:
            files.write(self._tags(stack), json_line({"version": 1, "tags": dict(sorted(tags.items()))}))
        else:
            files.remove(self._tags(stack))


def json_line(value: Any) -> bytes:
    """Compact JSON in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _rename(value: Any, old: StackName, new: StackName) -> Any:
    """Rewrites the stack's name in every URN, and in the root resource's own name."""
    prefix, root = f"urn:pulumi:{old.name}::{old.project}::", "pulumi:pulumi:Stack::"
    renamed = f"urn:pulumi:{new.name}::{new.project}::"

    def walk(item: Any) -> Any:
        if isinstance(item, str) and item.startswith(prefix):
            rest = item.removeprefix(prefix)
            if rest == f"{root}{old.project}-{old.name}":
                rest = f"{root}{new.project}-{new.name}"
            return renamed + rest
        if isinstance(item, dict):
            return {walk(key): walk(each) for key, each in item.items()}
        return [walk(each) for each in item] if isinstance(item, list) else item

    return walk(value)
