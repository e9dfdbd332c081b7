"""``run prune``: removes old releases and snapshots of a service."""

from __future__ import annotations

from . import connection as connections
from .channel import Host, words
from .request import number, relative, service
from .snapshot import retention

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``keep``, ``pinned`` (release ids), ``keep_snapshots`` (default: the stack's). Result: ``removed``,
    ``removed_snapshots``."""
    key = service(request)
    connection = connections.load(str(request["stack"]))
    fields = {
        "service": key, "target": relative(request.get("target") or "none", "target"),
        "keep": str(number(request["keep"], "keep", 1, 1000)),
        "pinned": words([relative(name, "pinned") for name in request.get("pinned") or []]),
        **retention(connection),
    }  # fmt: skip
    if "keep_snapshots" in request:
        fields["keep_snapshots"] = str(number(request["keep_snapshots"], "keep_snapshots", 1, 10000))
    reply = Host(connection).call("prune", fields, f"{key}: pruning")
    return {
        "removed": [values[0] for values in reply.all("removed")],
        "removed_snapshots": [values[0] for values in reply.all("removed-snapshot")],
    }
