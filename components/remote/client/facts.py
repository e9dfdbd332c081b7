"""``run facts``: one connection, one script, nothing written: what is live, what the databases hold, what the host can do."""

from __future__ import annotations

import subprocess

from . import connection as connections
from . import jsontext
from .artefact import places
from .channel import ATTEMPTS, Host, Reply, encode, words
from .digest import sha256
from .failure import Failure
from .maintenance import closure
from .masking import MASK
from .programs import HOST_FOLDER
from .request import one_of, relative, release, service, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCRIPT = ("common", "database", "checksums", "facts")
ASK_SECONDS = 900
"""How long the host's answer takes at most: every file of every release is read by ``files``."""


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request and result: docs/host-protocol.md."""
    host = Host(connections.load(str(request["stack"])))
    fields = {"root": host.connection.root, "programs": words([_program(name) for name in request.get("programs") or []])}
    services: list[dict[str, Any]] = request.get("services") or []
    for n, entry in enumerate(services):
        fields[f"service_{n}"] = words(_words(entry))
    fields["count"] = str(len(services))
    reply = ask(host, SCRIPT, fields, "facts")
    return _result(host, services, reply)


def _program(name: object) -> str:
    if not isinstance(name, str) or not name or not all(c.isalnum() or c in "._+-/" for c in name):
        raise Failure(f"The request's programs holds {name!r}, which is no name of a program.")
    return name


def _words(entry: dict[str, Any]) -> list[str]:
    database: dict[str, Any] = entry.get("database") or {}
    migrate: dict[str, Any] = entry.get("migrate") or {}
    schema = entry.get("schema")
    if isinstance(schema, dict):
        schema = schema.get("query")
    wanted = release(entry) if entry.get("release") else ""
    key = service(entry)
    kind = one_of(migrate["kind"], "migrate.kind", ("sql", "alembic", "prisma", "drush", "command")) if migrate else "none"
    return [
        key, relative(entry["target"], "target"), wanted,
        one_of(database["engine"], "database.engine", ("mariadb", "postgresql")) if database else "",
        text(database, "name") if database else "",
        kind, str(schema or ""), "0" if not wanted or _here(key, wanted) else "1",
        relative(migrate.get("directory") or ("prisma/migrations" if kind == "prisma" else "migrations"), "migrate.directory"),
    ]  # fmt: skip


def _here(key: str, wanted: str) -> bool:
    """Whether the artefact is on this machine, so that its manifest need not come from the host."""
    for folder in places(key, wanted):
        try:
            with open(folder + "/manifest.json", "rb") as file:
                if f'"{wanted}"'.encode() in file.read(4096):
                    return True
        except OSError:
            continue
    return False


def ask(host: Host, programs: tuple[str, ...], fields: dict[str, str], what: str) -> Reply:
    """Sends host programs over stdin as one script, so that asking writes nothing, and gives what it said; the last of them finds the
    request ``fields``. Raises ``Failure`` where it does not end."""
    texts = []
    for name in programs:
        with open(f"{HOST_FOLDER}/{name}", "rb") as file:
            texts.append(file.read())
    script = b"exec 2>&1\n" + b"\n".join([*texts[:-1], encode(fields), texts[-1]])
    for _ in range(ATTEMPTS):
        host.master.ensure()
        host.master.forward_socks()
        try:
            done = subprocess.run(
                [*host.master.command(), "--", host.master.destination, "exec sh -s"],
                input=script, capture_output=True, check=False, pass_fds=(host.master.slot(),), timeout=ASK_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failure(
                f"{what} on {host.connection.name}: no answer within {ASK_SECONDS} s; see what its databases do."
            ) from None
        reply = Reply()
        for line in done.stdout.decode("utf-8", "surrogateescape").split("\n"):
            reply.take(line)
        if reply.failure is not None:
            raise Failure(f"{what} on {host.connection.name}: {reply.failure}")
        if reply.all("end"):
            return reply
        if done.returncode != 255:
            break
    tail = "; ".join([*reply.noise, MASK.text(done.stderr.decode(errors="replace").strip())])[-300:]
    raise Failure(f"{what} on {host.connection.name}: the question ended with code {done.returncode}: {tail}")


def _result(host: Host, services: list[dict[str, Any]], reply: Reply) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for entry in services:
        found[entry["service"]] = {
            "live": None, "content": None, "releases": [], "manifest": None, "wanted": None, "attestation": None, "digest": None,
            "activation": None, "applied": None, "schema": None, "schema_version": None,
            "database": None, "database_bytes": None, "lacks": [], "log": None, "previous": None, "at": None, "maintenance": False,
            "history": None, "begun": None, "files": {}, "tables": None,
            "opened_by": None, "closed_since": None, "closed_who": None, "closed_why": None, "interrupted": False,
            "left_alone": None,
            "reachable": None, "unmanaged": [], "unmanaged_count": 0, "problem": None,
        }  # fmt: skip
    needs = [values[0] for values in reply.all("needs")]
    texts: dict[tuple[str, str], list[str]] = {}
    for key, values in reply.facts:
        if not values or values[0] not in found:
            continue
        if key in ("manifest", "wanted", "attestation"):
            texts.setdefault((values[0], key), []).append("\t".join(values[1:]))
        else:
            _take(found[values[0]], key, values[1:])
    for (name, key), lines in texts.items():
        text = "\n".join([*lines, ""])
        if key == "attestation":
            found[name][key] = text
            continue
        try:
            found[name][key] = jsontext.loads(text)
        except ValueError:
            found[name]["problem"] = f"the {key} manifest on the host is no JSON"
    for name, entry in zip(found, services, strict=True):
        asked = texts.get((name, "manifest" if found[name]["live"] == entry.get("release") else "wanted"))
        if asked and entry.get("release"):
            found[name]["digest"] = sha256("\n".join([*asked, ""]).encode("utf-8", "surrogateescape"))
        found[name]["lacks"] = [*needs, *found[name]["lacks"]]
        if found[name]["database"] and entry.get("migrate") and found[name]["applied"] is None:
            found[name]["applied"], found[name]["history"] = [], found[name]["history"] or []
    space = [int(part) * 1024 if part.isdigit() else None for part in next(iter(reply.all("space")), [])]
    free, size = (space[0], space[1]) if len(space) == 2 else (None, None)
    quota = [int(part) * 1024 for part in reply.first("quota").replace("*", "").split() if part.isdigit()]
    used, limit = (quota[0], quota[1]) if len(quota) == 2 and quota[1] else (0, None)
    return {
        "host": host.connection.name, "services": found, "programs": {values[0]: values[1] or None for values in reply.all("program")},
        "free_bytes": free, "quota_bytes": None if limit is None else max(0, limit - used), "size_bytes": limit or size,
        "servers": _servers(host, reply), "needs": needs,
    }  # fmt: skip


def _take(known: dict[str, Any], key: str, values: list[str]) -> None:
    """One line about a service."""
    if key == "service":
        known["content"] = {"foreign": "link", "file": "directory"}.get(values[0], values[0])
        known["live"] = None if values[1] == "-" else values[1]
        known["log"] = values[2]
    elif key == "release":
        known["releases"].append(values[0])
    elif key == "switched":
        known["previous"], known["at"] = (None if value == "-" else value for value in values[:2])
    elif key == "interrupted":
        known["interrupted"] = True
    elif key == "left-alone":
        known["left_alone"] = " ".join(values)
    elif key == "maintenance":
        known["maintenance"] = True
        known["opened_by"], known["closed_since"], known["closed_who"], known["closed_why"] = closure(values).values()
    elif key == "activation":
        known["activation"] = _activation("\t".join(values))
    elif key == "unmanaged":
        known["unmanaged"].append(values[0])
    elif key == "found":
        known["unmanaged_count"] = int(values[0])
    elif key == "lacks":
        known["lacks"].append(values[0])
    else:
        _take_data(known, key, values)


def _take_data(known: dict[str, Any], key: str, values: list[str]) -> None:
    """One line about a service's database and snapshots."""
    if key == "snapshot":
        _take_snapshot(known, values[0])
    elif key == "begun-of":
        known["begun"] = known["half_applied"] = {"name": values[0], "sha256": values[1], "resumes": values[2:] == ["steps"]}
    elif key == "file-of":
        known["files"][values[0]] = values[1:]
    elif key == "database":
        known["database"] = known["reachable"] = True if values[0] == "yes" else None
        known["problem"] = values[1] if len(values) > 1 else known["problem"]
    elif key == "tables-of":
        known["tables"] = int(values[0]) if values[0].isdecimal() else None
    elif key == "db-of":
        known["database_bytes"] = int(float(values[2])) if len(values) > 2 and values[2] else None
    elif key == "applied-of":
        _take_applied(known, *values[:3])
    elif key == "schema-of":
        value = values[0] if values and values[0] not in ("", "NULL") else None
        known["schema"] = known["schema_version"] = value
    elif key == "dberror-of":
        known["problem"], known["reachable"] = values[0], False
        known["database"] = False if "Unknown database" in values[0] or "does not exist" in values[0] else None


