"""``run revoke``: takes the former passwords of a service's database account away, after the new one was found in its place.

Nothing is revoked unless ``secrets.env`` on the host holds the new password and logs in with it; afterwards the former one, which ``env``
kept beside it for this, must be refused.
"""

from __future__ import annotations

from . import connection as connections
from .channel import Host
from .request import service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: as of ``account``, and ``kept`` of its result (``None``: not known), ``rotation`` (its id or null), ``hold`` (whether the
    former passwords stay for now). Result: ``revoked`` (whose passwords), ``refused`` (whether the former one was tried and refused),
    ``held``, ``notes``."""
    key, rotation = service(request), request.get("rotation")
    done: dict[str, Any] = {"rotation": rotation, "revoked": [], "refused": False, "held": bool(request.get("hold")), "notes": []}
    if done["held"] or (request.get("kept") == 0 and rotation is None):
        return done
    from .account import asked, former, opened, retire  # the databases' drivers; most often there is nothing to revoke

    connection = connections.load(str(request["stack"]))
    account = asked(request, connection)
    with opened(connection, account) as link:
        if not former(link, account) and rotation is None:
            return done
        host = Host(connection)
        fields = {"service": key, "password": account.password}
        reply = host.call("login", {**fields, "action": "current"}, f"{key}: logging in with the new password")
        done["revoked"] = retire(link, account)
    tried = host.call("login", {**fields, "action": "former"}, f"{key}: trying the former password")
    done["refused"] = tried.first("login") == "refused"
    done["notes"] = [values[0] for found in (reply, tried) for values in found.all("note")]
    return done
