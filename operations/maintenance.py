"""Sites that are closed to visitors: by whom, since when and why; and a person's own closing and opening of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.models import Service
from components.facts import ServiceFacts
from components.release import probe
from operations import remote
from operations.deployment import owner as owners
from operations.wording import on_one_line


@dataclass(frozen=True)
class Closure:
    """A site that answers 503. ``program``: the host program that closed it, ``None``: a person; ``since``: UTC, where the host tells it;
    ``who``, ``why``: of a person who used ``bin/mo maintenance on``."""

    program: str | None
    since: str | None = None
    who: str | None = None
    why: str | None = None

    def __str__(self) -> str:
        by = f"the step {self.program}" if self.program else self.who or "a person"
        return f"closed by {by}" + (f" since {self.since}" if self.since else "") + (f": {self.why}" if self.why else "")

    def plain(self) -> dict[str, str | None]:
        """As JSON."""
        return {"program": self.program, "since": self.since, "who": self.who, "why": self.why}


def of(known: ServiceFacts) -> Closure | None:
    """How a service is closed, by what the host told; ``None`` where it is open."""
    if not known.maintenance:
        return None
    return _closure(known.opened_by, known.closed_since, known.closed_who, known.closed_why)


def status(root: Path, stack: str, service: str) -> Closure | None:
    """Asks the host. Raises ``Problem``."""
    return _told(remote.run(root, stack, "maintenance", {"service": service, "action": "status"}))


def close(root: Path, stack: str, service: str, entry: Service, domain: str, why: str) -> tuple[Closure | None, bool]:
    """Closes a site, and looks whether visitors see that; how it is closed now, and whether this did it. Raises ``Problem``, also where its
    web server cannot close it, or a step is at work on it."""
    request = {"service": service, "action": "on", "who": owners.here().name, "why": why, "probe": probe(entry, domain)}
    answer = remote.run(root, stack, "maintenance", request)
    return _told(answer), answer.get("changed") is True


def reopen(root: Path, stack: str, service: str) -> bool:
    """Opens a site that a person has closed; whether it was closed. Raises ``Problem``, also where a step has closed it."""
    return remote.run(root, stack, "maintenance", {"service": service, "action": "off"}).get("changed") is True


def _told(answer: Mapping[str, Any]) -> Closure | None:
    told = answer.get("closed")
    if not isinstance(told, dict):
        return None
    return _closure(told.get("opened_by"), told.get("since"), told.get("who"), told.get("why"))


def _closure(*told: Any) -> Closure:
    return Closure(*(on_one_line(text) if isinstance(text, str) and text else None for text in told))
