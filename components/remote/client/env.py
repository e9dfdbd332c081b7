"""``run env``: writes a service's ``secrets.env`` on the host."""

from __future__ import annotations

from . import connection as connections
from .channel import Host
from .failure import Failure
from .request import service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``variables``; ``ca``: PEM text that is written beside and named by ``DB_SSL_CA``. Result: ``changed``."""
    key = service(request)
    host = Host(connections.load(str(request["stack"])))
    variables, ca = request["variables"], request.get("ca")
    if ca is not None:
        if not isinstance(ca, str) or "-----BEGIN CERTIFICATE-----" not in ca:
            raise Failure(f"{key}: ca must be certificates in PEM.")
        variables = {**variables, "DB_SSL_CA": f"{host.connection.root}/.deploy/{key}/db-ca.pem"}
    text = render(variables, key)
    certificates = (ca or "").encode()
    fields = {"action": "write", "service": key, "bytes": str(len(text)), "ca_bytes": str(len(certificates))}
    reply = host.call("env", fields, f"{key}: writing secrets.env", body=certificates + text)
    return {"changed": reply.first("changed") == "true"}


def render(variables: object, service_key: str) -> bytes:
    """``NAME='value'`` lines, sorted, each value in single quotes with ``'`` as ``'\\''``: exact for a POSIX shell."""
    if not isinstance(variables, dict):
        raise Failure(f"{service_key}: variables must be an object of names and strings.")
    lines = []
    for name, value in sorted(variables.items()):
        if (
            not name
            or not (name[0].isalpha() or name[0] == "_")
            or not all(c.isascii() and (c.isalnum() or c == "_") for c in name)
        ):
            raise Failure(f"{service_key}: {name!r} is not a name of an environment variable.")
        if not isinstance(value, str):
            raise Failure(f"{service_key}: the value of {name} must be a string, not {type(value).__name__}.")
        if any(c in value for c in "\n\r\0"):
            raise Failure(
                f"{service_key}: the value of {name} holds a line break or NUL, which secrets.env cannot hold; encode it (base64)."
            )
        lines.append(name + "='" + value.replace("'", "'\\''") + "'\n")
    return "".join(lines).encode("utf-8", "surrogateescape")
