"""What is live on the host: asked once for each run, over one connection, at preview and at up. Facts are no inputs of any resource."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from catalog import manifest as manifests
from catalog.activation import Activation
from catalog.manifest import Manifest
from catalog.models import Service
from components.component import PROTOCOL

TIMEOUT = 120
"""Seconds for the whole question."""


class FactsError(Exception):
    """The host could not be asked; the text is the sentence that the host program gave."""


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class HalfApplied(_Read):
    """A migration that an earlier run began and did not end. ``sha256``: of its file then; ``resumes``: the next run goes on by itself."""

    name: str
    sha256: str = ""
    resumes: bool = False


class ExistingDatabase(_Read):
    """What the database's server says of it, asked as its administrator. ``bytes``: ``None`` where the administrator may not know."""

    exists: bool
    account: bool
    tables: int = 0
    bytes: int | None = None
    history: tuple[str, ...] = ()
    """Tables of tools for migrations that hold something."""


class ServiceFacts(_Read):
    """One service on the host. ``None`` means that the host could not tell."""

    live: str | None = None
    """The live release, ``adopted``, or ``None`` where no release is live."""
    at: str | None = None
    """When it became live (UTC)."""
    content: Literal["none", "directory", "link"] | None = None
    """What stands at the service's path."""
    releases: tuple[str, ...] = ()
    """The finished releases."""
    manifest: Manifest | None = None
    """Of the live release, where it is not the one asked for."""
    wanted: Manifest | None = None
    """Of the release asked for, where the host has it and another one is live."""
    attestation: str | None = None
    """The signed statement kept beside the release asked for, where this machine has no artefact of it."""
    digest: str | None = None
    """SHA-256 of the host's manifest of the release asked for, as its file stands there."""
    activation: Activation | None = None
    """The rules by which the release asked for, else the live one, was last activated; ``None`` where that is not recorded, or no longer
    readable."""
    applied: tuple[str, ...] | None = None
    """The migrations that the database has."""
    history: tuple[tuple[str, str, str], ...] | None = None
    """Each entry of the database's history of migrations: name, checksum (may be empty), ``done``, ``failed`` or ``rolled``."""
    begun: HalfApplied | None = None
    """A migration that an earlier run of ours began and did not end."""
    files: dict[str, tuple[str, ...]] = {}
    """Of the release asked for, where the host has it: the checksums under which the file of an applied migration may be recorded."""
    schema_version: str | None = None
    database: bool | None = None
    """Whether the database is there."""
    tables: int | None = None
    """How many tables it holds besides those in which a tool keeps its history of migrations."""
    existing: ExistingDatabase | None = None
    """Asked where the host could not use the service's own account, as before the first deploy."""
    database_bytes: int | None = None
    """What the database holds, with its indexes."""
    snapshot_bytes: int | None = None
    """Of the newest snapshot."""
    snapshot_of: int | None = None
    """What the database held when that one was made."""
    half_applied: HalfApplied | None = None
    """``begun``, or one that the database's history calls failed."""
    reachable: bool | None = None
    """Whether the database takes the service's own account now; ``None`` where that could not be tried (no secrets yet, no client)."""
    interrupted: bool = False
    """Whether a switch, or a step back, has not come to its end: it is at work, or was killed."""
    left_alone: str | None = None
    """What became of a host program that ended by itself, for its client had ended or was silent: a sentence, until the next switch."""
    maintenance: bool = False
    """Whether visitors are answered 503."""
    opened_by: str | None = None
    """The host program that opened this window; ``None`` where a person did."""
    closed_since: str | None = None
    """When visitors began to be answered 503 (UTC)."""
    closed_who: str | None = None
    """Who closed the site by ``bin/mo maintenance on``."""
    closed_why: str | None = None
    lacks: tuple[str, ...] = ()
    """What the host lacks for this service's own steps (a database client, say), as the host programs know it."""

    @field_validator("activation", mode="before")
    @classmethod
    def _readable(cls, value: Any) -> Any:
        # A damaged record must not bar a rollback: the manifest has the same rules.
        try:
            return None if value is None else Activation.model_validate(value)
        except ValidationError:
            return None

    @property
    def recorded(self) -> tuple[tuple[str, str, str], ...] | None:
        """The database's history; by the names alone where only these are known."""
        if self.history is not None or self.applied is None:
            return self.history
        return tuple((name, "", "done") for name in self.applied)

    def manifest_of(self, service: str, release: str) -> Manifest | None:
        """The host's manifest of ``release``, verified by the id; ``None`` where the host did not tell it, or tells another content."""
        return next((m for m in (self.wanted, self.manifest) if m is not None and manifests.is_of(m, service, release)), None)

    @property
    def closed(self) -> bool:
        """Whether a person has closed the site: programs leave their name in its file, or a switch that was cut beside it."""
        return self.maintenance and not (self.opened_by or self.interrupted)


