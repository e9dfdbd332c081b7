"""One migration back: window, snapshot, the tool's own way, verified; what fails or is cut is as before."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Service
from .databases import MariaDB, PostgreSQL
from .test_migrations import M1, M2, Data, Files, Writer, server

pytestmark = pytest.mark.sandbox
__all__ = ["server"]

DOWN = "ALTER TABLE votes DROP COLUMN extra;\n"


def stage(data: Data, page: str, migrations: dict[str, str], down: dict[str, str]) -> str:
    """A release with ``migrations`` and the ways back ``down``."""
    files: Files = {"index.html": page}
    files |= {f"migrations/{name}.sql": text for name, text in migrations.items()}
    files |= {f"migrations/{name}.down.sql": text for name, text in down.items()}
    return data.service.stage(files, migrations=sorted(migrations))


def asked(data: Data, **more: object) -> dict[str, Any]:
    request = data.service.request("adopted")
    return {
        "service": data.service.key, "target": data.service.target, "migrate": data.migrate, "schema": data.schema,
        "database": {"engine": data.engine, "name": data.name}, "probe": request["probe"], **more,
    }  # fmt: skip


def columns(data: Data) -> set[str]:
    rows = data.query(f"SELECT column_name FROM information_schema.columns WHERE table_name = 'votes' AND {data.own}")
    return {str(row[0]) for row in rows}


def applied(data: Data) -> list[str]:
    return [row[0] for row in data.query("SELECT version FROM schema_version ORDER BY version")]


def test_the_last_migration_is_taken_back_by_the_release_that_brought_it(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server)
    one = stage(data, "one", M1, {})
    service.switch(one, **data.fields(sorted(M1)))
    two = stage(data, "two", M2, {"0002_more": DOWN})
    service.switch(two, **data.fields(sorted(M2)))
    service.switch(one, **data.fields(sorted(M1)))
    done = service.remote.run("down", **asked(data, migration="0002_more"))
    assert (done["undone"], done["schema"], done["release"]) == ("0002_more", "0001_init", two)
    assert applied(data) == ["0001_init"]
    assert columns(data) == {"id", "what"}
    assert not (service.base / "maintenance").exists()
    # What it was before is there again on request, and forward it goes by the next deploy.
    data.snapshot("restore", done["snapshot"])
    assert columns(data) == {"id", "what", "extra"}
    assert "the last migration of mo_votes is 0002_more, not 0001_init" in service.remote.refused(
        "down", **asked(data, migration="0001_init")
    )
    service.remote.run("down", **asked(data))
    assert service.switch(two, **data.fields(sorted(M2)))["migrations"] == ["0002_more"]


def test_a_step_back_that_fails_is_restored_inside_its_window(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server)
    bad = "ALTER TABLE votes DROP COLUMN extra;\nALTER TABLE no_such_table DROP COLUMN x;\n"
    two = stage(data, "two", M2, {"0002_more": bad})
    service.switch(two, **data.fields(sorted(M2)))
    with Writer(data) as writer:
        sentence = service.remote.refused("down", **asked(data))
    assert "no_such_table" in sentence
    assert writer.missing() == []
    assert columns(data) == {"id", "what", "extra"}
    assert applied(data) == sorted(M2)
    assert not (service.base / "maintenance").exists()
    assert not (service.base / "switching").exists()


def test_a_migration_without_a_way_back_is_named_and_nothing_changes(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb)
    service.switch(stage(data, "two", M2, {}), **data.fields(sorted(M2)))
    sentence = service.remote.refused("down", **asked(data))
    assert "0002_more.down.sql" in sentence
    assert "snapshots list votes" in sentence
    assert columns(data) == {"id", "what", "extra"}


@pytest.mark.parametrize("by", ["down", "switch"])
def test_a_step_back_that_was_cut_is_restored_by_the_next_run(service: Service, mariadb: MariaDB, by: str) -> None:
    data = Data(service, mariadb)
    two = stage(data, "two", M2, {"0002_more": DOWN})
    service.switch(two, **data.fields(sorted(M2)))
    made = data.snapshot("make")["made"]
    # As a kill leaves it: the window, the journal, and half of what the step back does.
    (service.base / "switching").write_text(
        f"j_phase='migrating' j_release='{two}' j_previous='{two}' j_snapshot='{made}' j_offline='yes' j_kind='down'\n"
    )
    (service.base / "maintenance").touch()
    service.remote.own(service.base)
    data.query("ALTER TABLE votes DROP COLUMN extra")
    if by == "switch":
        service.switch(two, **data.fields(sorted(M2)))
        assert applied(data) == sorted(M2)
        assert columns(data) == {"id", "what", "extra"}
    else:
        done = service.remote.run("down", **asked(data))
        assert done["recovered"] == ["migrating"]
        assert applied(data) == ["0001_init"]
        assert columns(data) == {"id", "what"}
    assert not (service.base / "maintenance").exists()
    assert not (service.base / "switching").exists()


def test_alembic_goes_back_by_its_own_command(service: Service, postgresql: PostgreSQL) -> None:
    data = Data(service, postgresql, kind="alembic", directory="alembic")
    data.schema = {"query": "SELECT version_num FROM alembic_version", "expect": None}
    # The tool as the release brings it, reduced to what this test looks at: its arguments and its effect on alembic_version.
    tool = (
        "import os, subprocess, sys\nassert sys.argv[1:] == ['downgrade', '-1']\nto, e = open('back').read(), os.environ\n"
        "where = ['-h', e['DB_HOST'], '-p', e['DB_PORT'], '-U', e['DB_USER'], e['DB_NAME']]\n"
        "done = f\"UPDATE alembic_version SET version_num = '{to}'\"\n"
        "subprocess.run(['psql', *where, '-c', done], env={**e, 'PGPASSWORD': e['DB_PASS']}, check=True)\n"
    )
    data.query("CREATE TABLE alembic_version (version_num varchar(32))")
    data.query("INSERT INTO alembic_version VALUES ('b2')")
    data.query("ALTER TABLE alembic_version OWNER TO svc_votes")
    release = service.stage({"index.html": "one", "alembic/__main__.py": tool, "back": "a1"}, migrations=["a1", "b2"])
    service.switch(release, **data.fields(["a1", "b2"]))
    done = service.remote.run("down", **asked(data))
    assert (done["undone"], done["schema"]) == ("b2", "a1")
    assert data.query("SELECT version_num FROM alembic_version") == [("a1",)]
    # Its schema version is verified: a tool that says yes and does nothing is found out, and what it did is restored.
    data.query("UPDATE alembic_version SET version_num = 'b2'")
    silent = service.stage({"index.html": "two", "alembic/__main__.py": tool, "back": "zz"}, migrations=["a1", "b2"])
    service.switch(silent, **data.fields(["a1", "b2"]))
    sentence = service.remote.refused("down", **asked(data))
    assert "is at 'zz', expected 'a1'" in sentence
    assert data.query("SELECT version_num FROM alembic_version") == [("b2",)]
