"""``run permissions``: what has other modes than it must have on the host, and the host's clock. Mends it where asked. Apart from it,
what is unusual in persistent paths, which belong to the site."""

from __future__ import annotations

import time

from . import connection as connections
from .channel import Host, Reply, words
from .facts import ask
from .request import relative, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCRIPT = ("common", "permissions")
MOST = 200
"""How many names are told."""


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``services``: [{service, target, persistent}], ``fix``, ``fix_own``. Gives ``wrong``: [{service, mode, path}] (200 at most),
    ``path`` relative to the root; ``count`` of all; ``skew``: seconds that the host's clock is ahead of this machine's; ``own``:
    [{service, what, count, paths}] of persistent paths, ``what``: ``open`` (others can write; with ``fix_own`` no longer) or ``closed``
    (others cannot read), at most 20 ``paths``."""
    host = Host(connections.load(str(request["stack"])))
    entries: list[dict[str, Any]] = request.get("services") or []
    fields = {"root": host.connection.root, "count": str(len(entries)), "fix": "1" if request.get("fix") is True else "0"}
    fields["fix_own"] = "1" if request.get("fix_own") is True else "0"
    for n, entry in enumerate(entries):
        persistent = [relative(path, "persistent") for path in entry.get("persistent") or []]
        fields[f"service_{n}"] = words([service(entry), relative(entry["target"], "target"), *persistent])
    host.master.ensure()  # a login in between would count as a skew
    began = time.time()
    reply = ask(host, SCRIPT, fields, "permissions")
    wrong = [{"service": values[0] or None, "mode": values[1], "path": "\t".join(values[2:])} for values in reply.all("wrong")]
    clock = reply.first("clock")
    return {
        "host": host.connection.name, "wrong": wrong[:MOST], "count": len(wrong), "own": _own(reply),
        "skew": round(int(clock) - began, 1) if clock.isdigit() else None,
    }  # fmt: skip


def _own(reply: Reply) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for key, what, number in reply.all("own-count"):
        if number != "0":
            one = found.setdefault((key, what), {"service": key, "what": what, "count": 0, "paths": []})
            one["count"] += int(number)
    for key, what, *path in reply.all("own"):
        if (key, what) in found:
            found[key, what]["paths"].append("\t".join(path))
    return list(found.values())
