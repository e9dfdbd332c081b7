"""``run mend``: puts the files of a live release back to those of its artefact, each by one rename, while it serves."""

from __future__ import annotations

from . import artefact as artefacts
from . import connection as connections
from .channel import Host
from .request import relative, release, service
from .stage import transfer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``service``, ``release`` (live), ``target``, ``persistent``. What the running site owns and what Python compiled stays.
    Result: ``sent``, bytes; ``notes``: what is kept of what went."""
    key, wanted = service(request), release(request)
    persistent = tuple(relative(path, "persistent") for path in request.get("persistent") or [])
    host = Host(connections.load(str(request["stack"])))
    artefact = artefacts.find(key, wanted)
    artefacts.compare(artefact, key)
    fields = {**host.envelope(), "service": key, "release": wanted, "target": relative(request["target"], "target")}
    kept = (*(name for name in artefacts.RESERVED if name != ".mo-stage"), *persistent)
    reply, sent = transfer(host, artefact, fields, f"{key}: mending {wanted}", "mend", kept)
    return {"release": wanted, "sent": sent, "notes": [values[0] for values in reply.all("note")]}
