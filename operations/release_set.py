"""The release set of an update: which release each service is to run, for the update's configuration and so for the history."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from components import artefacts
from components.artefacts import ArtefactError
from operations.problem import Problem


def live(outputs: Mapping[str, Any]) -> dict[str, str]:
    """The releases that the stack's last update left, from its output ``monitoring``."""
    exported = outputs.get("monitoring")
    services = exported.get("services") if isinstance(exported, dict) else None
    return {s["key"]: s["release"] for s in services or () if isinstance(s, dict) and isinstance(s.get("release"), str)}


def of_artefacts(project: Path, services: Collection[str], only: Collection[str], before: Mapping[str, str]) -> dict[str, str]:
    """The set of a deploy: for the services of ``only`` what ``dist/`` holds, for all others, and for those without an artefact, what is
    live. Raises ``Problem`` for an artefact that cannot be used, and for one of ``only`` that is not there."""
    try:
        built = artefacts.wishes(project, services, None).releases
    except ArtefactError as error:
        raise Problem(str(error)) from None
    absent = sorted(service for service in only if built[service] is None and service not in before)
    if absent and len(only) < len(services):
        raise Problem(f"There is no artefact of {', '.join(absent)} in dist/: build it first: bin/mo build {' '.join(absent)}.")
    chosen = {service: (built[service] if service in only else None) or before.get(service) for service in services}
    return {service: release for service, release in chosen.items() if release}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str | None, str]]:
    """Service → old and new release, for those that differ."""
    return {key: (before.get(key), release) for key, release in after.items() if before.get(key) != release}
