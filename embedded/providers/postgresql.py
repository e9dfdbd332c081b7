"""Package ``postgresql``: roles, databases and grants, as provider 3.18.2 makes them, on psycopg.

Reproduced, since the state must agree: as a plain role the provider takes the owner role for CREATE and DROP DATABASE only, so that a
later change of the database fails; privileges that a plain role cannot give are a warning of the server, seen at the next refresh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from embedded.providers import postgresql_grants as grants
from embedded.providers.base import CheckFailure, Log, ProviderError, Resource
from embedded.providers.bridge import BridgedProvider
from embedded.providers.postgresql_server import Server, identifier, literal
from embedded.providers.schema import Field, Schema, set_order
from embedded.values import PropertyMap

_FLAGS = (  # in the order of the published provider's statement
    ("superuser", "SUPERUSER"),
    ("createDatabase", "CREATEDB"),
    ("createRole", "CREATEROLE"),
    ("inherit", "INHERIT"),
    ("login", "LOGIN"),
    ("bypassRowLevelSecurity", "BYPASSRLS"),
    ("replication", "REPLICATION"),
)


def provider(version: str, project_directory: str, log: Log) -> PostgresqlProvider:
    """A provider that is not connected to anything yet."""
    return PostgresqlProvider(version, project_directory, log)


def _fixed(kind: str = "str", required: bool = False, computed: bool = False) -> Field:
    return Field(kind, required=required, computed=computed, replace=True)


class PostgresqlProvider(BridgedProvider):
    """The provider ``postgresql``."""

    _made: Server | None = None

    package = "postgresql"
    secret_settings = frozenset(("password",))
    schemas: ClassVar[Mapping[str, Schema]] = {
        "postgresql:index/role:Role": Schema(
            {
                "assumeRole": Field(),
                "bypassRowLevelSecurity": Field("bool"),
                "connectionLimit": Field("int", default=-1),
                "createDatabase": Field("bool"),
                "createRole": Field("bool"),
                "encrypted": Field(deprecated='Rename PostgreSQL role resource attribute "encrypted" to "encrypted_password"'),
                "encryptedPassword": Field("bool", default=True),
                "idleInTransactionSessionTimeout": Field("int"),
                "inherit": Field("bool", default=True),
                "login": Field("bool"),
                "name": Field(named=True),
                "password": Field(secret=True),
                "passwordWo": Field(secret=True),
                "passwordWoVersion": Field(),
                "replication": Field("bool"),
                "roles": Field("set"),
                "searchPaths": Field("list"),
                "skipDropRole": Field("bool"),
                "skipReassignOwned": Field("bool"),
                "statementTimeout": Field("int"),
                "superuser": Field("bool"),
                "validUntil": Field(default="infinity"),
            }
        ),
        "postgresql:index/database:Database": Schema(
            {
                "allowConnections": Field("bool", default=True),
                "alterObjectOwnership": Field("bool"),
                "connectionLimit": Field("int", default=-1),
                "encoding": _fixed(computed=True),
                "isTemplate": Field("bool", computed=True),
                "lcCollate": _fixed(computed=True),
                "lcCtype": _fixed(computed=True),
                "name": Field(named=True),
                "owner": Field(computed=True),
                "tablespaceName": Field(computed=True),
                "template": _fixed(computed=True),
            }
        ),
        "postgresql:index/grant:Grant": Schema(
            {
                "columns": _fixed("set"),
                "database": _fixed(required=True),
                "objectType": _fixed(required=True),
                "objects": _fixed("set"),
                "privileges": Field("set", required=True),
                "role": _fixed(required=True),
                "schema": _fixed(),
                "withGrantOption": _fixed("bool"),
            }
        ),
    }

    @property
    def _server(self) -> Server:
        if self._made is None or self._made.settings is not self.settings:
            self._made = Server(self.settings, self.directory)
        return self._made

    def validate(self, resource: Resource, inputs: dict[str, Any]) -> list[CheckFailure]:
        if _name(resource) == "Role":
            refused = [key for key in ("encrypted", "passwordWo", "passwordWoVersion", "assumeRole") if inputs.get(key)]
            return [CheckFailure(key, f"{key} is not supported by the embedded engine: use the Pulumi CLI") for key in refused]
        kind = inputs.get("objectType")
        if _name(resource) == "Grant" and isinstance(kind, str) and kind not in grants.PRIVILEGES:
            words = ", ".join(grants.PRIVILEGES)
            return [
                CheckFailure(
                    "objectType", f"{kind!r} is not supported by the embedded engine, which has {words}: use the Pulumi CLI"
                )
            ]
        return []

    def make(self, resource: Resource, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        match _name(resource):
            case "Role":
                with self._server.transaction() as connection:
                    self._make_role(connection, inputs)
                return inputs["name"], self._read_role(inputs["name"], _role_defaults(inputs)) or {}
            case "Database":
                self._make_database(inputs)
                return inputs["name"], self._read_database(inputs["name"], _database_defaults(inputs)) or {}
            case _:
                grants.grant(self._server, inputs)
                return grants.identity(inputs), grants.settled(self._server, inputs)

    def look(self, resource: Resource, known: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        known = {key: value for key, value in known.items() if key != "id"}
        match _name(resource):
            case "Role":
                defaults = known or _role_defaults({"encryptedPassword": True})
                name = str(defaults.get("name") or resource.id)
                found = self._read_role(name, {**defaults, "roles": defaults.get("roles") or [], "searchPaths": []})
            case "Database":
                name = str(known.get("name") or resource.id)
                found = self._read_database(name, known or _database_defaults({}))
            case _:
                if not known:
                    raise ProviderError("import of a grant is not supported by the embedded engine: use the Pulumi CLI")
                found = grants.read(self._server, known) if grants.stands(self._server, known) else None
        return None if found is None else (str(found.get("name") or resource.id), found)

    def change(self, resource: Resource, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        match _name(resource):
            case "Role":
                with self._server.transaction() as connection:
                    self._change_role(connection, old, new)
                lists: dict[str, Any] = {key: None if old.get(key) is None else [] for key in ("roles", "searchPaths")}
                found = self._read_role(new["name"], {**_role_defaults(new), **lists}) or {}
                return {**found, "id": new["name"]}
            case "Database":
                self._change_database(old, new)
                known = {**_database_defaults(new), "template": old.get("template")}
                return {**(self._read_database(new["name"], known) or {}), "id": new["name"]}
            case _:
                grants.grant(self._server, new)
                return grants.settled(self._server, new)

    def remove(self, resource: Resource, known: dict[str, Any]) -> None:
        match _name(resource):
            case "Role":
                if not known.get("skipDropRole"):
                    self._drop_role(known)
            case "Database":
                self._drop_database(known)
            case _:
                grants.revoke(self._server, known)

    def delta(self, resource: Resource, outputs: dict[str, Any]) -> PropertyMap | None:
        kind = _name(resource)
        names = {"Role": ("roles", "searchPaths"), "Grant": ("columns", "objects", "privileges")}.get(kind, ())
        arrays: PropertyMap = {name: {"arr": {}} for name in names if isinstance(outputs.get(name), list)}
        delta: PropertyMap = {"ps": arrays} if arrays else {}
        if kind == "Role":
            delta["renamed"] = {"searchPaths": "search_path"}
        return {"obj": delta}

    def _make_role(self, connection: Any, inputs: dict[str, Any]) -> None:
        statement, values = "CREATE ROLE {} WITH", [identifier(inputs["name"])]
        if inputs.get("password"):
            statement += f" {'ENCRYPTED' if inputs.get('encryptedPassword', True) else 'UNENCRYPTED'} PASSWORD {{}}"
            encrypted = inputs.get("encryptedPassword", True)
            values.append(
                self._server.verifier(connection, inputs["name"], inputs["password"]) if encrypted else literal(inputs["password"])
            )
        statement += f" VALID UNTIL {{}} CONNECTION LIMIT {int(inputs['connectionLimit'])}"
        values.append(literal(inputs.get("validUntil") or "infinity"))
        statement += "".join(f" {'' if inputs.get(key) else 'NO'}{word}" for key, word in _FLAGS)
        name = inputs["name"]
        self._server.run(connection, f"error creating role {name}", statement, *values, hidden=inputs.get("password"))
        for granted in inputs.get("roles") or []:
            self._server.run(
                connection, f"could not grant role {granted} to {name}", "GRANT {} TO {}", identifier(granted), identifier(name)
            )
        self._set_role(connection, name, inputs)

    def _set_role(self, connection: Any, name: str, inputs: dict[str, Any], old: dict[str, Any] | None = None) -> None:
        paths = inputs.get("searchPaths")
        if paths:
            places = ", ".join("{}" for _ in paths)
            self._server.run(
                connection,
                "could not set search_path",
                f"ALTER ROLE {{}} SET search_path TO {places}",
                *map(identifier, (name, *paths)),
            )
        else:
            self._server.run(connection, "could not set search_path", "ALTER ROLE {} SET search_path TO DEFAULT", identifier(name))
        for key, word in (
            ("statementTimeout", "statement_timeout"),
            ("idleInTransactionSessionTimeout", "idle_in_transaction_session_timeout"),
        ):
            value = int(inputs.get(key) or 0)
            if value:
                self._server.run(connection, f"could not set {word}", f"ALTER ROLE {{}} SET {word} TO {value}", identifier(name))
            elif old and old.get(key):
                self._server.run(connection, f"could not reset {word}", f"ALTER ROLE {{}} RESET {word}", identifier(name))

    def _change_role(self, connection: Any, old: dict[str, Any], new: dict[str, Any]) -> None:
        name = identifier(new["name"])
        if old["name"] != new["name"]:
            self._server.run(connection, "error updating role NAME", "ALTER ROLE {} RENAME TO {}", identifier(old["name"]), name)
        if new.get("password") != old.get("password") or (old["name"] != new["name"] and new.get("password")):
            value = self._server.verifier(connection, new["name"], new["password"]) if new.get("password") else literal(None)
            self._server.run(
                connection, "error updating role password", "ALTER ROLE {} PASSWORD {}", name, value, hidden=new.get("password")
            )
        for key, word in _FLAGS:
            if bool(new.get(key)) != bool(old.get(key)):
                self._server.run(
                    connection, f"error updating role {word}", f"ALTER ROLE {{}} WITH {'' if new.get(key) else 'NO'}{word}", name
                )
        if new["connectionLimit"] != old.get("connectionLimit"):
            limit = int(new["connectionLimit"])
            self._server.run(connection, "error updating role CONNECTION LIMIT", f"ALTER ROLE {{}} CONNECTION LIMIT {limit}", name)
        if (new.get("validUntil") or "infinity") != (old.get("validUntil") or "infinity"):
            until = literal(new.get("validUntil") or "infinity")
            self._server.run(connection, "error updating role VALID UNTIL", "ALTER ROLE {} VALID UNTIL {}", name, until)
        before, after = set(old.get("roles") or []), set(new.get("roles") or [])
        for gone in sorted(before - after):
            self._server.run(connection, f"could not revoke role {gone}", "REVOKE {} FROM {}", identifier(gone), name)
        for granted in sorted(after - before):
            self._server.run(connection, f"could not grant role {granted}", "GRANT {} TO {}", identifier(granted), name)
        self._set_role(connection, new["name"], new, old)

    def _drop_role(self, known: dict[str, Any]) -> None:
        name = known["name"]
        with self._server.transaction() as connection:
            if not self._server.rows(connection, "SELECT 1 FROM pg_roles WHERE rolname=%s", name):
                return
            if not known.get("skipReassignOwned"):
                with self._server.member(connection, name):
                    for words in ("REASSIGN OWNED BY {} TO CURRENT_USER", "DROP OWNED BY {}"):
                        self._server.run(connection, f"could not reassign owned by role {name}", words, identifier(name))
            self._server.run(connection, f"could not drop role {name}", "DROP ROLE {}", identifier(name))

    def _read_role(self, name: str, known: dict[str, Any]) -> dict[str, Any] | None:
        query = (
            "SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolconnlimit, "
            "COALESCE(rolvaliduntil::TEXT, 'infinity'), rolconfig, rolreplication, rolbypassrls, "
            "ARRAY(SELECT pg_get_userbyid(roleid)::text FROM pg_catalog.pg_auth_members WHERE member = pg_roles.oid) "
            "FROM pg_catalog.pg_roles WHERE rolname=%s"
        )
        with self._server.transaction() as connection:
            rows = self._server.rows(connection, query, name)
        if not rows:
            return None
        superuser, inherit, create_role, create_database, login, limit, until, config, replication, bypass, roles = rows[0]
        settings = dict(item.split("=", 1) for item in config or [])
        paths = [part.strip().strip('"') for part in settings.get("search_path", "").split(",") if part.strip()]
        return {
            **known,
            "name": name,
            "superuser": superuser,
            "inherit": inherit,
            "createRole": create_role,
            "createDatabase": create_database,
            "login": login,
            "connectionLimit": limit,
            "validUntil": until,
            "replication": replication,
            "bypassRowLevelSecurity": bypass,
            # None where there never were any; what was taken away by hand is a difference.
            "roles": set_order(roles) if roles else [] if known.get("roles") else known.get("roles"),
            "searchPaths": paths or known.get("searchPaths"),
            "statementTimeout": _milliseconds(settings.get("statement_timeout")),
            "idleInTransactionSessionTimeout": _milliseconds(settings.get("idle_in_transaction_session_timeout")),
        }

    def _make_database(self, inputs: dict[str, Any]) -> None:
        statement, values = "CREATE DATABASE {}", [identifier(inputs["name"])]
        if inputs.get("owner"):
            statement += " OWNER {}"
            values.append(identifier(inputs["owner"]))
        template = inputs.get("template")
        if template:
            statement += " TEMPLATE " + ("DEFAULT" if template.upper() == "DEFAULT" else "{}")
            values += [] if template.upper() == "DEFAULT" else [identifier(template)]
        else:
            statement += " TEMPLATE template0"
        for key, word in (("encoding", "ENCODING"), ("lcCollate", "LC_COLLATE"), ("lcCtype", "LC_CTYPE")):
            value = inputs.get(key) or ("UTF8" if key == "encoding" else None)
            if value and value.upper() != "DEFAULT":
                statement += f" {word} {{}}"
                values.append(literal(value))
        if inputs.get("tablespaceName"):
            statement += " TABLESPACE {}"
            values.append(identifier(inputs["tablespaceName"]))
        statement += (
            f" ALLOW_CONNECTIONS {_boolean(inputs.get('allowConnections', True))} CONNECTION LIMIT {int(inputs['connectionLimit'])}"
        )
        statement += f" IS_TEMPLATE {_boolean(inputs.get('isTemplate'))}"
        with self._server.owner_for_database(inputs.get("owner")) as connection:
            self._server.run(connection, f'error creating database "{inputs["name"]}"', statement, *values)

    def _change_database(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        name = identifier(new["name"])
        with self._server.connected() as connection:
            if old["name"] != new["name"]:
                self._server.run(
                    connection, "error updating database name", "ALTER DATABASE {} RENAME TO {}", identifier(old["name"]), name
                )
            if new.get("owner") and new["owner"] != old.get("owner"):
                self._server.run(
                    connection, "error updating database OWNER", "ALTER DATABASE {} OWNER TO {}", name, identifier(new["owner"])
                )
            if new.get("tablespaceName") and new["tablespaceName"] != old.get("tablespaceName"):
                space = identifier(new["tablespaceName"])
                self._server.run(
                    connection, "error updating database TABLESPACE", "ALTER DATABASE {} SET TABLESPACE {}", name, space
                )
            if new["connectionLimit"] != old.get("connectionLimit"):
                limit = int(new["connectionLimit"])
                self._server.run(
                    connection, "error updating database CONNECTION LIMIT", f"ALTER DATABASE {{}} CONNECTION LIMIT = {limit}", name
                )
            for key, word in (("allowConnections", "ALLOW_CONNECTIONS"), ("isTemplate", "IS_TEMPLATE")):
                if new.get(key) is not None and bool(new[key]) != bool(old.get(key)):
                    self._server.run(
                        connection, f"error updating database {word}", f"ALTER DATABASE {{}} {word} {_boolean(new[key])}", name
                    )

    def _drop_database(self, known: dict[str, Any]) -> None:
        name = identifier(known["name"])
        with self._server.owner_for_database(known.get("owner")) as connection:
            if not self._server.rows(connection, "SELECT 1 FROM pg_database WHERE datname=%s", known["name"]):
                return
            if known.get("isTemplate"):
                self._server.run(connection, "error updating database IS_TEMPLATE", "ALTER DATABASE {} IS_TEMPLATE false", name)
            self._server.run(
                connection, "error blocking connections to database", "ALTER DATABASE {} ALLOW_CONNECTIONS false", name
            )
            words = " WITH ( FORCE )" if connection.info.server_version >= 130000 else ""
            self._server.run(connection, "error dropping database", f"DROP DATABASE {{}}{words}", name)

    def _read_database(self, name: str, known: dict[str, Any]) -> dict[str, Any] | None:
        query = (
            "SELECT pg_catalog.pg_get_userbyid(d.datdba), pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, "
            "ts.spcname, d.datconnlimit, d.datallowconn, d.datistemplate FROM pg_catalog.pg_database AS d "
            "JOIN pg_catalog.pg_tablespace AS ts ON d.dattablespace = ts.oid WHERE d.datname = %s"
        )
        with self._server.connected() as connection:
            rows = self._server.rows(connection, query, name)
        if not rows:
            return None
        names = ("owner", "encoding", "lcCollate", "lcCtype", "tablespaceName", "connectionLimit", "allowConnections", "isTemplate")
        found = dict(zip(names, rows[0], strict=True))
        return {**known, **found, "name": name, "template": known.get("template") or "template0"}


def _name(resource: Resource) -> str:
    return resource.type.rsplit(":", 1)[-1]


def _boolean(value: Any) -> str:
    return "true" if value else "false"


def _milliseconds(value: str | None) -> int:
    found = re.fullmatch(r"(\d+)(ms|s|min|h)?", value or "0")
    return int(found[1]) * {"ms": 1, "s": 1000, "min": 60000, "h": 3600000}[found[2] or "ms"] if found else 0


def _role_defaults(inputs: dict[str, Any]) -> dict[str, Any]:
    absent = {
        "encrypted": None,
        "password": None,
        "passwordWo": None,
        "passwordWoVersion": None,
        "roles": None,
        "searchPaths": None,
    }
    switches = {"assumeRole": "", "skipDropRole": False, "skipReassignOwned": False, "encryptedPassword": True}
    return {**absent, **switches, **{key: value for key, value in inputs.items() if value is not None}}


def _database_defaults(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"alterObjectOwnership": False, **{key: value for key, value in inputs.items() if value is not None}}
