"""``run snapshot``: lists, makes, pins and restores snapshots of a service's database, for an operator."""

from __future__ import annotations

import json

from . import connection as connections
from .channel import Host
from .failure import Failure
from .request import one_of, relative, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``action`` (``list``, ``make``, ``pin``, ``unpin``, ``restore``), ``name`` (of a snapshot), ``target``, ``schema`` (query).
    Result: ``snapshots`` of ``list``; ``made``: the snapshot that ``make`` made, or the fresh one before ``restore``."""
    key = service(request)
    action = one_of(request.get("action", "list"), "action", ("list", "make", "pin", "unpin", "restore"))
    name = relative(request["name"], "name") if action in ("pin", "unpin", "restore") else ""
    if "/" in name:
        raise Failure(f"The request's name {name!r} is not a snapshot's name.")
    schema = request.get("schema")
    fields = {
        "service": key, "action": action, "name": name, "target": relative(request.get("target") or "none", "target"),
        "schema": str((schema.get("query") if isinstance(schema, dict) else schema) or ""),
    }  # fmt: skip
    reply = Host(connections.load(str(request["stack"]))).call("snapshot", fields, f"{key}: snapshot {action}")
    snapshots = [{**json.loads(text), "pinned": pinned == "true"} for pinned, text in reply.all("snapshot")]
    return {"action": action, "snapshots": snapshots, "made": reply.first("made") or None, "steps": reply.steps}
