"""A service's database snapshots on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.models import Service
from components.release import probe
from operations import remote
from operations.problem import Problem

TIMEOUT = 3600
"""Seconds for a dump or a restore."""


@dataclass(frozen=True)
class Snapshot:
    """``release``: what was live; ``at``: when (UTC, the host's clock); ``before``: the release that was about to be switched to;
    ``bytes``: of the compressed dump; ``schema``: the schema's version."""

    name: str
    before: str | None
    pinned: bool
    bytes: int | None
    schema: str | None
    release: str = ""
    at: str = ""
    verified: str | None = None
    """When a test restore of it succeeded (UTC)."""
    rows: int | None = None
    """In all tables together."""
    damaged: bool = False
    """Its manifest is not whole, so that nothing else of it is known."""


def ask(
    root: Path,
    stack: str,
    service: str,
    entry: Service,
    action: str,
    name: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One action of ``run snapshot``, with ``more`` fields in its request. Raises ``Problem``."""
    database = entry.database
    if database is None:
        raise Problem(f"Service {service} has no database.")
    request = {
        "service": service,
        "target": entry.path,
        "schema": entry.schema_query,
        "action": action,
        "server": database.server,
        "database": database.name,
        "user": database.user,
        **(more or {}),
    }
    return remote.run(root, stack, "snapshot", request if name is None else {**request, "name": name}, timeout=TIMEOUT)


def restore(
    root: Path,
    stack: str,
    service: str,
    entry: Service,
    name: str,
    domain: str,
    *,
    unverified: bool = False,
    site_open: bool = False,
) -> dict[str, Any]:
    """Puts the database back to a snapshot, which is restored into a scratch database first unless ``unverified``. Where the site cannot be
    closed meanwhile nothing is changed, unless ``site_open``. Raises ``Problem``."""
    more = {"unverified": unverified, "site_open": site_open, **_closing(entry, domain)}
    return ask(root, stack, service, entry, "restore", name, more)


def refuse_open(root: Path, stack: str, service: str, entry: Service, domain: str) -> None:
    """Closes the site for a moment and looks whether that holds. Raises ``Problem`` where it does not, as ``restore`` would."""
    ask(root, stack, service, entry, "window", more=_closing(entry, domain))


def _closing(entry: Service, domain: str) -> dict[str, Any]:
    """How it is seen that the site is closed."""
    return {"probe": probe(entry, domain), "runtime": entry.runtime}


def listed(root: Path, stack: str, service: str, entry: Service) -> list[Snapshot]:
    """The snapshots of a service, oldest first. Raises ``Problem``."""
    found = ask(root, stack, service, entry, "list").get("snapshots") or []
    snapshots = [
        Snapshot(
            str(one.get("name")),
            one.get("for"),
            bool(one.get("pinned")),
            one.get("bytes"),
            one.get("schema"),
            str(one.get("release") or ""),
            str(one.get("at") or ""),
            one.get("verified"),
            _rows(one.get("rows")),
            bool(one.get("damaged")),
        )
        for one in found
        if isinstance(one, dict)
    ]
    return sorted(snapshots, key=lambda snapshot: snapshot.name)


def _rows(counted: Any) -> int | None:
    numbers = [number for number in counted.values() if isinstance(number, int)] if isinstance(counted, dict) else []
    return sum(numbers) if isinstance(counted, dict) and len(numbers) == len(counted) else None


def before(release: str, snapshots: Sequence[Snapshot]) -> Snapshot | None:
    """The newest snapshot that was made before ``release`` was switched to."""
    return next((snapshot for snapshot in reversed(snapshots) if snapshot.before == release), None)
