"""The rules of releases that an earlier version of this tool built: neither their manifests nor the host have them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from catalog import reader
from catalog.activation import Activation
from catalog.manifest import Manifest
from components.facts import Facts
from operations import release_set
from operations.deployment.here import Here
from operations.problem import Problem

CATALOG = "catalog/services.yaml"


@dataclass(frozen=True)
class FormerRules:
    """``known``: rules to activate releases by, by service; ``notes``: a sentence for each release that has none of its own."""

    known: Mapping[str, Activation]
    notes: tuple[str, ...]

    def to_config(self) -> dict[str, dict[str, object]]:
        """For ``mo:rollback``, where the history keeps them."""
        return {key: rules.model_dump(mode="json") for key, rules in self.known.items()}


def of(here: Here, releases: Mapping[str, str]) -> FormerRules:
    """The rules of those of ``releases`` (by service) that have none of their own: as the state had them when they were live, else as the
    catalogue said when they were built. A host that cannot be asked says so in the update itself, which asks it again."""
    manifests = {key: release_set.manifest_of(here.root, key, release) for key, release in releases.items()}
    silent = {key: release for key, release in releases.items() if (found := manifests[key]) is None or found.activation is None}
    if not silent:
        return FormerRules({}, ())
    try:
        told = here.facts(silent)
    except Problem:
        told = Facts()
    known: dict[str, Activation] = {}
    notes: list[str] = []
    for key, release in silent.items():
        facts = told.of(key)
        manifest = manifests[key] or next((m for m in (facts.wanted, facts.manifest) if m and m.release == release), None)
        if facts.activation is not None or (manifest is not None and manifest.activation is not None):
            continue
        without = f"{key}: the manifest of {release} does not say how it is activated (an earlier version of mo-deploy built it)"
        if (seen := here.rules_seen(key, release)) is not None:
            known[key] = seen
        elif (built := _when_built(here, key, manifest)) is not None:
            known[key] = built
            notes.append(f"{without}; it is activated as the catalogue said at its build: {_told(built)}.")
        else:
            today = Activation.of(here.services[key])
            notes.append(f"{without}; it is activated as today's catalogue says, which may be wrong for it: {_told(today)}.")
    return FormerRules(known, tuple(notes))


def _when_built(here: Here, service: str, manifest: Manifest | None) -> Activation | None:
    """By the catalogue's own history in this clone; ``None`` where that does not reach back, or had no such service."""
    if manifest is None or not manifest.built_at:
        return None
    commit = _git(here, "log", "-1", "--format=%H", f"--before={manifest.built_at}", "--", CATALOG)
    text = _git(here, "show", f"{commit.strip()}:{CATALOG}") if commit and commit.strip() else None
    try:
        entry = reader.parse(text).services.get(service) if text else None
    except reader.CatalogError:
        return None
    return Activation.of(entry) if entry else None


def _git(here: Here, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(here.root), *arguments], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _told(rules: Activation) -> str:
    restart = f", restart {' '.join(rules.restart.command)}" if rules.restart else ""
    persistent = f", persistent {', '.join(rules.persistent)}" if rules.persistent else ""
    return f"health check {rules.health.path}{restart}{persistent}; no migration runs"
