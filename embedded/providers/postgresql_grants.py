"""Privileges of a role on a database, a schema, tables or sequences."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from embedded.providers.base import ProviderError
from embedded.providers.postgresql_server import Server, identifier
from embedded.providers.schema import set_order

PRIVILEGES = {
    "database": frozenset(("CREATE", "CONNECT", "TEMPORARY")),
    "schema": frozenset(("CREATE", "USAGE")),
    "table": frozenset(("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")),
    "sequence": frozenset(("USAGE", "SELECT", "UPDATE")),
}
_KINDS = {"table": "r", "sequence": "S"}


def grant(server: Server, inputs: dict[str, Any]) -> None:
    """Takes all privileges on the object from the role and gives those that are wanted. Raises ``ProviderError``."""
    kind, privileges = inputs["objectType"], inputs.get("privileges") or []
    if kind != "database" and not inputs.get("schema"):
        raise ProviderError("parameter 'schema' is mandatory for postgresql_grant resource")
    if inputs.get("objects") and kind in ("database", "schema"):
        raise ProviderError("cannot specify `objects` when `object_type` is `database` or `schema`")
    for privilege in privileges:
        if privilege not in (*PRIVILEGES[kind], "ALL"):
            raise ProviderError(f"{privilege} is not an allowed privilege for object type {kind}")
    with server.transaction(inputs["database"]) as connection, _as_owners(server, connection, inputs):
        server.run(connection, "could not execute revoke query", *_revoke(inputs))
        if privileges:
            target, values = _target(inputs)
            words = f"GRANT {','.join(set_order(privileges))} ON {target} TO {_grantee(inputs)}"
            words += " WITH GRANT OPTION" if inputs.get("withGrantOption") else ""
            server.run(connection, "could not execute grant query", words, *values, *_grantee_values(inputs))


def revoke(server: Server, known: dict[str, Any]) -> None:
    """Takes all privileges on the object from the role."""
    with server.transaction(known["database"]) as connection, _as_owners(server, connection, known):
        server.run(connection, "could not execute revoke query", *_revoke(known))


def _revoke(inputs: dict[str, Any]) -> tuple[Any, ...]:
    target, values = _target(inputs)
    return (f"REVOKE ALL PRIVILEGES ON {target} FROM {_grantee(inputs)}", *values, *_grantee_values(inputs))


def stands(server: Server, known: dict[str, Any]) -> bool:
    """Whether role, database and schema of a grant are all there."""
    with server.connected() as connection:
        if not server.rows(connection, "SELECT 1 FROM pg_database WHERE datname=%s", known["database"]):
            return False
        role = known["role"]
        if role.lower() != "public" and not server.rows(connection, "SELECT 1 FROM pg_roles WHERE rolname=%s", role):
            return False
    if not known.get("schema"):
        return True
    with server.connected(known["database"]) as connection:
        return bool(server.rows(connection, "SELECT 1 FROM pg_namespace WHERE nspname=%s", known["schema"]))


def settled(server: Server, inputs: dict[str, Any]) -> dict[str, Any]:
    """A grant just made. Where none of its privileges could be given (the server only warns), it stands as asked for until a refresh."""
    asked = defaults(inputs)
    found = read(server, asked)
    return found if found["privileges"] else asked


def read(server: Server, known: dict[str, Any]) -> dict[str, Any]:
    """A grant with the privileges that the role has. Where there is no object to have them on, they are as they were."""
    kind, role = known["objectType"], known["role"]
    with server.transaction(known["database"]) as connection:
        oid = 0
        if role.lower() != "public":
            rows = server.rows(connection, "SELECT oid FROM pg_roles WHERE rolname = %s", role)
            if not rows:
                raise ProviderError(f"could not find oid for role {role}")
            oid = rows[0][0]
        if kind in ("database", "schema"):
            table, column, key = (
                ("pg_database", "datacl", "datname") if kind == "database" else ("pg_namespace", "nspacl", "nspname")
            )
            query = f"SELECT privilege_type FROM {table}, aclexplode({column}) AS acl WHERE {key} = %s AND acl.grantee = %s"
            rows = server.rows(connection, query, known["database"] if kind == "database" else known["schema"], oid)
            sets = [{row[0] for row in rows}]
        else:
            query = (
                "SELECT c.relname, ARRAY(SELECT privilege_type FROM aclexplode(c.relacl) AS acl WHERE acl.grantee = %s) FROM pg_class AS c "
                "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = %s"
            )
            rows = server.rows(connection, query, oid, known["schema"], _KINDS[kind])
            wanted = set(known.get("objects") or [])
            sets = [set(row[1]) for row in rows if not wanted or row[0] in wanted]
    asked = set(known.get("privileges") or [])
    if "ALL" in asked:
        asked = (asked - {"ALL"}) | (PRIVILEGES[kind] - ({"MAINTAIN"} if kind == "table" else set()))
    different = next((found for found in sets if found != asked), None)
    return known if different is None else {**known, "privileges": set_order(different)}


@contextlib.contextmanager
def _as_owners(server: Server, connection: Any, values: dict[str, Any]) -> Iterator[None]:
    """Member of the roles that own what a grant is about, for a plain role; not so for a database, as the published provider."""
    owners: list[str] = []
    if values["objectType"] != "database":
        queries: list[tuple[str, tuple[Any, ...]]] = [
            (
                "SELECT rolname FROM pg_namespace JOIN pg_roles ON nspowner = pg_roles.oid WHERE nspname = %s",
                (values["schema"],),
            ),
            ("SELECT rolname FROM pg_database JOIN pg_roles ON datdba = pg_roles.oid WHERE datname = current_database()", ()),
        ]
        if values["objectType"] == "table":
            queries.insert(0, ("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = %s", (values["schema"],)))
        for query, arguments in queries:
            owners += [row[0] for row in server.rows(connection, query, *arguments)]
    with contextlib.ExitStack() as stack:
        for owner in sorted({owner for owner in owners if not owner.startswith("pg_")}):
            stack.enter_context(server.member(connection, owner))
        yield


def defaults(inputs: dict[str, Any]) -> dict[str, Any]:
    """A grant's properties with those that were not given."""
    absent = {"columns": None, "objects": None, "schema": None, "withGrantOption": False}
    given = {key: value for key, value in inputs.items() if value is not None}
    return {**absent, **given, "privileges": set_order(given.get("privileges") or [])}


