"""``run databases``: which databases and accounts are there already, asked of the servers as their administrator. Nothing is written."""

from __future__ import annotations

from . import connection as connections
from . import servers
from .failure import Failure
from .request import service, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .connection import Connection


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``services``: [{``service``, ``server``, ``database``, ``user``}].

    Result: ``services.<key>`` = ``exists``, ``account``, ``tables``, ``bytes``, ``history`` (tables of tools that hold something), or
    ``problem``, a sentence, where the server could not be asked."""
    connection = connections.load(str(request["stack"]))
    found: dict[str, dict[str, Any]] = {}
    opened: dict[str, servers.Server | str] = {}
    try:
        for entry in request["services"]:
            key, name = service(entry), text(entry, "server")
            database, user = servers.checked(text(entry, "database")), servers.checked(text(entry, "user"))
            if name not in opened:
                opened[name] = _open(connection, name)
            server = opened[name]
            found[key] = {"problem": server} if isinstance(server, str) else _look(server, database, user)
    finally:
        for one in opened.values():
            if isinstance(one, servers.Server):
                one.close()
    return {"services": found}


def _open(connection: Connection, name: str) -> servers.Server | str:
    try:
        return servers.Server(connection, name)
    except KeyError:
        return f"The stack has no database server {name}."
    except Failure as failure:
        return str(failure)


def _look(server: servers.Server, database: str, user: str) -> dict[str, Any]:
    try:
        account = user in {name.partition("@")[0] for name in server.accounts(user)}
        if not server.has_database(database):
            return {"exists": False, "account": account}
        tables, size, history = server.holds(database)
        return {"exists": True, "account": account, "tables": tables, "bytes": size, "history": history}
    except Failure as failure:
        return {"problem": str(failure)}