def _activation(line: str) -> object:
    """The rules that the release was last activated by, as its switch recorded them; a damaged record counts as none."""
    try:
        return jsontext.loads(line)
    except ValueError:
        return None


def _take_applied(known: dict[str, Any], name: str, checksum: str = "", state: str = "done") -> None:
    """One line of the database's history of migrations."""
    known["history"] = [*(known["history"] or []), [name, checksum, state]]
    if state == "done":
        known["applied"] = [*(known["applied"] or []), name]
    elif state == "failed":
        known["half_applied"] = {"name": name, "sha256": checksum, "resumes": False}


def _take_snapshot(known: dict[str, Any], line: str) -> None:
    """The newest snapshot's manifest; a damaged one tells nothing."""
    try:
        manifest = jsontext.loads(line)
        known["snapshot_bytes"], known["snapshot_of"] = int(manifest["bytes"]), int(manifest["database_bytes"])
    except (ValueError, KeyError, TypeError):
        pass


def _servers(host: Host, reply: Reply) -> dict[str, dict[str, str]]:
    versions = {(values[0], values[1]): values[2] for values in reply.all("server") if len(values) > 2}
    return {
        name: {"version": versions[(str(server.get("host")), str(server.get("port")))]}
        for name, server in host.connection.servers.items()
        if (str(server.get("host")), str(server.get("port"))) in versions
    }
