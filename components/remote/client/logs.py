"""``run logs``: what the host wrote about a service: the deployment log, the last log of a tool, its process's output, the error log."""

from __future__ import annotations

from . import connection as connections
from .channel import Host, Reply
from .facts import ask
from .request import number, relative, service, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCRIPT = ("common", "deployment-log", "logs")


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``lines``; ``service``, ``target``, ``domain``, or none of the three. Result: ``deployments`` (lines of the deployment
    log, of all without a service), ``log`` (name of the last log of a tool, or ``None``), ``lines`` (of that), ``output`` (name of the
    file with the process's own output, or ``None``), ``output_lines`` (of that), ``errors`` (entries)."""
    host = Host(connections.load(str(request["stack"])))
    fields = {"root": host.connection.root, "lines": str(number(request["lines"], "lines", 1, 2000)), "service": ""}
    if request.get("service") is not None:
        fields |= {
            "service": service(request), "target": relative(request["target"], "target"), "domain": text(request, "domain"),
        }  # fmt: skip
    reply = ask(host, SCRIPT, fields, "logs")
    return {
        "host": host.connection.name, "deployments": _lines(reply, "deployed"), "log": reply.first("log") or None,
        "lines": _lines(reply, "line"), "output": reply.first("output") or None, "output_lines": _lines(reply, "output-line"),
        "errors": _lines(reply, "error"),
    }  # fmt: skip


def _lines(reply: Reply, key: str) -> list[str]:
    return ["\t".join(values) for values in reply.all(key)]
