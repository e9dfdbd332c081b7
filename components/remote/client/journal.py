"""``run journal``: copies of the journals of a stack's runs on the host, for the clones that did not write them."""

from __future__ import annotations

import re

from . import connection as connections
from .channel import Host
from .failure import Failure
from .request import one_of, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ACTIONS = ("put", "list")
MAX_BYTES = 1_000_000
"""Of one journal; as the host program tells them."""


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``action``; for ``put`` also ``id`` (the run's) and ``text`` (the journal as it stands). Result of ``list``: ``runs``: [{id,
    text}], the newest ten, newest first."""
    action = one_of(request["action"], "action", ACTIONS)
    stack = text(request, "stack")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", stack):
        raise Failure(f"The request's stack {stack!r} is not a stack's name.")
    body = b""
    fields = {"stack": stack, "action": action}
    if action == "put":
        if not re.fullmatch(r"\d{8}T\d{9}Z-[0-9a-f]{4}", text(request, "id")):
            raise Failure("The request's id is not that of a run.")
        body = text(request, "text").encode("utf-8", "surrogateescape")
        if len(body) > MAX_BYTES:
            raise Failure(f"The request's text is larger than {MAX_BYTES} bytes.")
        fields |= {"id": request["id"], "bytes": str(len(body))}
    # By the channel that is kept for the lock: a journal is told while eight long steps may be under way.
    reply = Host(connections.load(stack), for_lock=True).call("journal", fields, f"journal of {stack}", body)
    lines: dict[str, list[str]] = {}
    for values in reply.all("line"):
        lines.setdefault(values[0], []).append("\t".join(values[1:]))
    return {"runs": [{"id": name, "text": "\n".join([*told, ""])} for name, told in lines.items()]}
