"""Package ``mysql``: databases, users and grants, as provider 3.3.3 makes them, on PyMySQL.

Reproduced, since the state must agree: users and grants ask for ``innodb_version``, which MariaDB has dropped in 10.10, and fail there; a
user's output ``plaintextPassword`` is a SHA-256; a refresh asks whether a grant's account is there, not which privileges it has.
Mended: quotes and backslashes in names and passwords are escaped; a refused connection is retried for 20 seconds, not for 5 minutes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from embedded.providers.base import CheckFailure, Log, ProviderError, Resource
from embedded.providers.bridge import BareError, BridgedProvider
from embedded.providers.schema import Field, Schema, set_order
from embedded.values import Unknown

if TYPE_CHECKING:
    import pymysql

_PATIENCE = 20.0  # seconds in which a server that refuses connections is asked again
_TIMEOUT = 30  # seconds for a connection to be made
_SQLSTATES = {1044: "42000", 1045: "28000", 1049: "42000", 1064: "42000", 1141: "42000", 1142: "42000", 1227: "42000"}
_NO_SUCH_GRANT = 1141
_UNKNOWN_DATABASE = 1049


def provider(version: str, project_directory: str, log: Log) -> MysqlProvider:
    """A provider that is not connected to anything yet."""
    return MysqlProvider(version, project_directory, log)


def _fixed(kind: str = "str", default: Any = None, required: bool = False) -> Field:
    return Field(kind, required=required, default=default, replace=True)


class MysqlProvider(BridgedProvider):
    """The provider ``mysql``: one connection for each operation."""

    package = "mysql"
    schemas: ClassVar[Mapping[str, Schema]] = {
        "mysql:index/database:Database": Schema(
            {
                "defaultCharacterSet": Field(default="utf8"),
                "defaultCollation": Field(default="utf8_general_ci"),
                "name": Field(replace=True, named=True),
            }
        ),
        "mysql:index/user:User": Schema(
            {
                "authPlugin": _fixed(),
                "host": _fixed(default="localhost"),
                "password": Field(secret=True, deprecated="Please use plaintext_password instead"),
                "plaintextPassword": Field(secret=True),
                "tlsOption": _fixed(default="NONE"),
                "user": _fixed(required=True),
            }
        ),
        "mysql:index/grant:Grant": Schema(
            {
                "database": _fixed(required=True),
                "grant": _fixed("bool"),
                "host": _fixed(default="localhost"),
                "privileges": _fixed("set"),
                "role": _fixed(),
                "roles": _fixed("set"),
                "table": _fixed(default="*"),
                "tlsOption": _fixed(default="NONE"),
                "user": _fixed(),
            },
            counts_sets=True,
        ),
    }

    def validate(self, resource: Resource, inputs: dict[str, Any]) -> list[CheckFailure]:
        both = {
            "mysql:index/user:User": (("password", "plaintextPassword"), ("password", "authPlugin")),
            "mysql:index/grant:Grant": (("privileges", "roles"), ("user", "role")),
        }
        failures = [
            CheckFailure(first, f'Conflicting configuration arguments: "{first}": conflicts with {second}')
            for first, second in both.get(resource.type, ())
            if inputs.get(first) is not None and inputs.get(second) is not None
        ]
        if inputs.get("roles"):
            failures.append(CheckFailure("roles", "a grant of roles is not supported by the embedded engine: use the Pulumi CLI"))
        if inputs.get("role"):
            failures.append(CheckFailure("role", "a grant to a role is not supported by the embedded engine: use the Pulumi CLI"))
        return failures

    def comparable(self, resource: Resource, values: dict[str, Any], outputs: bool) -> dict[str, Any]:
        password = values.get("plaintextPassword")
        return values if outputs or not isinstance(password, str) else {**values, "plaintextPassword": _hashed(password)}

    def make(self, resource: Resource, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        with self._connected() as connection:
            match _name(resource):
                case "Database":
                    self._run(connection, f"CREATE DATABASE {_database_clause(inputs)}", "failed running SQL to create DB")
                    return inputs["name"], self._read_database(connection, inputs["name"]) or {}
                case "User":
                    return self._make_user(connection, inputs)
                case _:
                    return self._make_grant(connection, inputs)

    def look(self, resource: Resource, known: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        with self._connected() as connection:
            match _name(resource):
                case "Database":
                    found = self._read_database(connection, resource.id)
                    return (resource.id, found) if found else None
                case "User":
                    return self._look_user(connection, resource, known)
                case _:
                    return self._look_grant(connection, resource, known)

    def change(self, resource: Resource, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        with self._connected() as connection:
            if _name(resource) == "Database":
                self._run(connection, f"ALTER DATABASE {_database_clause(new)}")
                return self._read_database(connection, new["name"]) or {}
            self._require_version(connection)
            password = new.get("plaintextPassword") or new.get("password")
            changed = password is not None and self.comparable(resource, new, False) != old
            if changed and password:
                self._run(connection, f"ALTER USER {_account(new)} IDENTIFIED BY {_quoted(password)}", hidden=password)
            return _user_outputs(new)

    def remove(self, resource: Resource, known: dict[str, Any]) -> None:
        with self._connected() as connection:
            match _name(resource):
                case "Database":
                    self._run(
                        connection,
                        f"DROP DATABASE {_identifier(known.get('name') or resource.id)}",
                        missing=(1008, _UNKNOWN_DATABASE),
                    )
                case "User":
                    self._run(connection, f"DROP USER {_account(known)}", "failed dropping user", missing=(1396,))
                case _:
                    self._require_version(connection)
                    target, account = _target(known), _account(known)
                    gone = (_NO_SUCH_GRANT, 1147, 1269)
                    with contextlib.suppress(ProviderError):
                        self._run(connection, f"REVOKE GRANT OPTION ON {target} FROM {account}")
                    privileges = ", ".join(known.get("privileges") or ["USAGE"])
                    self._run(
                        connection, f"REVOKE {privileges} ON {target} FROM {account}", "error revoking privileges", missing=gone
                    )

    def _make_user(self, connection: Any, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        self._require_version(connection)
        password = inputs.get("plaintextPassword") or inputs.get("password")
        statement = f"CREATE USER {_account(inputs)}"
        if inputs.get("authPlugin"):
            if not re.fullmatch(r"[A-Za-z0-9_]+", inputs["authPlugin"]):
                raise ProviderError(f"{inputs['authPlugin']!r} is no name of an authentication plugin")
            statement += f" IDENTIFIED WITH {inputs['authPlugin']}"
        elif password:
            statement += f" IDENTIFIED BY {_quoted(password)}"
        if inputs.get("tlsOption"):
            statement += f" REQUIRE {_words(inputs['tlsOption'])}"
        self._run(connection, statement, "failed executing SQL", hidden=password)
        return f"{inputs['user']}@{inputs['host']}", _user_outputs(inputs)

    def _look_user(self, connection: Any, resource: Resource, known: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        user, _, host = resource.id.rpartition("@")
        if not self._rows(connection, "SELECT USER FROM mysql.user WHERE USER=%s AND HOST=%s", (user, host)):
            return None
        outputs = {key: value for key, value in known.items() if key != "id"}
        return resource.id, outputs or {"user": user, "host": host, "tlsOption": "NONE"}

    def _make_grant(self, connection: Any, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        self._require_version(connection)
        privileges = set_order(inputs.get("privileges") or [])
        if not privileges or not inputs.get("user"):
            raise ProviderError("either privileges or roles, and a user, must be specified")
        for privilege in privileges:
            _words(privilege)
        statement = f"GRANT {', '.join(privileges)} ON {_target(inputs)} TO {_account(inputs)}"
        if inputs.get("tlsOption") not in (None, "", "NONE"):
            statement += f" REQUIRE {_words(inputs['tlsOption'])}"
        self._run(connection, statement + (" WITH GRANT OPTION" if inputs.get("grant") else ""), "Error running SQL")
        identity = f"{inputs['user']}@{inputs['host']}:{_identifier(inputs['database'])}"
        return identity, {**inputs, "privileges": privileges, "grant": bool(inputs.get("grant"))}

    def _look_grant(self, connection: Any, resource: Resource, known: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        if not known:
            raise ProviderError("import of a grant is not supported by the embedded engine: use the Pulumi CLI")
        self._require_version(connection)
        try:
            self._rows(connection, f"SHOW GRANTS FOR {_account(known)}")
        except ProviderError as error:
            if f"Error {_NO_SUCH_GRANT} " in str(error):
                return None
            raise
        return resource.id, {**{key: value for key, value in known.items() if key != "id"}, "roles": []}

    def _read_database(self, connection: Any, name: str) -> dict[str, Any] | None:
        query = "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME=%s"
        rows = self._rows(connection, query, (name,))
        return {"name": name, "defaultCharacterSet": rows[0][0], "defaultCollation": rows[0][1]} if rows else None

    def _require_version(self, connection: Any) -> None:
        """What the published provider asks before it touches an account; its failure on MariaDB from 10.10 on is part of it."""
        try:
            self._rows(connection, "SELECT @@GLOBAL.innodb_version")
        except ProviderError as error:
            raise BareError(str(error)) from None

    def _rows(self, connection: Any, query: str, arguments: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        import pymysql

        try:
            with connection.cursor() as cursor:
                cursor.execute(query, arguments or None)
                return list(cursor.fetchall())
        except pymysql.MySQLError as error:
            raise ProviderError(_described(error)) from None

    def _run(
        self, connection: Any, statement: str, words: str = "", *, hidden: str | None = None, missing: tuple[int, ...] = ()
    ) -> None:
        """Executes a statement; errors whose numbers are in ``missing`` mean that it is done already."""
        import pymysql

        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        except pymysql.MySQLError as error:
            if error.args and error.args[0] in missing:
                return
            text = _described(error)
            if hidden:
                text = text.replace(hidden, "[secret]")
            raise ProviderError(f"{words}: {text}" if words else text) from None

    @contextlib.contextmanager
    def _connected(self) -> Iterator[pymysql.connections.Connection[Any]]:
        connection = self._connect()
        try:
            yield connection
        finally:
            with contextlib.suppress(Exception):
                connection.close()

    def _connect(self) -> Any:
        """A connection to the server, through the proxy if there is one. Raises ``ProviderError``."""
        import pymysql

        endpoint = self._setting("endpoint", "MYSQL_ENDPOINT")
        if not endpoint:
            raise ProviderError("mysql: no endpoint is configured; give the Provider `endpoint` (host:port)")
        socket_path = endpoint if endpoint.startswith("/") else None
        host, _, port = endpoint.rpartition(":") if ":" in endpoint else (endpoint, "", "3306")
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                connection: Any = pymysql.connect(
                    host="localhost" if socket_path else host,
                    port=0 if socket_path else int(port),
                    unix_socket=socket_path,
                    user=self._setting("username", "MYSQL_USERNAME"),
                    password=self._setting("password", "MYSQL_PASSWORD"),
                    charset="utf8mb4",
                    autocommit=True,
                    connect_timeout=_TIMEOUT,
                    ssl=self._tls(),
                    ssl_disabled=self._setting("tls", "MYSQL_TLS_CONFIG") in ("", "false", "preferred"),
                    defer_connect=True,
                )
                connection.connect(None if socket_path else self._proxied(host, int(port)))
            except pymysql.MySQLError as error:
                if error.args and error.args[0] == 2003 and time.monotonic() < end:
                    time.sleep(0.5)
                    continue
                raise ProviderError(f"failed to connect to MySQL: {_described(error)}") from None
            except ValueError:
                raise ProviderError(f"mysql: endpoint {endpoint!r} is not host:port") from None
            except OSError as error:  # the proxy
                if time.monotonic() < end and isinstance(error, ConnectionError):
                    time.sleep(0.5)
                    continue
                raise ProviderError(f"failed to connect to MySQL at {endpoint}: {error}") from None
            return connection

    def _setting(self, name: str, variable: str) -> str:
        return str(self.settings.get(name) or os.environ.get(variable, ""))

    def _tls(self) -> Any:
        import ssl

        mode = self._setting("tls", "MYSQL_TLS_CONFIG")
        if mode in ("", "false", "preferred"):
            return None
        if mode not in ("true", "skip-verify"):
            raise ProviderError(f"mysql: tls {mode!r} is none of true, false, skip-verify")
        context = ssl.create_default_context()
        if mode == "skip-verify":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _proxied(self, host: str, port: int) -> Any:
        """A socket through the SOCKS proxy; ``None`` where there is none. The server's name is resolved behind the proxy."""
        address = str(self.settings.get("proxy") or os.environ.get("ALL_PROXY", ""))
        if not address:
            return None
        url = urlsplit(address)
        if url.scheme not in ("socks5", "socks5h") or not url.hostname:
            raise ProviderError("mysql: the proxy is not socks5://[user:password@]host:port")
        import socks

        user, password = (unquote(part) if part else None for part in (url.username, url.password))
        return socks.create_connection(
            (host, port),
            timeout=_TIMEOUT,
            proxy_type=socks.SOCKS5,
            proxy_addr=url.hostname,
            proxy_port=url.port or 1080,
            proxy_rdns=True,
            proxy_username=user,
            proxy_password=password,
        )