def identity(inputs: dict[str, Any]) -> str:
    """The id of a grant."""
    parts = [inputs["role"], inputs["database"]]
    if inputs["objectType"] != "database":
        parts.append(inputs["schema"])
    return "_".join([*parts, inputs["objectType"], *sorted(inputs.get("objects") or [])])


def _target(inputs: dict[str, Any]) -> tuple[str, list[Any]]:
    """What a grant is about, as SQL with places, and what goes into them."""
    kind = inputs["objectType"]
    if kind in ("database", "schema"):
        return f"{kind.upper()} {{}}", [identifier(inputs[kind])]
    if inputs.get("objects"):
        names = [_qualified(inputs["schema"], name) for name in inputs["objects"]]
        return f"{kind.upper()} {', '.join('{}' for _ in names)}", names
    return f"ALL {kind.upper()}S IN SCHEMA {{}}", [identifier(inputs["schema"])]


def _qualified(schema: str, name: str) -> Any:
    from psycopg import sql

    return sql.Identifier(schema, name)


def _grantee(inputs: dict[str, Any]) -> str:
    return "PUBLIC" if inputs["role"].lower() == "public" else "{}"


def _grantee_values(inputs: dict[str, Any]) -> list[Any]:
    return [] if inputs["role"].lower() == "public" else [identifier(inputs["role"])]
