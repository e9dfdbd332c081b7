"""By which rules each service's release is activated and checked, and what the steps on the host have to know of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

from catalog.activation import Activation
from catalog.manifest import Manifest
from catalog.models import Service
from catalog.settings import RollbackSettings
from components.artefacts import Choice, Wishes
from components.facts import Facts
from components.host import write_private

FILE = "activations.json"
"""Beside ``connection.json``: what ``switch`` records on the host. No input of any resource, so that it re-runs nothing."""


@dataclass(frozen=True)
class Rules:
    """``entry``: the catalogue's entry with the rules of the release that is to be live; ``own``: those rules; ``needed``: the
    application secrets without which the release cannot run; ``back``: whether a rollback makes an older release live than the one that is,
    and so runs no migration."""

    entry: Service
    own: Activation
    needed: tuple[str, ...]
    back: bool = False


def rules(
    services: Mapping[str, Service],
    choices: Mapping[str, Choice],
    wished: Wishes,
    known: Facts,
    dist: Path,
    rollback: RollbackSettings | None,
) -> dict[str, Rules]:
    """The rules of every service. A release that was just built has them in its manifest. Any other has those by which it was last live,
    as the host recorded them, else its manifest's, else what the rollback found in the history, else today's catalogue."""
    found: dict[str, Rules] = {}
    for key, entry in services.items():
        choice = choices.get(key)
        if choice is None:
            found[key] = Rules(entry, Activation.of(entry), entry.secrets)
            continue
        folder, recorded = wished.folders.get(key), known.of(key).activation
        given = rollback.activations.get(key) if rollback else None
        if rollback is None and folder is not None and folder.parent == dist:
            own = choice.manifest.activation or recorded
        else:
            own = recorded or choice.manifest.activation or given
        back = rollback is not None and not _newer(choice.manifest, known.of(key).manifest)
        if own is None:
            found[key] = Rules(entry, Activation.of(entry), entry.secrets, back)
        else:
            needed = entry.secrets if own.secrets is None else own.secrets
            found[key] = Rules(own.applied_to(entry, (link.path for link in choice.manifest.links)), own, needed, back)
    return found


def _newer(release: Manifest, live: Manifest | None) -> bool:
    """Whether a rollback makes a newer release live again: such a release brings its migrations, as in its deploy."""
    return bool(live is not None and live.built_at and release.built_at and release.built_at > live.built_at)


def write(folder: Path, found: Mapping[str, Rules], choices: Mapping[str, Choice]) -> None:
    """Tells the host's steps, in ``folder`` (``.mo/<stack>``): the rules of each release, and whether the update rolls back to it.
    Raises ``pulumi.RunError``."""
    told = {
        key: {
            "release": choice.release,
            "back": found[key].back,
            "activation": found[key].own.model_dump(mode="json"),
        }
        for key, choice in choices.items()
    }
    try:
        write_private(folder / FILE, json.dumps({"version": 1, "services": told}, sort_keys=True) + "\n")
    except OSError as error:
        raise pulumi.RunError(f"{folder / FILE} cannot be written: {error.strerror}.") from None
