"""The database servers: reachable, the administrator's login, and the rights that making databases and accounts takes."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from catalog.models import Service
from catalog.settings import HostSettings, ServerSettings
from catalog.settings_file import Loaded, reveal
from operations.doctor.finding import Finding

SECONDS = 10
_GRANT = re.compile(r"^GRANT (?P<what>.*?) ON (?P<where>.*?) TO ")


def look(root: Path, loaded: Loaded, services: Mapping[str, Service]) -> list[Finding]:
    """Each server that a service of this stack uses. Servers behind the host need its SOCKS forward, which ``facts`` opens."""
    used = dict.fromkeys(entry.database.server for entry in services.values() if entry.database)
    findings = []
    for name in used:
        server = loaded.settings.servers.get(name)
        if server is None:
            needing = ", ".join(key for key, entry in services.items() if entry.database and entry.database.server == name)
            findings.append(Finding(f"server {name}", False, f"is not in mo:servers, and {needing} has a database there; add it"))
            continue
        if not server.administered:
            # Whether its accounts let the services in, the host tells.
            findings.append(
                Finding(
                    f"server {name}", True, "the hoster's panel administers it; databases, users and passwords are as it gave them"
                )
            )
            continue
        names = [entry.database.name for entry in services.values() if entry.database and entry.database.server == name]
        password = reveal(loaded.secrets.admin_password(name)) or ""
        if server.ca_file is not None:
            server = server.model_copy(update={"ca_file": str(root / Path(server.ca_file).expanduser())})
        ask = _mariadb if server.engine == "mariadb" else _postgresql
        findings.append(_safely(name, server, password, partial(ask, loaded.settings.host, server, password, names)))
    return findings


def _safely(name: str, server: ServerSettings, password: str, ask: Any) -> Finding:
    what, where = f"server {name}", f"{server.host}:{server.port}"
    try:
        version, faults = ask()
    except Exception as error:  # drivers, TLS, SOCKS: each has errors of its own
        said = str(error.args[-1] if error.args else error).replace(password, "…" if password else "").strip().splitlines()
        via = "through the host " if server.reach == "host" else ""
        return Finding(
            what,
            False,
            f"{where} does not let {server.admin_user} in {via}({said[-1][:200] if said else type(error).__name__}); check that it is up, "
            f"mo:servers.{name} and its password",
        )
    if faults:
        return Finding(what, False, "; ".join(faults))
    return Finding(what, True, f"{where} lets {server.admin_user} in, with the rights it needs; {version}")


def _mariadb(host: HostSettings, server: ServerSettings, password: str, names: Iterable[str]) -> tuple[str, list[str]]:
    import pymysql

    tls = ssl.create_default_context(cafile=server.ca_file) if server.tls else None
    link = pymysql.connect(
        host=server.host, port=server.port, user=server.admin_user, password=password.encode(), charset="utf8mb4",
        connect_timeout=SECONDS, read_timeout=SECONDS, ssl=tls, defer_connect=True,
    )  # fmt: skip
    link.connect(_channel(host, server))
    try:
        with link.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            version = str((cursor.fetchone() or ("",))[0])
            cursor.execute("SHOW GRANTS")
            grants = [str(row[0]) for row in cursor.fetchall()]
            cursor.execute("SELECT schema_name FROM information_schema.schemata")
            there = {str(row[0]) for row in cursor.fetchall()}
    finally:
        link.close()
    return version, mariadb_faults(server, grants, sorted(set(names) - there))


def mariadb_faults(server: ServerSettings, grants: Iterable[str], absent: list[str]) -> list[str]:
    """What an administrator with these ``SHOW GRANTS`` lines lacks. ``absent``: the services' databases that are not there."""
    everywhere: set[str] = set()
    may_grant = False
    for line in grants:
        found = _GRANT.match(line)
        if found is None:
            continue
        may_grant = may_grant or line.rstrip().endswith("WITH GRANT OPTION")
        if found["where"] == "*.*":
            everywhere |= {name.strip() for name in found["what"].split(",")}
    needed = ["CREATE USER", *(["CREATE"] if server.provision == "managed" else [])]
    lacks = [] if "ALL PRIVILEGES" in everywhere else [name for name in needed if name not in everywhere]
    if not may_grant:
        lacks.append("GRANT OPTION")
    faults = []
    if lacks:
        way = f"GRANT ALL PRIVILEGES ON *.* TO {server.admin_user} WITH GRANT OPTION, or another mo:servers adminUser"
        faults.append(f"{server.admin_user} lacks {', '.join(lacks)}: {way}")
    if absent and server.provision == "existing":
        faults.append(f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not there: make it in the hoster's panel")
    return faults


def _postgresql(host: HostSettings, server: ServerSettings, password: str, names: Iterable[str]) -> tuple[str, list[str]]:
    import psycopg

    tls: dict[str, Any] = (
        {"sslmode": "verify-full", "sslrootcert": server.ca_file or "system"} if server.tls else {"sslmode": "disable"}
    )
    with psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.admin_user,
        password=password,
        dbname="postgres",
        connect_timeout=SECONDS,
        **tls,
    ) as link:
        version = str((link.execute("SHOW server_version").fetchone() or ("",))[0])
        row = link.execute("SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user").fetchone()
    superuser, databases, roles = row or (False, False, False)
    lacks = [] if superuser else [name for name, has in (("CREATEDB", databases), ("CREATEROLE", roles)) if not has]
    return f"PostgreSQL {version}", (
        [f"{server.admin_user} lacks {', '.join(lacks)}: ALTER ROLE {server.admin_user} {' '.join(lacks)}"] if lacks else []
    )


def _channel(host: HostSettings, server: ServerSettings) -> socket.socket:
    if server.reach == "direct":
        return socket.create_connection((server.host, server.port), SECONDS)
    import socks

    proxied: socket.socket = socks.create_connection(
        (server.host, server.port), SECONDS, proxy_type=socks.SOCKS5, proxy_addr="127.0.0.1", proxy_port=host.socks_port
    )
    return proxied
