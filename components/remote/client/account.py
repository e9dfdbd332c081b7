"""``run account``: a MariaDB account with rights on its own database alone, by one idempotent SQL program.

An existing account is taken over: its password is set, rights outside its database are taken away, nothing is dropped. Rights that stay
are never revoked in between, so connections that are open lose nothing.
"""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING, Any

import pymysql
import pymysql.cursors

from . import connection as connections
from .channel import Host
from .failure import Failure
from .request import one_of, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .connection import Connection

CONNECT_SECONDS = 10
NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
PRIVILEGE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ ")


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: docs/host-protocol.md. Result: ``created``, ``granted``, ``revoked`` (statements without secrets), ``version``."""
    connection = connections.load(str(request["stack"]))
    name = text(request, "server")
    server = connection.servers.get(name)
    if server is None:
        known = ", ".join(sorted(connection.servers)) or "none"
        raise Failure(f"The stack has no database server {name!r}; expected one of {known} (mo:servers).")
    one_of(server.get("engine"), f"servers.{name}.engine", ("mariadb",))
    user, database = text(request, "user"), text(request, "database")
    if not user or not database or not NAME.issuperset(user + database):
        raise Failure("The request's user and database must be lower-case letters, digits and underscores.")
    password = text(request, "password")
    if not password:
        raise Failure(f"The password of {user} is empty; expected one.")
    hosts = request.get("hosts") or ["localhost"]
    privileges = request.get("privileges") or ["ALL PRIVILEGES"]
    if not all(isinstance(p, str) and p and PRIVILEGE.issuperset(p) for p in privileges):
        raise Failure("The request's privileges must be names of privileges in capitals.")
    link = _connect(connection, name, server)
    try:
        with link.cursor() as cursor:
            return _apply(cursor, name, user, database, password, [str(host) for host in hosts], privileges)
    except pymysql.MySQLError as error:
        raise Failure(
            f"The account {user} on {name} could not be set up: {_told(error, password)}; expected an administrator with GRANT OPTION."
        ) from None
    finally:
        link.close()


def _connect(connection: Connection, name: str, server: dict[str, Any]) -> pymysql.Connection[Any]:
    import socket

    if not server.get("admin_user") or not server.get("admin_password"):
        raise Failure(
            f"The administrator of the database server {name} is not known; set "
            f"mo:servers {name} adminUser and its password (bin/mo secrets)."
        )
    tls: ssl.SSLContext | None = None
    if server.get("tls"):
        tls = ssl.create_default_context(cafile=server.get("ca_file"))
    link: pymysql.Connection[Any] = pymysql.connect(
        host=server["host"], port=int(server["port"]), user=server["admin_user"], password=server["admin_password"].encode(),
        charset="utf8mb4",
        autocommit=True, connect_timeout=CONNECT_SECONDS, read_timeout=60, write_timeout=60, ssl=tls, defer_connect=True,
    )  # fmt: skip
    where = f"{server['host']}:{server['port']}"
    try:
        if server.get("reach") == "host":
            if connection.socks_port is None:
                raise Failure(f"The database server {name} is reached through the host, but the stack has no mo:host socksPort.")
            host = Host(connection)
            host.master.ensure()
            host.master.forward_socks()
            link.connect(_through_host(connection, server))
        else:
            link.connect(socket.create_connection((server["host"], int(server["port"])), CONNECT_SECONDS))
    except pymysql.MySQLError as error:
        code = error.args[0] if error.args else 0
        if code == 1045:
            raise Failure(
                f"The database server {name} ({where}) refused its administrator {server['admin_user']}: wrong user or password."
            ) from None
        raise Failure(f"The database server {name} ({where}) cannot be used: {_told(error, server['admin_password'])}.") from None
    except OSError as error:
        reason = getattr(error, "msg", None) or error.strerror or str(error)
        via = f" through {connection.name}" if server.get("reach") == "host" else ""
        raise Failure(f"The database server {name} ({where}) cannot be reached{via}: {reason}; check that it is up.") from None
    return link


def _through_host(connection: Connection, server: dict[str, Any]) -> Any:
    import socks

    return socks.create_connection(
        (server["host"], int(server["port"])),
        CONNECT_SECONDS,
        proxy_type=socks.SOCKS5,
        proxy_addr="127.0.0.1",
        proxy_port=connection.socks_port,
    )


def _apply(
    cursor: pymysql.cursors.Cursor,
    server: str,
    user: str,
    database: str,
    password: str,
    hosts: Sequence[str],
    privileges: Sequence[str],
) -> dict[str, Any]:
    cursor.execute("SELECT VERSION()")
    version = str((cursor.fetchone() or ("",))[0])
    cursor.execute("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s", (database,))
    if not (cursor.fetchone() or (0,))[0]:
        raise Failure(
            f"The database {database} does not exist on {server}; make it in the hoster's panel, or set the server's provision to managed."
        )
    created, granted, revoked = [], [], []
    scope = "`" + database.replace("_", "\\_") + "`.*"
    for host in hosts:
        cursor.execute("SELECT COUNT(*) FROM mysql.user WHERE user = %s AND host = %s", (user, host))
        if not (cursor.fetchone() or (0,))[0]:
            created.append(f"{user}@{host}")
        cursor.execute(
            "CREATE USER IF NOT EXISTS %s@%s IDENTIFIED VIA mysql_native_password USING %s", (user, host, hashed(password))
        )
        if f"{user}@{host}" not in created:
            cursor.execute("ALTER USER %s@%s IDENTIFIED VIA mysql_native_password USING %s", (user, host, hashed(password)))
        wanted = "ALL PRIVILEGES" if "ALL PRIVILEGES" in privileges else ", ".join(sorted(privileges))
        cursor.execute(f"GRANT {wanted} ON {scope} TO %s@%s", (user, host))
        granted.append(f"{wanted} ON {scope} TO {user}@{host}")
        cursor.execute("SHOW GRANTS FOR %s@%s", (user, host))
        for statement in excess([str(row[0]) for row in cursor.fetchall()], scope, wanted):
            cursor.execute(f"REVOKE {statement} FROM %s@%s", (user, host))
            revoked.append(f"{statement} FROM {user}@{host}")
    return {
        "server": server,
        "user": user,
        "database": database,
        "created": created,
        "granted": granted,
        "revoked": revoked,
        "version": version,
    }


def hashed(password: str) -> str:
    """What the server keeps of a password. The statement holds this and not the password, so that no log of the server shows it."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


