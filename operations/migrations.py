"""A service's migrations as an operator looks at them: what is applied, what a deploy would apply, and one step back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog import manifest as manifests
from catalog.models import Migration, Service
from catalog.settings import StackSettings
from components import facts, schema
from components.facts import ServiceFacts
from components.release import probe
from components.remote.client import decide
from components.schema import migration_file
from operations import drifts, remote
from operations.problem import Problem

TIMEOUT = 7200 + 3600
"""Seconds for a step back: the longest time limit of a migration, and a snapshot with its restore."""

_NO_WAY_BACK = {
    "prisma": "Prisma has no step back",
    "drush": "drush (Drupal, CiviCRM) has no step back",
    "command": "the commands that migrate this service have no step back",
}


@dataclass(frozen=True)
class Known:
    """What is known of a service's migrations. ``pending``: of the artefact in ``dist/``, ``None`` where only running the tool can tell or
    there is no artefact; ``artefact``: its release; ``needed_by``: the live release, where the last
    applied migration is one of its own; ``resumes``: the half-applied one is under way, or goes on by itself; ``refusal``: why the host
    will refuse the artefact, ``None`` where it will not."""

    kind: str
    mode: str
    schema: str | None
    applied: tuple[str, ...] | None
    pending: tuple[str, ...] | None
    artefact: str | None
    half_applied: str | None
    needed_by: str | None = None
    resumes: bool = False
    refusal: str | None = None

    @property
    def last(self) -> str | None:
        """The last migration that is applied, where the tool tells them one by one."""
        return self.applied[-1] if self.applied else None


def declared(service: str, entry: Service) -> Migration:
    """How the service migrates. Raises ``Problem`` where it does not."""
    if entry.steps.migrate is None or entry.database is None:
        raise Problem(f"Service {service} has no migrations (catalog/services.yaml, steps.migrate).")
    return entry.steps.migrate


def missing(root: Path, stack: str, host: str, service: str, entry: Service) -> tuple[str, ...]:
    """What the database lacks of the live release's migrations; asks the host. Raises ``Problem``."""
    return drifts.missing_migrations(entry, _asked(root, stack, host, service, entry))


def _asked(root: Path, stack: str, host: str, service: str, entry: Service) -> ServiceFacts:
    try:
        return facts.RunFacts(root)(facts.request(stack, host, {service: entry}, {})).of(service)
    except facts.FactsError as error:
        raise Problem(str(error)) from None


def look(root: Path, stack: str, host: str, service: str, entry: Service) -> Known:
    """Asks the host. Raises ``Problem``."""
    migrate = declared(service, entry)
    known = _asked(root, stack, host, service, entry)
    try:
        built = manifests.load(root / "dist" / service / "manifest.json")
    except (OSError, ValueError):
        built = None
    decided = schema.decision(known, built, entry, root / "dist" / service) if built else None
    half = known.half_applied
    last = known.applied[-1] if known.applied else None
    return Known(
        migrate.kind,
        migrate.mode,
        known.schema_version,
        known.applied,
        schema.lacking(known, built, entry) if built else None,
        built.release if built else None,
        half.name if half else None,
        known.live if known.manifest and last in known.manifest.migrations else None,
        bool(half and half.resumes),
        decided.refusal.text if decided and decided.refusal else None,
    )


def down(root: Path, stack: str, settings: StackSettings, service: str, entry: Service, migration: str | None) -> dict[str, Any]:
    """Takes ``migration``, the last one applied, back. Raises ``Problem``, also where the tool has no step back."""
    migrate = declared(service, entry)
    refuse_without_way_back(service, entry)
    assert entry.database is not None
    request = {
        "service": service,
        "target": entry.path,
        "migrate": {"kind": migrate.kind, "mode": migrate.mode, "timeout": migrate.timeout, "directory": migrate.directory},
        "schema": {"query": entry.schema_query} if entry.schema_query else None,
        "database": {"engine": entry.database.engine, "name": entry.database.name},
        "probe": probe(entry, settings.domain),
        "migration": migration,
    }
    return remote.run(root, stack, "down", request, timeout=TIMEOUT)


def baseline(root: Path, stack: str, service: str, entry: Service, name: str) -> dict[str, Any]:
    """Records the migrations of the artefact in ``dist/`` up to ``name`` as applied; none is run. Raises ``Problem``."""
    migrate = declared(service, entry)
    assert entry.database is not None
    if migrate.kind not in decide.BY_NAME:
        raise Problem(
            f"{service}: {migrate.kind} keeps a history of its own in the database, and needs no baseline; bin/mo deploy lets it decide."
        )
    try:
        built = manifests.load(root / "dist" / service / "manifest.json")
    except (OSError, ValueError):
        raise Problem(
            f"dist/ holds no artefact of {service}, whose migrations would be recorded: bin/mo build {service}."
        ) from None
    if name not in built.migrations:
        known = ", ".join(built.migrations) or "none"
        raise Problem(f"{service} has no migration {name} in {built.release}. There are: {known}.", 2)
    names = [name] if migrate.kind == "alembic" else built.migrations[: built.migrations.index(name) + 1]
    sums = {file.path: file.sha256 for file in built.files}
    records = [[one, sums.get(migration_file(migrate.kind, migrate.directory, one), "")] for one in names]
    database = {"engine": entry.database.engine, "name": entry.database.name}
    request = {"service": service, "database": database, "kind": migrate.kind, "records": records}
    return remote.run(root, stack, "baseline", request, timeout=300)


def refuse_needed(service: str, known: Known, *, although: bool) -> None:
    """Raises ``Problem`` where the live release came with the last applied migration, unless the operator says ``although``."""
    if known.needed_by and not although:
        raise Problem(
            f"{service}'s live release {known.needed_by} came with {known.last}, and may fail without it. The code first: bin/mo rollback "
            f"--only {service} --reason '…'; or say --although-needed."
        )


def refuse_without_way_back(service: str, entry: Service) -> None:
    """Raises ``Problem`` where the service's tool has no step back, with the way out."""
    kind = declared(service, entry).kind
    if kind in _NO_WAY_BACK:
        raise Problem(
            f"{service}: {_NO_WAY_BACK[kind]}. The way out is the snapshot that was made before the migration: bin/mo rollback --only "
            f"{service} --reason '…', then bin/mo snapshots list {service} and bin/mo snapshots restore {service} NAME."
        )
