"""The database servers as their administrator sees them: what a service has there, its scratch database, and its removal.

Drivers are imported only where a server is asked, so that the steps that need none start without them.
"""

from __future__ import annotations

from contextlib import contextmanager

from .failure import Failure
from .masking import MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .connection import Connection

SCRATCH = "_verify"
"""How the name of a database for the test of a snapshot ends."""

HISTORY = ("schema_version", "alembic_version", "_prisma_migrations", "_mo_progress")
"""Tables in which a tool keeps its history of migrations."""

NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


class Server:
    """One server, open as its administrator. Raises ``Failure`` with one sentence for whatever goes wrong."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.name = name
        self.settings: dict[str, Any] = connection.servers[name]
        self.engine = str(self.settings.get("engine"))
        self._connection = connection
        self._link = self._open("postgres")

    def _open(self, database: str) -> Any:
        if self.engine == "mariadb":
            from .account import _connect

            return _connect(self._connection, self.name, self.settings)
        import psycopg

        where, settings = f"{self.settings['host']}:{self.settings['port']}", self.settings
        tls: dict[str, Any] = (
            {"sslmode": "verify-full", "sslrootcert": settings.get("ca_file") or "system"} if settings.get("tls") else {}
        )
        try:
            return psycopg.connect(
                host=settings["host"], port=int(settings["port"]), user=settings["admin_user"], password=settings["admin_password"],
                dbname=database, autocommit=True, connect_timeout=10, application_name="mo-deploy", **tls,
            )  # fmt: skip
        except psycopg.Error as error:
            said = MASK.text(str(error)).strip().splitlines()
            raise Failure(
                f"The database server {self.name} ({where}) cannot be used: {said[-1][:200] if said else 'no reason'}."
            ) from None

    def _ask(self, sql: str, values: tuple[object, ...] = (), link: Any = None) -> list[tuple[Any, ...]]:
        try:
            with (link or self._link).cursor() as cursor:
                cursor.execute(sql, values)
                return list(cursor.fetchall()) if cursor.description else []
        except Exception as error:
            if type(error).__module__.split(".")[0] not in ("pymysql", "psycopg"):
                raise
            said = MASK.text(str(error.args[-1] if error.args else error)).strip().splitlines()
            raise Failure(f"The database server {self.name} refused: {said[0][:200] if said else type(error).__name__}.") from None

    def has_database(self, name: str) -> bool:
        """Whether the database is there."""
        query = (
            "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s"
            if self.engine == "mariadb"
            else "SELECT 1 FROM pg_database WHERE datname = %s"
        )
        return bool(self._ask(query, (name,)))

    def accounts(self, user: str) -> list[str]:
        """The account's names on the server: ``user@host`` on MariaDB; on PostgreSQL the roles of its rotations, then its own."""
        if self.engine == "mariadb":
            return [f"{user}@{row[0]}" for row in self._ask("SELECT host FROM mysql.user WHERE user = %s ORDER BY host", (user,))]
        from .postgresql_account import LETTERS

        names = [*(f"{user}_{letter}" for letter in LETTERS), user]
        found = {str(row[0]) for row in self._ask("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (names,))}
        return [name for name in names if name in found]

    def others(self, database: str, user: str) -> list[str]:
        """Accounts besides ``user``'s own that have rights on ``database`` (MariaDB) or are connected to it (PostgreSQL)."""
        if self.engine == "mariadb":
            escaped = database.replace("_", "\\_")
            rows = self._ask("SELECT DISTINCT user FROM mysql.db WHERE db IN (%s, %s)", (database, escaped))
        else:
            rows = self._ask(
                "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = %s AND usename <> current_user", (database,)
            )
        own = {name.partition("@")[0] for name in self.accounts(user)}
        return sorted({str(row[0]) for row in rows} - own)

    def holds(self, database: str) -> tuple[int, int | None, list[str]]:
        """What is in a database that is there: its tables besides those of ``HISTORY``, its bytes (``None`` where the administrator may not
        know), and those of ``HISTORY`` that hold something."""
        if self.engine == "mariadb":
            rows = self._ask(
                "SELECT table_name, COALESCE(data_length + index_length, 0) FROM information_schema.tables "
                "WHERE table_schema = %s AND table_type = 'BASE TABLE'",
                (database,),
            )
            told = [
                str(row[0]) for row in rows if row[0] in HISTORY and self._ask(f"SELECT 1 FROM `{database}`.`{row[0]}` LIMIT 1")
            ]
            return len([row for row in rows if row[0] not in HISTORY]), sum(int(row[1]) for row in rows), told
        inside = self._open(database)
        try:
            names = self._ask(
                "SELECT tablename, schemaname FROM pg_catalog.pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
                link=inside,
            )
            told = []
            for name, schema in names:
                if name in HISTORY and schema == "public":
                    may = self._ask("SELECT has_table_privilege(%s, 'SELECT')", (f'public."{name}"',), link=inside)
                    # One that we may not read has been used by somebody: its migrations are for its tool to know.
                    if not may[0][0] or self._ask(f'SELECT 1 FROM public."{name}" LIMIT 1', link=inside):
                        told.append(str(name))
            (size,) = self._ask("SELECT pg_database_size(%s)", (database,), link=inside)
            return len([name for name, _ in names if name not in HISTORY]), int(size[0]), told
        finally:
            inside.close()

    def make(self, database: str, user: str) -> None:
        """An empty database in which ``user`` may do everything; one of that name is dropped first."""
        self.drop(database)
        if self.engine == "mariadb":
            self._ask(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
            scope = "`" + database.replace("_", "\\_") + "`.*"
            for row in self._ask("SELECT host FROM mysql.user WHERE user = %s", (user,)):
                self._ask(f"GRANT ALL PRIVILEGES ON {scope} TO %s@%s", (user, row[0]))
            return
        self._ask(f"CREATE DATABASE \"{database}\" ENCODING 'UTF8' TEMPLATE template0 LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'")
        self._ask(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
        self._ask(f'GRANT CONNECT, CREATE, TEMPORARY ON DATABASE "{database}" TO "{user}"')
        inside = self._open(database)
        try:
            self._ask(f'GRANT CREATE, USAGE ON SCHEMA public TO "{user}"', link=inside)
        finally:
            inside.close()

    def drop(self, database: str) -> None:
        """Drops the database with the rights on it, where it is there. What is connected to it is cut off."""
        if self.engine == "mariadb":
            self._ask(f"DROP DATABASE IF EXISTS `{database}`")
            scope, escaped = "`" + database.replace("_", "\\_") + "`.*", database.replace("_", "\\_")
            for user, host in self._ask("SELECT user, host FROM mysql.db WHERE db = %s", (escaped,)):
                self._ask(f"REVOKE ALL PRIVILEGES ON {scope} FROM %s@%s", (user, host))
        elif self.has_database(database):
            self._ask(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def drop_account(self, name: str) -> None:
        """Drops one of ``accounts``."""
        if self.engine == "mariadb":
            user, _, host = name.partition("@")
            self._ask("DROP USER IF EXISTS %s@%s", (user, host))
        else:
            self._ask(f'DROP ROLE IF EXISTS "{name}"')

    def close(self) -> None:
        """Ends the connection."""
        self._link.close()


def checked(name: str) -> str:
    """A name of a database or account that may stand in a statement. Raises ``Failure``."""
    if not name or len(name) > 63 or not NAME.issuperset(name):
        raise Failure(
            f"The name {name[:80]!r} is none of a database or account of this project (lower-case letters, digits, underscores)."
        )
    return name


def may_administer(connection: Connection, server: str | None) -> bool:
    """Whether the stack's settings hold the administrator of ``server``."""
    found = connection.servers.get(server or "")
    return bool(found and found.get("admin_user") and found.get("admin_password"))


@contextmanager
def scratch(connection: Connection, server: str | None, database: str, user: str) -> Iterator[str]:
    """The name of a database for the test of a snapshot, which lasts as long as the context. Where we are no administrator of the server it
    is one that the panel made; whether it is there, the host finds out."""
    name = checked(database + SCRATCH)
    if not may_administer(connection, server):
        yield name
        return
    opened = Server(connection, str(server))
    try:
        opened.make(name, checked(user))
        yield name
    finally:
        try:
            opened.drop(name)
        finally:
            opened.close()
