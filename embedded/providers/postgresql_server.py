"""Connections to a PostgreSQL server, statements on them, and errors in the published provider's words."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from embedded.providers.base import ProviderError

if TYPE_CHECKING:
    from psycopg import Connection

_TIMEOUT = 180  # seconds for a connection to be made
_VERIFIER = re.compile(r"SCRAM-SHA-256\$|md5[0-9a-f]{32}$")  # a password that PostgreSQL would keep as it is


class Server:
    """A server by its settings, which stand as strings in the state; one operation at a time, a connection for each."""

    def __init__(self, settings: Mapping[str, Any], directory: str) -> None:
        self.settings = settings
        self.directory = directory
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def connected(self, database: str | None = None) -> Iterator[Connection[Any]]:
        """A connection in autocommit. Raises ``ProviderError``."""
        import psycopg

        host = self.setting("host", "PGHOST") or "localhost"
        options: dict[str, Any] = {
            "host": host,
            "port": self.setting("port", "PGPORT") or "5432",
            "user": self.setting("username", "PGUSER") or "postgres",
            "password": self.setting("password", "PGPASSWORD") or None,
            "dbname": database or self.setting("database", "PGDATABASE") or "postgres",
            "sslmode": self.setting("sslmode", "PGSSLMODE") or self.setting("sslMode", "PGSSLMODE") or "prefer",
            "connect_timeout": int(self.setting("connectTimeout", "PGCONNECT_TIMEOUT") or _TIMEOUT),
        }
        if self.settings.get("sslrootcert"):
            options["sslrootcert"] = os.path.join(self.directory, str(self.settings["sslrootcert"]))
        elif options["sslmode"] == "verify-full" and not os.environ.get("PGSSLROOTCERT"):
            options["sslrootcert"] = "system"  # as the provider's driver does; libpq would look for a file of its own
        with self._lock:
            try:
                connection = psycopg.connect(autocommit=True, **options)
            except psycopg.Error as error:
                text = _connection_failure(str(error), host, str(options["port"]))
                raise ProviderError(f"error connecting to PostgreSQL server {host} (scheme: postgres): {text}") from None
            with contextlib.closing(connection):
                yield connection

    @contextlib.contextmanager
    def transaction(self, database: str | None = None) -> Iterator[Connection[Any]]:
        with self.connected(database) as connection, connection.transaction():
            yield connection

    def rows(self, connection: Any, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        import psycopg

        try:
            return list(connection.execute(query, arguments).fetchall())
        except psycopg.Error as error:
            raise ProviderError(_described(error)) from None

    def run(self, connection: Any, words: str, statement: str, *values: Any, hidden: str | None = None) -> None:
        """Executes a statement with identifiers and literals put in; ``words`` say what failed."""
        import psycopg
        from psycopg import sql

        try:
            connection.execute(sql.SQL(statement).format(*values))
        except psycopg.Error as error:
            text = _described(error)
            raise ProviderError(f"{words}: {text.replace(hidden, '[secret]') if hidden else text}") from None

    def verifier(self, connection: Any, role: str, password: str) -> Any:
        """What the server would keep of a role's password, quoted: made here, so that the server's log never holds the password."""
        import psycopg

        if _VERIFIER.match(password):
            return literal(password)
        try:
            return literal(connection.pgconn.encrypt_password(password.encode(), role.encode()).decode())
        except psycopg.Error as error:
            raise ProviderError(f"error encrypting the password of role {role}: {_described(error)}") from None

    @contextlib.contextmanager
    def member(self, connection: Any, role: str) -> Iterator[None]:
        """Member of ``role`` for a while, unless the login is one already, is superuser, or ``role`` is: then as it is."""
        query = (
            "SELECT r.rolname = current_user OR me.rolsuper OR r.rolsuper OR "
            "EXISTS (SELECT 1 FROM pg_auth_members WHERE roleid = r.oid AND member = me.oid) "
            "FROM pg_roles AS r, pg_roles AS me WHERE r.rolname = %s AND me.rolname = current_user"
        )
        rows = self.rows(connection, query, role)
        needed = bool(rows) and not rows[0][0]
        if needed:
            self.run(connection, f"error granting role {role} to current user", "GRANT {} TO CURRENT_USER", identifier(role))
        yield
        if needed:
            self.run(connection, f"error revoking role {role} from current user", "REVOKE {} FROM CURRENT_USER", identifier(role))

    @contextlib.contextmanager
    def owner_for_database(self, owner: str | None) -> Iterator[Connection[Any]]:
        """A connection for CREATE or DROP DATABASE, which no transaction may hold; the owner role is given back in any case."""
        with self.connected() as connection:
            if not owner:
                yield connection
                return
            membership = self.member(connection, owner)
            membership.__enter__()
            try:
                yield connection
            finally:
                membership.__exit__(None, None, None)

    def setting(self, name: str, variable: str) -> str:
        return str(self.settings.get(name) or os.environ.get(variable, ""))


def identifier(name: str) -> Any:
    """A quoted name."""
    from psycopg import sql

    return sql.Identifier(name)


def literal(value: str | None) -> Any:
    """A quoted text, or ``NULL``."""
    from psycopg import sql

    return sql.Literal(value)


def _described(error: Any) -> str:
    """A server's error as the Go driver words it."""
    message = getattr(error.diag, "message_primary", None)
    return f"pq: {message} ({error.sqlstate})" if message else str(error).strip().split("\n", 1)[0]


def _connection_failure(text: str, host: str, port: str) -> str:
    if "Connection refused" in text:
        return f"dial tcp {host}:{port}: connect: connection refused"
    found = re.search(r"FATAL:\s+(.*)", text)
    return f"pq: {found[1]}" if found else text.strip().split("\n", 1)[0]
