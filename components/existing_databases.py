"""Databases and accounts that were on a managed server before: recognised before the plan, and taken over unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from catalog.models import Service
from catalog.settings import ServerSettings
from components.component import PROTOCOL
from components.facts import ExistingDatabase, Facts, FactsError, ServiceFacts, run_step

Look = Callable[[Mapping[str, Any]], Mapping[str, "Answer"]]
"""Asks the servers: the request of ``databases`` to its answer by service. Raises ``FactsError``."""
HISTORY = {"sql": "schema_version", "alembic": "alembic_version", "prisma": "_prisma_migrations"}


class Answer(BaseModel):
    """What one service's server said: ``database``, or ``problem`` where it could not be asked."""

    model_config = ConfigDict(frozen=True)
    database: ExistingDatabase | None = None
    problem: str | None = None


def run_look(project: Path) -> Look:
    """Asks by ``components/remote/run databases``."""

    def look(request: Mapping[str, Any]) -> Mapping[str, Answer]:
        return parse(run_step(project, "databases", request))

    return look


def parse(text: str) -> dict[str, Answer]:
    """The answer of ``run databases``. Raises ``FactsError``."""

    class Whole(BaseModel):
        services: dict[str, dict[str, Any]]

    try:
        told = Whole.model_validate_json(text).services
        return {
            key: Answer(problem=str(entry["problem"]))
            if "problem" in entry
            else Answer(database=ExistingDatabase.model_validate(entry))
            for key, entry in told.items()
        }
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the answer"
        raise FactsError(f"The answer to the question for databases cannot be read: {where}: {first['msg']}.") from None


def added(
    stack: str, services: Mapping[str, Service], servers: Mapping[str, ServerSettings], known: Facts, look: Look | None
) -> tuple[Facts, list[str]]:
    """``known`` with what the managed servers hold for services whose own account could not be used, and a sentence for each server that
    could not be asked. A service whose database answers its account has nothing to be taken over: its state knows it."""
    asked = {
        key: {"service": key, "server": entry.database.server, "database": entry.database.name, "user": entry.database.user}
        for key, entry in services.items()
        if entry.database is not None
        and servers[entry.database.server].provision == "managed"
        and known.of(key).database is not True
    }
    if not asked or look is None:
        return known, []
    told = look({"protocol": PROTOCOL, "stack": stack, "services": list(asked.values())})
    found = {key: _with(known.of(key), answer.database, services[key]) for key, answer in told.items() if answer.database}
    return (
        known.model_copy(update={"services": {**known.services, **found}}),
        list(dict.fromkeys(answer.problem for answer in told.values() if answer.problem)),
    )


def _with(known: ServiceFacts, existing: ExistingDatabase, entry: Service) -> ServiceFacts:
    if not existing.exists:
        return known.model_copy(update={"existing": existing, "database": False})
    kind = entry.steps.migrate.kind if entry.steps.migrate else None
    update: dict[str, Any] = {"existing": existing, "tables": existing.tables, "database_bytes": existing.bytes}
    # What a tool has recorded the service's own account will tell; that it has recorded nothing is known already.
    if kind in HISTORY and HISTORY[kind] not in existing.history and "_mo_progress" not in existing.history:
        update |= {"history": (), "applied": ()}
    return known.model_copy(update=update)