def excess(grants: Sequence[str], scope: str, wanted: str) -> list[str]:
    """What to revoke (``PRIVILEGES ON scope``) of these ``SHOW GRANTS`` lines, so that ``wanted`` on ``scope`` alone stays."""
    found = []
    allowed = {privilege.strip() for privilege in wanted.split(",")}
    for line in grants:
        if not line.startswith("GRANT ") or " ON " not in line:
            if line.startswith("GRANT ") and " TO " in line:
                found.append(line[len("GRANT ") :].split(" TO ")[0])  # a role
            continue
        privileges, _, rest = line[len("GRANT ") :].partition(" ON ")
        place = rest.split(" TO ")[0]
        names = _split(privileges)
        options = ["GRANT OPTION"] if rest.endswith("WITH GRANT OPTION") else []
        if place == scope:
            surplus = options + ([] if wanted == "ALL PRIVILEGES" else [name for name in names if name not in allowed])
            if surplus and "ALL PRIVILEGES" in surplus:
                # ALL stands for each of these; those that are not wanted go by name, so that the others stay throughout.
                surplus = [name for name in surplus if name != "ALL PRIVILEGES"]
                surplus += [name for name in DATABASE_PRIVILEGES if name not in allowed]
        else:
            surplus = options + [name for name in names if name != "USAGE"]
        if surplus:
            found.append(f"{', '.join(surplus)} ON {place}")
    return found


DATABASE_PRIVILEGES = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE TEMPORARY TABLES", "LOCK TABLES",
    "EXECUTE", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "TRIGGER", "DELETE HISTORY",
)  # fmt: skip
"""What ALL PRIVILEGES stands for on a database."""


def _split(privileges: str) -> list[str]:
    """Splits ``SELECT (a, b), INSERT`` at the commas outside parentheses."""
    parts, depth, word = [], 0, ""
    for c in privileges:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append(word.strip())
            word = ""
        else:
            word += c
    return [*parts, word.strip()]


def _told(error: pymysql.MySQLError, secret: str) -> str:
    """The server's message on one line, without the password should it quote it."""
    message = str(error.args[1] if len(error.args) > 1 else error)
    return message.replace(secret, "…")[:200] if secret else message[:200]
