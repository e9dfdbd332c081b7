"""``run account``: the account of a service's database, by one idempotent program; the part that both kinds of server share.

An existing account is taken over: a password is added, rights outside its database are taken away, nothing is dropped. Passwords that were
valid stay so until ``revoke`` takes them away, so no login is refused in between (``mariadb_account``, ``postgresql_account``).
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pymysql
import pymysql.cursors

from . import connection as connections
from . import mariadb_account, postgresql_account
from .channel import Host
from .failure import Failure
from .generation import require_latest
from .masking import MASK
from .request import one_of, service, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .connection import Connection

CONNECT_SECONDS = 10
NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
PRIVILEGE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ ")


class Account:
    """What a request asks for. ``server``: its name in the settings; ``hosts``, ``privileges``: MariaDB only; ``tls``: whether a new one is
    admitted by TLS alone (MariaDB; a PostgreSQL server says so itself)."""

    __slots__ = ("database", "engine", "hosts", "password", "privileges", "server", "tls", "user")

    def __init__(
        self, server: str, engine: str, user: str, database: str, password: str, hosts: tuple[str, ...], privileges: tuple[str, ...],
        tls: bool = False,
    ) -> None:  # fmt: skip
        self.server, self.engine, self.user, self.database, self.password = server, engine, user, database, password
        self.hosts, self.privileges, self.tls = hosts, privileges, tls


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request and result: docs/host-protocol.md; the result holds no secret."""
    connection = connections.load(str(request["stack"]))
    account = asked(request, connection)

    def in_use() -> str | None:
        """The password of the service's ``secrets.env``."""
        reply = Host(connection).call("login", {"service": service(request), "action": "show"}, "reading secrets.env")
        return reply.first("password") or None

    with opened(connection, account) as link:
        # The server knows of no runs, so the host is asked as late as can be.
        require_latest(Host(connection), service(request))
        maria = account.engine == "mariadb"
        done = mariadb_account.admit(link, account, in_use) if maria else postgresql_account.admit(link, account)
    return {"server": account.server, "user": account.user, "database": account.database, **done}


def former(link: Any, account: Account) -> int:
    """How many former passwords are valid."""
    return mariadb_account.former(link, account) if account.engine == "mariadb" else postgresql_account.former(link, account)


def retire(link: Any, account: Account) -> list[str]:
    """Revokes every password but the account's own; gives whose they were."""
    return mariadb_account.retire(link, account) if account.engine == "mariadb" else postgresql_account.retire(link, account)


def asked(request: dict[str, Any], connection: Connection) -> Account:
    """The request, checked."""
    name = text(request, "server")
    server = connection.servers.get(name)
    if server is None:
        known = ", ".join(sorted(connection.servers)) or "none"
        raise Failure(f"The stack has no database server {name!r}; expected one of {known} (mo:servers).")
    engine = one_of(server.get("engine"), f"servers.{name}.engine", ("mariadb", "postgresql"))
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
    tls = bool(server.get("tls")) and server.get("reach") == "direct"
    return Account(name, engine, user, database, password, tuple(str(host) for host in hosts), tuple(privileges), tls)


@contextmanager
def opened(connection: Connection, account: Account) -> Iterator[Any]:
    """The server as its administrator: a cursor on MariaDB, a connection on PostgreSQL. Raises ``Failure`` for what goes wrong there."""
    server = connection.servers[account.server]
    errors: tuple[type[Exception], ...]
    if account.engine == "mariadb":
        errors, expected, link = (pymysql.MySQLError,), "GRANT OPTION", _connect(connection, account.server, server)
    else:
        import psycopg

        errors, expected, link = (psycopg.Error,), "CREATEROLE", _postgresql(account.server, server)
    try:
        if account.engine == "mariadb":
            with link.cursor() as cursor:
                yield cursor
        else:
            yield link
    except errors as error:
        raise Failure(
            f"The account {account.user} on {account.server} could not be set up: {_told(error)}; "
            f"expected an administrator with {expected}."
        ) from None
    finally:
        link.close()


def _postgresql(name: str, server: dict[str, Any]) -> Any:
    import psycopg

    _has_administrator(name, server)
    if server.get("reach") == "host":
        raise Failure(f"The server {name} is PostgreSQL with reach: host, which is not supported; give it reach: direct and TLS.")
    tls = (
        {"sslmode": "verify-full", "sslrootcert": server.get("ca_file") or "system"}
        if server.get("tls")
        else {"sslmode": "disable"}
    )
    try:
        return psycopg.connect(
            host=server["host"], port=int(server["port"]), user=server["admin_user"], password=server["admin_password"],
            dbname="postgres", autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="mo-deploy", **tls,
        )  # fmt: skip
    except psycopg.Error as error:
        raise Failure(f"The database server {name} ({server['host']}:{server['port']}) cannot be used: {_told(error)}.") from None


def _has_administrator(name: str, server: dict[str, Any]) -> None:
    if not server.get("admin_user") or not server.get("admin_password"):
        raise Failure(
            f"The administrator of the database server {name} is not known; set its adminUser in mo:servers and its password: "
            "bin/pulumi config set --secret mo:<server>AdminPassword."
        )


def _connect(connection: Connection, name: str, server: dict[str, Any]) -> pymysql.Connection[Any]:
    import socket

    _has_administrator(name, server)
    tls: ssl.SSLContext | None = None
    if server.get("tls"):
        try:
            tls = ssl.create_default_context(cafile=server.get("ca_file"))
        except OSError as error:
            raise Failure(
                f"The authority's file {server['ca_file']} of the database server {name} cannot be used ({error.strerror or error}); "
                "expected certificates as PEM; mend its caFile in mo:servers."
            ) from None
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
        raise Failure(f"The database server {name} ({where}) cannot be used: {_told(error)}.") from None
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


def _told(error: Exception) -> str:
    """The server's message on one line."""
    message = MASK.text(str(error.args[1] if len(error.args) > 1 else error)).strip()
    return message.splitlines()[0][:200] if message else type(error).__name__
