"""``run prune``: removes old releases and snapshots of a service."""

from __future__ import annotations

from . import connection as connections
from .channel import Host, words
from .request import number, relative, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``keep``, ``pinned`` (release ids), ``keep_snapshots`` (default 10). Result: ``removed``, ``removed_snapshots``."""
    key = service(request)
    fields = {
        "service": key, "target": relative(request.get("target") or "none", "target"),
        "keep": str(number(request["keep"], "keep", 1, 1000)),
        "pinned": words([relative(name, "pinned") for name in request.get("pinned") or []]),
        "keep_snapshots": str(number(request.get("keep_snapshots", 10), "keep_snapshots", 1, 10000)),
    }  # fmt: skip
    reply = Host(connections.load(str(request["stack"]))).call("prune", fields, f"{key}: pruning")
    return {
        "removed": [values[0] for values in reply.all("removed")],
        "removed_snapshots": [values[0] for values in reply.all("removed-snapshot")],
    }
