"""One operation on a stack: its lock, snapshot and journal, and what is written when it ends (``model.Session``)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from embedded.model import Journal, NotRecordedError, Snapshot
from embedded.state import journal
from embedded.state.backend import Backend, StackName
from embedded.state.checkpoint import Checkpoint
from embedded.state.encryption import Crypter, salt_of
from embedded.state.errors import StateError
from embedded.values import PropertyMap

# Gives the crypter for an ``encryptionsalt``; raises ``StateError`` where the passphrase is missing or wrong.
Unlock = Callable[[str], Crypter]


@dataclass
class Update:
    """What the history says of an operation beside its result."""

    kind: str
    message: str
    environment: dict[str, str]
    config: dict[str, Any]


def locked_by(unlock: Unlock, checkpoint: Checkpoint) -> Crypter | None:
    """The crypter of the checkpoint's own secrets, ``None`` where it names no secrets manager."""
    salt = salt_of((checkpoint.deployment or {}).get("secrets_providers"))
    return unlock(salt) if salt else None


def read_snapshot(backend: Backend, stack: StackName, unlock: Unlock) -> Snapshot:
    """The stack's decoded state as of now."""
    checkpoint = backend.current(stack)
    return checkpoint.snapshot(_decrypt(locked_by(unlock, checkpoint)))


def read_outputs(backend: Backend, stack: StackName, unlock: Unlock) -> PropertyMap:
    """The outputs of a stack, for a ``StackReference``."""
    roots = [r for r in read_snapshot(backend, stack, unlock).resources if r.type == "pulumi:pulumi:Stack" and not r.delete]
    return (roots[-1].outputs or {}) if roots else {}


def _decrypt(crypter: Crypter | None) -> Callable[[str], str]:
    if crypter:
        return crypter.decrypt

    def refuse(_: str) -> str:
        raise StateError("the state holds secrets but names no secrets manager")

    return refuse


class StackSession:
    """A stack that is open for one operation."""

    def __init__(
        self,
        backend: Backend,
        stack: StackName,
        checkpoint: Checkpoint,
        decrypt: Crypter | None,
        encrypt: Crypter | None,
    ) -> None:
        self._backend, self._stack, self._checkpoint = backend, stack, checkpoint
        self._encrypt = encrypt
        self.snapshot: Snapshot = checkpoint.snapshot(_decrypt(decrypt))
        self.journal: Journal = journal.NoJournal()
        self.started = int(time.time())
        self._update: Update | None = None

    def start(self, update: Update, content: bytes) -> None:
        """Turns the session into one that changes the state: from here on the journal is written."""
        self._update = update
        encrypt = self._encrypt.encrypt if self._encrypt else None
        self.journal = journal.FileJournal(self._backend.journal_path(self._stack), content, self.snapshot, encrypt)

    def finish(self, snapshot: Snapshot, *, result: str, changes: dict[str, int]) -> None:
        """See ``model.Session``. A preview keeps nothing.

        Raises ``StateError`` where the state cannot be written: the journal stays, and the next command goes on from it.
        """
        if self._update is None or not isinstance(self.journal, journal.FileJournal):
            return
        crypter = self._encrypt
        checkpoint = self._checkpoint.updated(
            snapshot, crypter.encrypt if crypter else None, crypter.encryption_salt if crypter else None
        )
        content = checkpoint.text().encode()
        if not self.journal.is_current():
            raise StateError(f"{journal.TAKEN_OVER}: the state is that one's, and nothing was written to it")
        told = self.journal.broken is not None
        with contextlib.suppress(NotRecordedError):
            self.journal.close(content)
        try:
            # Also after the journal broke, since there may be room again: this is all that the run did.
            self._backend.write(self._stack, content)
        except StateError:
            if told:
                return
            raise
        self.journal.discard()
        entry: dict[str, Any] = {
            "kind": self._update.kind,
            "startTime": self.started,
            "message": self._update.message,
            "environment": dict(sorted(self._update.environment.items())),
            "config": self._update.config,
            "version": 0,
            "result": result,
            "endTime": int(time.time()),
            "resourceChanges": dict(sorted(changes.items())),
        }
        self._backend.add_history(self._stack, entry, content)


@contextlib.contextmanager
def open_session(
    backend: Backend, stack: StackName, unlock: Unlock, salt: str | None, update: Update | None
) -> Iterator[StackSession]:
    """Opens the stack: with a journal for an ``update``, whose caller holds the lock; just read where it is ``None`` (a preview).

    ``salt`` is the settings' one, with which the state is encrypted when it is written. A journal that was not finished stays:
    the next command folds what was done.
    """
    content = backend.path(stack).read_bytes() if backend.exists(stack) else b""
    checkpoint = backend.current(stack)
    decrypt = locked_by(unlock, checkpoint)
    encrypt = unlock(salt) if salt else decrypt
    session = StackSession(backend, stack, checkpoint, decrypt, encrypt)
    if update:
        session.start(update, content)
    yield session
