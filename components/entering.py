"""An update that ``bin/mo`` has not begun, and so holds no lock: it takes the stack's next generation before it changes anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.component import PROTOCOL
from components.facts import FactsError, run_step

LOCK = "MO_LOCK"
"""What ``bin/mo`` gives the engine that it starts: stack, generation, id of its lock (components/remote/client/generation.py)."""
FILE = "generation"
"""In the stack's state folder: the generation of an update without a lock, for its steps (the same)."""


@dataclass(frozen=True)
class Entering:
    """Called before the first step of an update. One without a lock (plain ``pulumi up``) takes the stack's next generation: once another
    run follows, the host refuses its steps. A preview takes none.

    Raises ``FactsError`` where a run of ``bin/mo`` holds the lock.
    """

    project: Path
    stack: str
    environment: Mapping[str, str]

    def __call__(self, host: str) -> None:
        """``host``: its name."""
        if not pulumi.runtime.is_dry_run() and self.environment.get(LOCK, "").partition(" ")[0] != self.stack:
            self._enter(host)

    def _enter(self, host: str) -> None:
        asked = {"protocol": PROTOCOL, "stack": self.stack, "host": host, "action": "enter"}
        try:
            answer = json.loads(run_step(self.project, "lock", asked))
            generation, holder = answer["generation"], answer["holder"]
        except (ValueError, KeyError, TypeError):
            raise FactsError(f"The host {host} did not say which generation this update is; try again.") from None
        if holder is not None or not isinstance(generation, int):
            owner = holder.get("owner") if isinstance(holder, dict) else None
            who = f"{owner.get('user')}@{owner.get('machine')}" if isinstance(owner, dict) else "somebody"
            raise FactsError(
                f"A run of {who!a} holds the lock of {self.stack}; nothing was changed. Wait for it (bin/mo status --stack {self.stack}), "
                f"or, if that run was killed, release its lock (bin/mo unlock --stack {self.stack}) and try again."
            )
        try:
            (self.project / ".mo" / self.stack / FILE).write_text(f"{generation}\n")
        except OSError as error:
            raise FactsError(f"{error.filename} cannot be written: {error.strerror}; nothing was changed.") from None
