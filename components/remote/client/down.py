"""``run down``: takes the last applied migration back, where its tool can (plain SQL with a ``.down.sql`` file, Alembic)."""

from __future__ import annotations

import os

from . import connection as connections
from .channel import Host, Reply
from .probe import Probe
from .request import number, one_of, relative, service, text
from .snapshot import retention

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``target``, ``migrate``, ``schema``, ``database``, ``probe`` as of ``switch``; ``migration``: the one that is to be taken
    back (refused where another is the last).

    Result: ``undone``, ``schema`` (the migration before it or ``null``), ``release``, ``snapshot``, ``notes``."""
    key = service(request)
    migrate, database, schema = request["migrate"], request["database"], request.get("schema") or {}
    connection = connections.load(str(request["stack"]))
    probe, token = Probe(request["probe"], connection.edge, None), os.urandom(16).hex()
    fields = {
        "service": key, "target": relative(request["target"], "target"),
        "kind": one_of(migrate["kind"], "migrate.kind", ("sql", "alembic")),
        "mode": one_of(migrate["mode"], "migrate.mode", ("online", "offline")),
        "directory": relative(migrate.get("directory") or "migrations", "migrate.directory"),
        "timeout": str(number(migrate.get("timeout", 600), "migrate.timeout", 1, 86400)), "schema": str(schema.get("query") or ""),
        "db_name": text(database, "name"), "migration": str(request.get("migration") or ""), "token": token, **retention(connection),
    }  # fmt: skip

    def answer(line: str, values: list[str], reply: Reply) -> str | None:
        return probe.shut(token) if line == "probe" else None

    reply = Host(connection).call("down", fields, f"{key}: one migration back", answer=answer)
    undone, before, release = next(iter(reply.all("undone")))
    return {
        "undone": undone, "schema": None if before == "-" else before, "release": release, "snapshot": reply.first("made"),
        "recovered": [values[0] for values in reply.all("recovered")],
        "notes": [values[0] for key in ("note", "left-alone") for values in reply.all(key)],
        "steps": reply.steps,
    }  # fmt: skip
