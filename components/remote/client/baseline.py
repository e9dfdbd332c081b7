"""``run baseline``: records migrations as applied to a database that was there before, and runs none."""

from __future__ import annotations

from . import connection as connections
from .channel import Host, words
from .failure import Failure
from .request import one_of, relative, service, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``database`` as of ``switch``, ``kind``, ``records``: [[migration, SHA-256 of its file]] in their order (of Alembic the one
    revision, with an empty digest).

    Result: ``recorded``, ``tables`` (how many the database holds)."""
    key, database = service(request), request["database"]
    records: list[str] = []
    for name, checksum in request["records"]:
        if checksum and (len(checksum) != 64 or not all(c in "0123456789abcdef" for c in checksum)):
            raise Failure(f"The request's records hold {checksum!r}, which is no SHA-256.")
        records += [relative(name, "records"), checksum]
    if not records:
        raise Failure("The request's records are empty; expected at least one migration.")
    fields = {
        "service": key, "kind": one_of(request["kind"], "kind", ("sql", "alembic", "prisma")),
        "db_name": text(database, "name"), "records": words(records),
    }  # fmt: skip
    reply = Host(connections.load(str(request["stack"]))).call("baseline", fields, f"{key}: recording migrations as applied")
    return {
        "recorded": [values[0] for values in reply.all("recorded")], "tables": int(reply.first("tables") or 0), "steps": reply.steps,
    }  # fmt: skip
