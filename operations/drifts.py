"""Where the host differs from what the stack's state says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from catalog.models import Service
from components.facts import Facts


@dataclass(frozen=True)
class Drift:
    """One difference, as a sentence without its service."""

    service: str
    what: str


def of(services: Mapping[str, Service], live: Mapping[str, str], facts: Facts) -> list[Drift]:
    """The differences; none for a service that was never deployed."""
    return [drift for key, entry in services.items() if key in live for drift in _of_service(key, entry, live[key], facts)]


def _of_service(key: str, entry: Service, release: str, facts: Facts) -> Iterator[Drift]:
    known = facts.of(key)
    if known.live != release:
        yield Drift(key, f"{known.live or 'nothing'} is live, where the last update left {release}")
    elif known.releases and release not in known.releases:
        yield Drift(key, f"the live release {release} is no finished release any more; build it again and deploy")
    if entry.database is not None and known.database is False:
        yield Drift(key, f"its database {entry.database.name} is gone; restore it from a snapshot")
