"""The lock of a stack on its host: one deployment at a time, whichever machine, backend or CI run it comes from."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from operations import remote
from operations.deployment import owner as owners
from operations.deployment.owner import Owner
from operations.problem import Problem
from operations.wording import on_one_line

TTL = 180
"""Seconds after its last heartbeat at which a lock expires, by the host's clock."""
BEAT = 30.0
"""Seconds between two heartbeats."""
VARIABLE = "MO_LOCK"
"""In the environment of everything that a run starts: "<stack> <generation> <id of the lock>" (components/remote/client/generation.py). The
host refuses what a run asks of it that another one has followed."""
Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class Holder:
    """Who has, or had, a lock. ``held``: seconds since it was taken; ``quiet``: since the last heartbeat; ``expired``: for too long."""

    id: str
    who: Owner
    purpose: str
    held: int
    quiet: int
    ttl: int
    expired: bool

    def __str__(self) -> str:
        text = f"{self.who}, {self.purpose}, since {_span(self.held)}, last sign of life {_span(self.quiet)} ago"
        return text + (" (expired)" if self.expired else "")

    def plain(self) -> dict[str, Any]:
        """As JSON for ``status``."""
        return {
            "who": str(self.who),
            "run": self.who.run,
            "purpose": self.purpose,
            "heldSeconds": self.held,
            "quietSeconds": self.quiet,
            "expired": self.expired,
        }


def asker(root: Path, stack: str) -> Ask:
    """Asks the host by ``run lock``; the connection must be written. Raises ``Problem``."""

    def ask(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return remote.run(root, stack, "lock", request)

    return ask


def holder(ask: Ask) -> Holder | None:
    """Who has the lock, or left it behind. Raises ``Problem`` where the host cannot be asked."""
    return _holder(ask({"action": "show"}).get("holder"))


def release(ask: Ask, known: Holder) -> bool:
    """Takes the lock of ``known`` away; false where another has it meanwhile. Raises ``Problem``."""
    return bool(ask({"action": "release", "id": known.id}).get("done"))


class HostLock:
    """Use as a context: taken at its begin, renewed by a thread, released at its end, its own alone.

    ``purpose``: what is done, in a few words. ``words`` says whom it followed, where that is worth a word. ``lost`` says how it was lost
    meanwhile: taken away, or taken over when this machine slept or the host was out of reach.
    """

    def __init__(self, ask: Ask, purpose: str, *, who: Owner | None = None, ttl: int = TTL, beat: float = BEAT) -> None:
        self.id = secrets.token_hex(8)
        self.words: str | None = None
        self.on_lost: Callable[[], None] | None = None
        """Called once, from the heartbeat's thread, where the lock is lost: what still runs must end at once."""
        self.lost: str | None = None
        self._ask, self._ttl, self._beat = ask, ttl, beat
        who = who or owners.here()
        self._request = {"id": self.id, "ttl": ttl, "owner": {**who.plain(), "purpose": purpose[:300]}}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beats, name="lock", daemon=True)

    def __enter__(self) -> Self:
        answer = self._ask({"action": "take", **self._request})
        if (other := _holder(answer.get("holder"))) is not None:
            if not owners.is_gone(other.who):
                raise Problem(
                    f"Another one works on this stack: {other}. Wait for it; where you know that it is gone, it expires "
                    f"{_span(max(0, other.ttl - other.quiet))} from now, or take its lock away: bin/mo unlock."
                )
            answer = self._ask({"action": "take", "instead": other.id, **self._request})
            if (another := _holder(answer.get("holder"))) is not None:
                raise Problem(f"Another one has just begun to work on this stack: {another}.")
        if not answer.get("done"):
            raise Problem("The host did not say whether the lock was taken; try again.")
        if (before := _holder(answer.get("before"))) is not None:
            self.words = (
                f"The lock of {before} was taken over: its process is gone."
                if not before.expired
                else (f"The expired lock of {before} was taken over.")
            )
        generation, stack = answer.get("generation"), answer.get("stack")
        if isinstance(generation, int) and isinstance(stack, str):
            os.environ[VARIABLE] = f"{stack} {generation} {self.id}"
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        self._thread.join(self._beat)
        os.environ.pop(VARIABLE, None)
        try:
            self._ask({"action": "release", "id": self.id})
        except Problem as problem:
            if error is None:
                self.words = f"The lock could not be released and expires in {self._ttl} s: {problem}"

    def check(self, *, ask: bool = False) -> None:
        """Raises ``Problem`` where the lock was taken over or away, as the last heartbeat told, or where ``ask`` the host itself."""
        if ask and self.lost is None:
            self.renew()
        if self.lost is not None:
            raise Problem(f"{self.lost} This run stops here; bin/mo status tells what it leaves.")

    def renew(self) -> None:
        """One heartbeat. A host out of reach says nothing of the lock: the next beat tries again."""
        try:
            answer = self._ask({"action": "renew", **self._request})
        except Problem:
            return
        if not answer.get("done"):
            other = _holder(answer.get("holder"))
            self.lost = (
                f"This run has lost its lock to {other}: it was taken away (bin/mo unlock), or gave no sign of life for too long."
                if other
                else "This run has lost its lock: somebody has taken it away (bin/mo unlock)."
            )

    def _beats(self) -> None:
        while not self._end.wait(self._beat) and self.lost is None:
            self.renew()
        if self.lost is not None and self.on_lost is not None:
            self.on_lost()


def _holder(found: Any) -> Holder | None:
    if not isinstance(found, Mapping):
        return None
    said = found.get("owner")
    purpose = said.get("purpose") if isinstance(said, dict) else None
    text = on_one_line(purpose).strip() if isinstance(purpose, str) else ""

    def number(key: str) -> int:
        value = found.get(key)
        return value if isinstance(value, int) else 0

    return Holder(
        str(found.get("id")),
        owners.read(said),
        text or "for a purpose that it does not say",
        number("held"),
        number("quiet"),
        number("ttl"),
        found.get("state") == "expired",
    )


def _span(seconds: int) -> str:
    """Seconds as a person says them."""
    if seconds < 120:
        return f"{max(0, seconds)} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} days"