class ServerFacts(_Read):
    """A database server as the host sees it."""

    version: str | None = None


class Facts(_Read):
    """The answer of ``run facts``. Sizes are bytes."""

    services: dict[str, ServiceFacts] = {}
    needs: tuple[str, ...] = ()
    """What the host lacks for every service."""
    programs: dict[str, str | None] | None = None
    """Program → its path on the host, or ``None`` where there is none."""
    free_bytes: int | None = None
    quota_bytes: int | None = None
    """What is left of the account's quota; ``None`` where it has none."""
    size_bytes: int | None = None
    """The account's quota, else the size of its file system."""
    servers: dict[str, ServerFacts] = {}

    def of(self, service: str) -> ServiceFacts:
        """What is known of a service; everything unknown where the host said nothing."""
        return self.services.get(service, ServiceFacts())


class Ask(Protocol):
    """Asks the host: the request of ``facts`` to its answer. Raises ``FactsError``."""

    def __call__(self, request: Mapping[str, Any]) -> Facts: ...


def request(stack: str, host: str, services: Mapping[str, Service], releases: Mapping[str, str | None]) -> dict[str, Any]:
    """What to ask: ``releases`` names the release that each service is to run, where it is known."""
    return {
        "protocol": PROTOCOL,
        "stack": stack,
        "host": host,
        "services": [
            {
                "service": key,
                "target": service.path,
                "release": releases.get(key),
                "database": {"engine": service.database.engine, "name": service.database.name} if service.database else None,
                "migrate": _migrate(service),
                "schema": service.schema_query,
            }
            for key, service in services.items()
        ],
        "programs": sorted(_programs(services.values())),
    }


def _migrate(service: Service) -> dict[str, Any] | None:
    migrate = service.steps.migrate
    return {"kind": migrate.kind, "directory": migrate.directory} if migrate else None


def _programs(services: Iterable[Service]) -> set[str]:
    return {program for service in services for alternatives in needed_programs(service) for program in alternatives}


def needed_programs(service: Service) -> tuple[tuple[str, ...], ...]:
    """The programs that a service asks of the host: those it declares, and those that its steps begin with; of each one's alternatives one.

    The daemon of an ``external`` service is somebody else's: without the program that restarts it, we deploy its files only.
    """
    steps = service.steps
    named: list[tuple[str, ...]] = [(name,) for name in steps.programs]
    if steps.migrate:
        named += [(command[0],) for command in steps.migrate.commands if "/" not in command[0]]
    # Of an external service only the files are ours: where its restart program is absent, the switch says "files only".
    if steps.restart and service.runtime != "external" and not any("/" in command[0] for command in steps.restart.commands):
        named.append(tuple(command[0] for command in steps.restart.commands))
    return tuple(dict.fromkeys(named))


def parse(text: str) -> Facts:
    """The facts in the answer of ``run facts``. Raises ``FactsError``."""
    try:
        return Facts.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the answer"
        raise FactsError(f"The host's answer to the question for facts cannot be read: {where}: {first['msg']}.") from None


@dataclass(frozen=True)
class RunFacts:
    """Asks by ``components/remote/run facts``, as the resources' steps do."""

    project: Path

    def __call__(self, request: Mapping[str, Any]) -> Facts:
        return parse(run_step(self.project, "facts", request))


def run_step(project: Path, step: str, request: Mapping[str, Any]) -> str:
    """What ``components/remote/run`` answers, before any resource is registered. Raises ``FactsError``."""
    try:
        done = subprocess.run(
            ["components/remote/run", step],
            cwd=project,
            input=json.dumps(request, sort_keys=True),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FactsError(f"The host {request.get('host')} did not answer within {TIMEOUT} s; see `bin/mo doctor`.") from None
    except OSError as error:
        raise FactsError(f"components/remote/run cannot be started: {error.strerror}.") from None
    if done.returncode != 0:
        raise FactsError(done.stderr.strip() or f"components/remote/run {step} ended with {done.returncode} and said nothing.")
    return done.stdout
