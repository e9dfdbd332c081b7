"""``run lock``: who works on a stack, across machines and backends. The host's clock decides what has expired."""

from __future__ import annotations

import re

from . import connection as connections
from . import jsontext
from .channel import Host
from .failure import Failure
from .request import number, one_of, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ACTIONS = ("take", "renew", "release", "show", "enter")
MAX_OWNER = 4000
"""Characters of what a holder says of itself, as JSON."""


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``action``; for all but ``show`` and ``enter`` the holder's ``id`` (16 hex digits); for ``take`` and ``renew`` ``owner`` (an
    object) and ``ttl`` (seconds); for ``take`` also ``instead``: the id of a holder that is known to be gone.

    Result: ``stack``; ``done``; ``generation``: of a ``take`` or an ``enter`` that was done, else ``null``; ``holder``: who has it instead;
    ``before``: whom a ``take`` followed that had expired or was gone (both ``null`` or ``id``, ``state``, ``held`` and ``quiet`` seconds,
    ``ttl``, ``owner``).
    """
    action = one_of(request["action"], "action", ACTIONS)
    stack = text(request, "stack")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", stack):
        raise Failure(f"The request's stack {stack!r} is not a stack's name.")
    owner = jsontext.dumps(request.get("owner") or {}, sort_keys=True)
    if len(owner) > MAX_OWNER:
        raise Failure(f"The request's owner has more than {MAX_OWNER} characters.")
    fields = {
        "stack": stack, "action": action, "owner": owner, "id": "" if action in ("show", "enter") else _id(request["id"]),
        "instead": _id(request["instead"]) if request.get("instead") else "none",
        "ttl": str(number(request.get("ttl", 180), "ttl", 1, 86400)),
    }  # fmt: skip
    reply = Host(connections.load(stack), for_lock=True).call("lock", fields, f"lock of {stack}")
    return {
        "action": action,
        "stack": stack,
        "done": bool(reply.all("own")),
        "generation": int(grown) if (grown := reply.first("own")).isdigit() else None,
        "holder": _holder(reply.all("holder")),
        "before": _holder(reply.all("before")),
    }


def _id(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{16}", value):
        raise Failure("The request's id is not 16 hexadecimal digits.")
    return value


def _holder(found: list[list[str]]) -> dict[str, Any] | None:
    if not found or len(found[0]) < 6:
        return None
    name, state, held, quiet, ttl, owner = found[0][:6]
    try:
        said = jsontext.loads(owner)
    except (ValueError, RecursionError):
        said = {}
    return {
        "id": name, "state": state, "held": int(held), "quiet": int(quiet), "ttl": int(ttl),
        "owner": said if isinstance(said, dict) else {},
    }  # fmt: skip
