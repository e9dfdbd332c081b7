"""``run maintenance``: a person closes a service's site to visitors, opens it again, or asks who closed it."""

from __future__ import annotations

from . import connection as connections
from . import jsontext
from .channel import Host, Reply
from .failure import Failure
from .probe import Probe
from .request import one_of, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ACTIONS = ("on", "off", "status")
WINDOWS = ("switch", "down", "snapshot", "remove")
"""The host programs that close a site while they work."""
MAX_TEXT = 300
"""Characters of a name or a reason."""


def closure(values: list[str]) -> dict[str, Any]:
    """What a host program says of a closed site: ``opened_by`` (the program, ``None``: a person), ``since`` (UTC, or ``None``), ``who`` and
    ``why`` (of a person who used this step)."""
    by, since, note = [*values, "", "", ""][:3]
    try:
        said = jsontext.loads(note)
    except (ValueError, RecursionError):
        said = None
    said = said if isinstance(said, dict) else {}
    texts = {key: str(said[key])[:MAX_TEXT] if isinstance(said.get(key), str) and said[key] else None for key in ("who", "why")}
    return {"opened_by": by if by in WINDOWS else None, "since": since or None, **texts}


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``service``, ``action``, for ``on`` also ``who``, ``why`` and ``probe``. Result: ``changed``, ``closed`` (as ``closure``, or
    ``None`` where the site is open). Where the web server goes on serving a site that was closed, it is opened again. Raises
    ``Failure``."""
    key, action = service(request), one_of(request["action"], "action", ACTIONS)
    host = Host(connections.load(str(request["stack"])))
    note = {name: str(request.get(name) or "")[:MAX_TEXT] for name in ("who", "why")}
    probe = Probe(request["probe"], host.connection.edge, None) if action == "on" else None
    reply = _call(host, key, action, jsontext.dumps(note, sort_keys=True))
    if probe is not None and (wrong := probe.open_to_visitors()) is not None:
        if reply.all("changed"):
            _call(host, key, "off", "")
        raise Failure(
            f"{key}: the site cannot be closed: {wrong}; nothing was changed. The web server needs the rule of docs/runbook.md (Once, for "
            "a service that migrates offline)."
        )
    told = reply.all("maintenance")
    return {"changed": bool(reply.all("changed")), "closed": closure(told[0]) if told else None}


def _call(host: Host, key: str, action: str, note: str) -> Reply:
    return host.call("maintenance", {"service": key, "action": action, "note": note}, f"{key}: maintenance {action}")
