"""Whether the files of the live releases, and what runs or is read beside them, are those that were deployed: a changed, added or missing
one is a security incident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog.models import Service
from operations import remote

TIMEOUT = 300
"""Seconds for all files of all services."""


@dataclass(frozen=True)
class Difference:
    """One service's live files against its manifest. ``compared`` is false where neither this machine nor the host has the manifest;
    names are at most 50 of each kind, ``count`` is of all."""

    service: str
    compared: bool
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class Beside:
    """What differs beside the releases. ``tool``: names of host programs in ``folder``; ``secrets``: services whose ``secrets.env`` is not
    what was written last; ``environments``: service → digest of its virtual environment, number of differing files, first of them."""

    tool: tuple[str, ...] = ()
    folder: str = ""
    secrets: tuple[str, ...] = ()
    environments: Mapping[str, tuple[str, int, tuple[str, ...]]] = field(default_factory=dict)


def beside(root: Path, stack: str, services: Mapping[str, Service]) -> Beside:
    """Asks the host for all of these services. Needs the connection (``remote.connect``). Raises ``Problem``."""
    places = [{"service": key, "target": entry.path} for key, entry in services.items()]
    answer = remote.run(root, stack, "integrity", {"services": places}, timeout=TIMEOUT)
    tool, found = answer["tool"] or {}, answer["services"]
    return Beside(
        tool=tuple(tool.get("differs") or ()),
        folder=str(tool.get("folder") or ""),
        secrets=tuple(key for key, told in found.items() if told["secrets"] == "changed"),
        environments={
            key: (str(told["venv"]["digest"]), int(told["venv"]["count"]), tuple(told["venv"]["differs"]))
            for key, told in found.items()
            if told["venv"] and told["venv"]["count"]
        },
    )


def request(services: Mapping[str, Service], live: Mapping[str, str]) -> dict[str, Any]:
    """The request of the step ``files``: the services of ``live``, each with the release that it must hold."""
    return {
        "services": [
            {"service": key, "target": entry.path, "release": live[key], "persistent": list(entry.persistent)}
            for key, entry in services.items()
            if key in live
        ]
    }


def compare(root: Path, stack: str, services: Mapping[str, Service], live: Mapping[str, str]) -> dict[str, Difference]:
    """Compares every file of the live releases by content. Needs the connection (``remote.connect``). Raises ``Problem``."""
    answer = remote.run(root, stack, "files", request(services, live), timeout=TIMEOUT)
    found = answer.get("services")
    return {key: difference(key, told) for key, told in found.items()} if isinstance(found, dict) else {}


def difference(service: str, told: Mapping[str, Any]) -> Difference:
    """One service's part of the answer."""
    return Difference(
        service=service,
        compared=told.get("manifest") is not None,
        changed=tuple(told.get("changed") or ()),
        added=tuple(told.get("added") or ()),
        missing=tuple(told.get("missing") or ()),
        count=int(told.get("count") or 0),
    )
