"""Which run of its stack this process belongs to: the host refuses what a run asks that another one has followed."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .channel import Host
    from .connection import Connection

VARIABLE = "MO_LOCK"
"""``<stack> <generation> <id of the lock, or ->``, in the environment of everything that a run starts."""
FILE = "generation"
"""In the stack's state folder: the generation of an engine's run that ``bin/mo`` has not started (components/entering.py)."""


class Run:
    """``generation``: the run's number as digits, empty for a step of no run; ``lock``: the id of the lock that it holds, or empty."""

    __slots__ = ("generation", "lock")

    def __init__(self, generation: str = "", lock: str = "") -> None:
        self.generation, self.lock = generation, lock


def held(connection: Connection) -> Run:
    """The run of ``connection``'s stack that this process belongs to."""
    stack, _, rest = os.environ.get(VARIABLE, "").partition(" ")
    generation, _, lock = rest.partition(" ")
    if stack == connection.stack and _is_number(generation):
        return Run(generation, "" if lock == "-" else lock)
    try:
        with open(f"{connection.folder}/{FILE}", encoding="ascii", errors="replace") as file:
            generation = file.read(100).strip()
    except OSError:
        generation = ""
    return Run(generation) if _is_number(generation) else Run()


def require_latest(host: Host, service: str) -> None:
    """Asks the host whether this process belongs to the stack's latest run, for a change that is not made there, of a database server's
    account say. To be called right before the change. Raises ``Failure`` where another run has followed."""
    fields = {"action": "check", "service": service}
    host.call("lock", fields, f"{service}: asking which run is the latest")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16
