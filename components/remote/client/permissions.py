"""``run permissions``: what has other modes than it must have on the host, and the host's clock. Mends it where asked."""

from __future__ import annotations

import time

from . import connection as connections
from .channel import Host, encode, words
from .facts import ask
from .programs import HOST_FOLDER
from .request import relative, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCRIPT = ("common", "permissions")
MOST = 200
"""How many names are told."""


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``services``: [{service, target, persistent}], ``fix``. Result: ``wrong``: [{service, mode, path}], at most 200, ``path``
    relative to the root; ``count`` of all; ``skew``: seconds that the host's clock is ahead of this machine's."""
    host = Host(connections.load(str(request["stack"])))
    entries: list[dict[str, Any]] = request.get("services") or []
    fields = {"root": host.connection.root, "count": str(len(entries)), "fix": "1" if request.get("fix") is True else "0"}
    for n, entry in enumerate(entries):
        persistent = [relative(path, "persistent") for path in entry.get("persistent") or []]
        fields[f"service_{n}"] = words([service(entry), relative(entry["target"], "target"), *persistent])
    texts = []
    for name in SCRIPT:
        with open(f"{HOST_FOLDER}/{name}", "rb") as file:
            texts.append(file.read())
    host.master.ensure()  # a login in between would count as a skew
    began = time.time()
    reply = ask(host, b"exec 2>&1\n" + b"\n".join([texts[0], encode(fields), texts[1]]), "permissions")
    wrong = [{"service": values[0] or None, "mode": values[1], "path": "\t".join(values[2:])} for values in reply.all("wrong")]
    clock = reply.first("clock")
    return {
        "host": host.connection.name, "wrong": wrong[:MOST], "count": len(wrong),
        "skew": round(int(clock) - began, 1) if clock.isdigit() else None,
    }  # fmt: skip
