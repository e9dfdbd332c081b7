"""``run env``: writes a service's ``secrets.env`` on the host, and has its running process take it."""

from __future__ import annotations

import time

from . import connection as connections
from . import restart as restarts
from .channel import PATIENCE_SECONDS, Host, Reply
from .failure import Failure
from .probe import Probe
from .request import one_of, relative, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``variables``; ``ca``: PEM text that is written beside and named by ``DB_SSL_CA``, or ``system``: the authorities that the
    host itself trusts, whose file is looked for there; of the release that may be live ``target``, ``strategy``, ``runtime``, ``restart``,
    ``probe``. Result: ``changed``, ``restarted``, ``checked`` (whether the service was asked afterwards), ``notes``."""
    key = service(request)
    host = Host(connections.load(str(request["stack"])))
    variables, ca = request["variables"], request.get("ca")
    if ca == "system":
        # The host puts the file's path in its place.
        variables, ca = {**variables, "DB_SSL_CA": "system"}, None
    elif ca is not None:
        if not isinstance(ca, str) or "-----BEGIN CERTIFICATE-----" not in ca:
            raise Failure(f"{key}: ca must be certificates in PEM, or the word system.")
        variables = {**variables, "DB_SSL_CA": f"{host.connection.root}/.deploy/{key}/db-ca.pem"}
    text = render(variables, key)
    certificates = (ca or "").encode()
    probe = Probe(request["probe"], host.connection.edge, None) if request.get("probe") else None
    fields = {
        "action": "write", "service": key, "bytes": str(len(text)), "ca_bytes": str(len(certificates)),
        "target": relative(request["target"], "target") if request.get("target") else "",
        "strategy": one_of(request.get("strategy", "symlink"), "strategy", ("symlink", "in-place")),
        "runtime": one_of(request.get("runtime", "files"), "runtime", ("files", "php", "process", "external")),
        **restarts.fields(request.get("restart") or {}),
        "probe": "1" if probe else "",
    }  # fmt: skip

    def answer(said: str, values: list[str], _: Reply) -> str | None:
        if said != "probe" or probe is None:
            return None
        what, live = values
        probe.expected = live if live not in ("adopted", "-") else None
        extra = int(fields["budget"])
        wrong = probe.once(time.monotonic() + probe.timeout) if what == "before" else probe.live(extra)
        return "ok" if wrong is None else f"fail {wrong}"

    patience = (int(2 * probe.timeout) if probe else 0) + int(fields["budget"]) + PATIENCE_SECONDS
    reply = host.call("env", fields, f"{key}: writing secrets.env", body=certificates + text, answer=answer, patience=patience)
    return {
        "changed": reply.first("changed") == "true", "restarted": reply.first("restarted") == "true",
        "checked": reply.first("checked") == "true", "left_alone": [values[0] for values in reply.all("left-alone")],
        "notes": [values[0] for values in reply.all("note")],
    }  # fmt: skip


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
