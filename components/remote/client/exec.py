"""``run exec``: one command in a service's live release, for an operator. Its output is the result's, so it never runs as a resource."""

from __future__ import annotations

from . import connection as connections
from .channel import Host, words
from .request import arguments, number, relative, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``target``, ``command``, ``timeout`` (seconds, default 60), ``secrets`` (bool: the service's variables in its environment).
    Result: ``exit``, ``output`` (its last 2,000 lines)."""
    key = service(request)
    fields = {
        "service": key, "target": relative(request["target"], "target"), "command": words(arguments(request["command"], "command")),
        "timeout": str(number(request.get("timeout", 60), "timeout", 1, 86400)), "secrets": "1" if request.get("secrets") else "0",
    }  # fmt: skip
    reply = Host(connections.load(str(request["stack"]))).call("exec", fields, f"{key}: {fields['command'][:60]}")
    return {"exit": int(reply.first("exit", "1")), "output": "\n".join(reply.output)}
