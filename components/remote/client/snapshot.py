"""``run snapshot``: lists, makes, pins, verifies and restores snapshots of a service's database, for an operator."""

from __future__ import annotations

import os

from . import connection as connections
from . import jsontext
from .channel import Host
from .failure import Failure
from .request import one_of, relative, service, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .channel import Reply
    from .connection import Connection

ACTIONS = ("list", "make", "pin", "unpin", "verify", "window", "restore")


def retention(connection: Connection) -> dict[str, str]:
    """How many snapshots of a service stay, and how many megabytes of them."""
    return {"keep_snapshots": str(connection.keep_snapshots), "snapshot_mb": str(connection.snapshot_megabytes)}


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``action``, ``name`` (of a snapshot), ``target``, ``schema`` (query); for ``verify`` and ``restore`` also ``server``,
    ``database``, ``user`` (where the test restore may be made) and ``unverified`` (bool: restore without one); for ``restore`` and
    ``window`` (would the site be closed?) ``probe`` and ``runtime`` as of ``switch``, and ``site_open`` (bool: restore although it is not).

    Result: ``snapshots`` of ``list`` (``damaged`` where a manifest is not whole); ``made``: the snapshot that ``make`` made, or the fresh
    one before ``restore``; ``verified``: the rows of each table as the test restore counted them, or ``null``; ``notes``."""
    key = service(request)
    action = one_of(request.get("action", "list"), "action", ACTIONS)
    name = relative(request["name"], "name") if action in ("pin", "unpin", "verify", "restore") else ""
    if "/" in name:
        raise Failure(f"The request's name {name!r} is not a snapshot's name.")
    schema = request.get("schema")
    connection = connections.load(str(request["stack"]))
    token = os.urandom(16).hex()
    fields = {
        "service": key, "action": action, "name": name, "target": relative(request.get("target") or "none", "target"),
        "schema": str((schema.get("query") if isinstance(schema, dict) else schema) or ""), "scratch": "", "token": token,
        "site_open": "yes" if request.get("site_open") else "",
        "external": "yes" if request.get("runtime") == "external" else "", **retention(connection),
    }  # fmt: skip
    host = Host(connection)
    answer = looking(request["probe"], connection, token) if action in ("window", "restore") else None
    tested: Reply | None = None
    if action == "verify" or (action == "restore" and not request.get("unverified")):
        tested = verify(host, request, fields)
    reply = tested if action == "verify" and tested else host.call("snapshot", fields, f"{key}: snapshot {action}", answer=answer)
    snapshots = [
        {**manifest(line, name), "pinned": pinned == "true", "verified": at or None}
        for name, pinned, at, line in reply.all("snapshot")
    ]
    said = [*(tested.all("note") if tested and tested is not reply else []), *reply.all("note")]
    return {
        "action": action, "snapshots": snapshots, "made": reply.first("made") or None, "verified": rows(tested),
        "notes": [values[0] for values in said], "steps": reply.steps,
    }  # fmt: skip


def manifest(line: str, name: str) -> dict[str, Any]:
    """What a snapshot's manifest says; of one that is not whole its name, and that it is ``damaged``."""
    try:
        found = jsontext.loads(line)
    except (ValueError, RecursionError):
        found = None
    whole = isinstance(found, dict) and found.get("name") == name and isinstance(found.get("sha256"), str)
    return found if whole else {"name": name, "damaged": True}


def looking(raw: dict[str, Any], connection: Connection, token: str) -> Callable[[str, list[str], Reply], str | None]:
    """What answers the host program's question whether the site is closed; ``token``: of the probe that is let in."""
    from .probe import Probe

    probe = Probe(raw, connection.edge, None)

    def answer(line: str, values: list[str], reply: Reply) -> str | None:
        return probe.shut(token) if line == "probe" else None

    return answer


def verify(host: Host, request: dict[str, Any], fields: dict[str, str]) -> Reply:
    """Restores the snapshot ``fields["name"]`` into a scratch database and compares it with its manifest. Raises ``Failure``."""
    from .servers import may_administer, scratch

    server, database, user = request.get("server"), text(request, "database"), text(request, "user")
    what = f"{fields['service']}: snapshot verify"
    try:
        with scratch(host.connection, server, database, user) as name:
            return host.call("snapshot", {**fields, "action": "verify", "scratch": name}, what)
    except Failure as failure:
        if "cannot be used by" in str(failure) and not may_administer(host.connection, server):
            raise Failure(
                f"{failure}; make the database {database}_verify in the hoster's panel, with all rights for {user}, "
                "so that snapshots can be tested there, or go on without the test (--unverified)"
            ) from None
        raise


def rows(reply: Reply | None) -> dict[str, int] | None:
    """Table → rows, as a test restore counted them."""
    found = reply.all("verified") if reply else []
    if not found:
        return None
    counted: dict[str, int] = jsontext.loads("{" + found[-1][1] + "}")
    return counted
