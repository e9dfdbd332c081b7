"""A database that was there before is never migrated from its beginning; a baseline records its schema; a rollback runs no migration."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from .conftest import Service
from .databases import MariaDB, PostgreSQL
from .test_migrations import Data, server

pytestmark = pytest.mark.sandbox
__all__ = ["server"]

INIT = "DROP TABLE IF EXISTS visits;\nCREATE TABLE visits (id int PRIMARY KEY);\n"
MORE = "ALTER TABLE visits ADD COLUMN extra int;\n"
MIGRATIONS = {"0001_init": INIT, "0002_more": MORE}


def records(migrations: dict[str, str], kind: str) -> list[list[str]]:
    if kind == "alembic":
        return [["0001_init", ""]]
    return [[name, hashlib.sha256(text.encode()).hexdigest()] for name, text in migrations.items()]


def asked(data: Data, kind: str, migrations: dict[str, str]) -> dict[str, Any]:
    database = {"engine": data.engine, "name": data.name}
    return {"service": data.service.key, "kind": kind, "database": database, "records": records(migrations, kind)}


def grown(data: Data) -> None:
    """Four rows in a table that somebody made by hand."""
    data.query("CREATE TABLE visits (id int PRIMARY KEY)")
    data.query("INSERT INTO visits VALUES (1), (2), (3), (4)")
    if isinstance(data.server, PostgreSQL):
        data.query("ALTER TABLE visits OWNER TO svc_votes")


def rows(data: Data) -> int:
    return int(data.query("SELECT COUNT(*) FROM visits")[0][0])


@pytest.mark.parametrize("kind", ["sql", "prisma", "alembic"])
def test_tables_without_a_history_are_never_migrated_and_a_baseline_changes_nothing_else(
    service: Service, server: MariaDB | PostgreSQL, kind: str
) -> None:
    data = Data(service, server, kind, directory="prisma" if kind == "prisma" else "migrations")
    grown(data)
    refused = data.refused("one", MIGRATIONS)
    assert "holds 1 table and no history of migrations" in refused
    assert "bin/mo migrate votes --baseline" in refused
    assert rows(data) == 4
    assert service.live is None
    tables = set(data.query(f"SELECT table_name FROM information_schema.tables WHERE {data.own}"))
    assert {str(row[0]) for row in tables} == {"visits"}, "no table of the tool, no row of a failed migration"

    one = {"0001_init": INIT}
    done = service.remote.run("baseline", **asked(data, kind, one))
    assert (done["recorded"], done["tables"]) == (["0001_init"], 1)
    assert rows(data) == 4
    again = service.remote.refused("baseline", **asked(data, kind, one))
    assert "has a history of migrations already, up to 0001_init" in again
    if kind == "alembic":  # its tool is not here; what it would find is
        assert [tuple(row) for row in data.query("SELECT version_num FROM alembic_version")] == [("0001_init",)]
        return
    switched = data.deploy("one", MIGRATIONS)
    assert switched["migrations"] == ["0002_more"]
    assert rows(data) == 4


def test_a_baseline_of_an_empty_or_half_migrated_database_or_of_names_that_are_none_is_refused(
    service: Service, mariadb: MariaDB
) -> None:
    data = Data(service, mariadb)
    assert "holds no table; nothing was recorded" in service.remote.refused("baseline", **asked(data, "sql", MIGRATIONS))
    grown(data)
    bad = {**asked(data, "sql", MIGRATIONS), "records": [["../x", "0" * 64]]}
    assert "records" in service.remote.refused("baseline", **bad)
    assert "no SHA-256" in service.remote.refused("baseline", **{**bad, "records": [["x", "'; DROP TABLE visits; --"]]})
    assert "are empty" in service.remote.refused("baseline", **{**bad, "records": []})
    (service.base / "migrating").write_text("0 0001_init r0000000000000000 whole\n")
    assert "may be half applied" in service.remote.refused("baseline", **asked(data, "sql", MIGRATIONS))
    (service.base / "migrating").unlink()
    # Of two records of one name the second fails, and neither is there.
    twice = {**asked(data, "sql", MIGRATIONS), "records": records(MIGRATIONS, "sql")[:1] * 2}
    assert "nothing was recorded" in service.remote.refused("baseline", **twice)
    assert data.query("SELECT * FROM schema_version") == []
    assert rows(data) == 4


def back(service: Service, release: str) -> None:
    """What the program writes before a rollback's steps."""
    entry = {"release": release, "back": True, "activation": {"version": 1, "runtime": "files"}}
    (service.remote.state / "activations.json").write_text(json.dumps({"version": 1, "services": {service.key: entry}}))


def test_a_rollback_runs_no_migration_forward_and_is_not_refused_for_one(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server)
    one = data.stage("one", {"0001_init": "CREATE TABLE visits (id int PRIMARY KEY)"})
    fields = data.fields(["0001_init"])
    service.switch(one, **fields)
    two = data.stage("two", {"0001_init": "-- edited\n", "0009_other": MORE})
    service.switch(two)
    # The older release's own migration is missing in the database, and one that it does not know is there.
    data.query("DELETE FROM schema_version")
    back(service, one)
    done = service.switch(one, **fields)
    assert (done["schema"], done["migrations"], service.live) == ("kept", [], one)
    assert any("a rollback runs no migration; the database lacks 0001_init" in note for note in done["notes"])

    data.query("INSERT INTO schema_version (version, checksum) VALUES ('0002_of_two', '" + "a" * 64 + "')")
    service.switch(two)
    back(service, one)
    assert service.switch(one, **fields)["schema"] == "ahead"


@pytest.mark.parametrize("query", ["SELECT version FROM nowhere", "SELECT MAX(version) FROM schema_version"])
def test_nor_does_a_rollback_run_a_tool_that_keeps_its_own_history(service: Service, mariadb: MariaDB, query: str) -> None:
    data = Data(service, mariadb, "command", commands=[["touch", "ran"]])
    data.schema = None
    one = data.stage("one", {})
    service.switch(one)
    service.switch(data.stage("two", {}))
    back(service, one)
    data.schema = {"query": query, "expect": "5.1"}
    done = service.switch(one, **data.fields([]))
    assert (done["schema"], done["migrations"], service.live) == ("kept", [], one)
    assert not (service.base / "releases" / one / "ran").exists()