def _name(resource: Resource) -> str:
    return resource.type.rsplit(":", 1)[-1]


def _hashed(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _user_outputs(inputs: dict[str, Any]) -> dict[str, Any]:
    outputs = {key: value for key, value in inputs.items() if value is not None and key != "id"}
    if isinstance(outputs.get("plaintextPassword"), str) and not isinstance(outputs["plaintextPassword"], Unknown):
        outputs["plaintextPassword"] = _hashed(outputs["plaintextPassword"])
    return outputs


def _identifier(name: str) -> str:
    if "\x00" in name or not name:
        raise ProviderError(f"{name!r} is no name of a database")
    return "`" + name.replace("`", "``") + "`"


def _quoted(text: str) -> str:
    table = {"\\": "\\\\", "'": "\\'", '"': '\\"', "\x00": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z"}
    return "'" + "".join(table.get(char, char) for char in text) + "'"


def _account(values: dict[str, Any]) -> str:
    return f"{_quoted(str(values.get('user', '')))}@{_quoted(str(values.get('host') or 'localhost'))}"


def _target(values: dict[str, Any]) -> str:
    database, table = str(values.get("database", "")), str(values.get("table") or "*")
    return f"{'*' if database == '*' else _identifier(database)}.{'*' if table == '*' else _identifier(table)}"


def _words(text: str) -> str:
    """Words of SQL that cannot be quoted: privileges, ``REQUIRE`` options. Raises ``ProviderError`` for anything else."""
    if not re.fullmatch(r"[A-Za-z_ ]+(\([\w`, ]+\))?", text):
        raise ProviderError(f"{text!r} is no privilege or option")
    return text


def _database_clause(values: dict[str, Any]) -> str:
    clause = _identifier(values["name"])
    for words, key in (("CHARACTER SET", "defaultCharacterSet"), ("COLLATE", "defaultCollation")):
        if values.get(key):
            clause += f" {words} {_identifier(values[key])}"
    return clause


def _described(error: Exception) -> str:
    """A server's error as the Go driver words it."""
    if len(error.args) >= 2 and isinstance(error.args[0], int):
        number, text = error.args[:2]
        if number >= 2000 and number < 3000:
            return str(text)
        return f"Error {number} ({_SQLSTATES.get(number, 'HY000')}): {text}"
    return str(error)
