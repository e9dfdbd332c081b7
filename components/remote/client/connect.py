"""``run connect``: opens the SSH master and the SOCKS forward, brings the host programs, and says what it found."""

from __future__ import annotations

from . import connection as connections
from .channel import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``stack``. Result: ``opened`` (this process logged in)."""
    host = Host(connections.load(str(request["stack"])))
    opened = host.master.ensure()
    host.master.forward_socks()
    host.call("env", {"action": "hello"}, "connect")
    return {"host": host.connection.name, "opened": opened}
