"""``run integrity``: whether what runs or is read on the host beside the releases is what was brought there. Nothing is written."""

from __future__ import annotations

from . import connection as connections
from .channel import Host, Reply, words
from .facts import ask
from .programs import digest, files, sha256, there
from .request import relative, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCRIPT = ("common", "integrity")


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``services``: [{service, target}]. Result: ``tool``: ``folder``, and in ``differs`` the names of host programs that are not
    this checkout's (null: they are not there yet); ``services.<key>``: ``secrets`` (``same``, ``changed``, null: not known)
    and ``venv``: ``digest``, ``known`` (false: made by an earlier version), ``differs`` (at most 50 lines ``changed|added|missing path``),
    ``count`` (of all)."""
    host = Host(connections.load(str(request["stack"])))
    entries: list[dict[str, Any]] = request.get("services") or []
    fields = {"root": host.connection.root, "tool": digest(), "count": str(len(entries))}
    for n, entry in enumerate(entries):
        fields[f"service_{n}"] = words([service(entry), relative(entry["target"], "target")])
    reply = ask(host, SCRIPT, fields, "integrity")
    secrets = {values[0]: values[1] for values in reply.all("secrets")}
    venvs = {values[0]: values[1] for values in reply.all("venv")}
    return {
        "host": host.connection.name, "tool": _tool(reply),
        "services": {
            entry["service"]: {
                "secrets": secrets.get(entry["service"]),
                "venv": _venv(reply, venvs[entry["service"]]) if entry["service"] in venvs else None,
            }
            for entry in entries
        },
    }  # fmt: skip


def _tool(reply: Reply) -> dict[str, Any] | None:
    """The host's own list could be changed with the programs: these are compared with the texts of this checkout."""
    if not reply.all("tool"):
        return None
    found = {}
    for values in reply.all("program"):
        value, _, name = "\t".join(values).partition("  ./")
        found[name] = value
    expected = {name: sha256(there(text)) for name, text in files()}
    differing = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    return {"folder": reply.first("tool"), "differs": differing}


def _venv(reply: Reply, digest: str) -> dict[str, Any]:
    differs = [" ".join(values[1:]) for values in reply.all("differs") if values[0] == digest]
    count = next((int(values[1]) for values in reply.all("differing") if values[0] == digest), 0)
    return {"digest": digest, "known": [digest] not in reply.all("unknown"), "differs": differs, "count": count}
