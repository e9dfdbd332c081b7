"""The data steps of ``switch`` on real servers: snapshot, migrations of every kind, verification, restore, direction."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from typing import Any

import pytest

from .conftest import Service
from .databases import MariaDB, PostgreSQL
from .site import Poller

pytestmark = pytest.mark.sandbox
PASSWORD = "canary7c1f-'\"\\$`#:; ü%"
Files = dict[str, str | bytes]


class Data:
    """A service with a database on either server, its secrets file written."""

    def __init__(
        self, service: Service, server: MariaDB | PostgreSQL, kind: str = "sql", mode: str = "online", **migrate: object
    ) -> None:
        self.service, self.server = service, server
        self.name = "mo_" + service.key
        variables = server.database(self.name, "svc_" + service.key, PASSWORD)
        service.remote.run("env", service=service.key, variables=variables)
        self.migrate = {"kind": kind, "mode": mode, "timeout": 60, "directory": "migrations", "commands": [], **migrate}
        self.schema = (
            {"query": "SELECT version FROM schema_version ORDER BY version DESC LIMIT 1", "expect": None} if kind == "sql" else None
        )
        self.engine = variables["DB_ENGINE"]
        # Of information_schema: MariaDB's tells of every database of the server, and so of other tests'.
        self.own = f"table_schema IN ('public', '{self.name}')"
        service.remote.servers = {"server": server.server}
        service.remote.write()

    def snapshot(self, action: str, name: str | None = None, **more: object) -> dict[str, Any]:
        """An operator's action on the service's snapshots."""
        return self.service.remote.run("snapshot", **self.asked(action, name), **more)

    def asked(self, action: str, name: str | None = None) -> dict[str, Any]:
        """The request of ``snapshot``."""
        where = {"target": self.service.target, "server": "server", "database": self.name, "user": "svc_" + self.service.key}
        named = {} if name is None else {"name": name}
        probe = self.service.request("adopted")["probe"]
        return {"service": self.service.key, "action": action, "schema": self.schema, "probe": probe, **where, **named}

    def fields(self, names: list[str]) -> dict[str, Any]:
        return {
            "migrate": self.migrate | {"migrations": names},
            "schema": self.schema,
            "database": {"engine": self.engine, "name": self.name},
        }

    def deploy(self, page: str, migrations: dict[str, str], **more: object) -> dict[str, Any]:
        release = self.stage(page, migrations)
        return self.service.switch(release, **self.fields(sorted(migrations)), **more)

    def stage(self, page: str, migrations: dict[str, str]) -> str:
        files: Files = {"index.html": page}
        for name, text in migrations.items():
            files[f"prisma/{name}/migration.sql" if self.migrate["kind"] == "prisma" else f"migrations/{name}.sql"] = text
        return self.service.stage(files)

    def refused(self, page: str, migrations: dict[str, str], **more: object) -> str:
        release = self.stage(page, migrations)
        return self.service.remote.refused("switch", **self.service.request(release, **self.fields(sorted(migrations)), **more))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.server.query(sql, self.name)


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> MariaDB | PostgreSQL:
    found: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return found


M1 = {
    "0001_init": "CREATE TABLE votes (id int PRIMARY KEY, what varchar(50));\nINSERT INTO votes VALUES (1, 'semi;colon -- no comment')"
}
M2 = M1 | {"0002_more": "-- a comment; with a semicolon\nALTER TABLE votes ADD COLUMN extra int;\nUPDATE votes SET extra = 7;\n"}
BAD = M2 | {"0003_bad": "CREATE TABLE half (a int);\nALTER TABLE no_such_table ADD COLUMN x int;\n"}


def test_sql_migrations_are_applied_once_recorded_and_verified(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server)
    first = data.deploy("one", M1)
    assert (first["schema"], first["migrations"], first["snapshot"]) == ("migrated", ["0001_init"], None)
    second = data.deploy("two", M2)
    assert (second["schema"], second["migrations"]) == ("migrated", ["0002_more"])
    assert (first["schema_version"], second["schema_version"]) == ("0001_init", "0002_more")
    assert data.query("SELECT id, what, extra FROM votes") == [(1, "semi;colon -- no comment", 7)]
    assert data.query("SELECT version, length(checksum) FROM schema_version ORDER BY version") == [
        ("0001_init", 64),
        ("0002_more", 64),
    ]
    manifest = json.loads((service.base / "snapshots" / f"{second['snapshot']}.json").read_text())
    assert manifest["rows"] == {"schema_version": 1, "votes": 1}
    assert manifest["exact"] is isinstance(server, PostgreSQL)
    assert manifest["database_bytes"] > 0
    assert manifest["release"] == first["live"]
    assert manifest["schema"] == "0001_init"
    for path in (service.base / "snapshots").iterdir():
        assert oct(path.stat().st_mode & 0o7777) == "0o600"
    back = service.switch(first["live"], **data.fields(sorted(M1)))
    assert back["schema"] == "ahead"
    assert (back["migrations"], back["schema_version"]) == ([], "0002_more")
    same = service.switch(first["live"], **data.fields(sorted(M1)))
    assert (same["changed"], same["schema_version"]) == (False, "0002_more")
    forward = service.switch(second["live"], **data.fields(sorted(M2)))
    assert forward["schema"] == "same"
    assert data.schema
    asked = {
        "service": "votes",
        "target": service.target,
        "release": second["live"],
        **data.fields([]),
        "schema": data.schema["query"],
    }
    known = service.remote.run("facts", programs=[], services=[asked])["services"]["votes"]
    assert known["applied"] == ["0001_init", "0002_more"]
    assert known["schema_version"] == "0002_more"
    assert known["database"] is True


def test_a_failing_online_migration_leaves_the_old_release_and_every_write(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server)
    one = data.deploy("one", M2)["live"]
    with Poller(service.site, service.domain) as poller, Writer(data) as writer:
        sentence = data.refused("two", BAD)
    assert poller.failed == []
    assert "0003_bad" in sentence
    assert "stays live" in sentence
    assert service.live == one
    assert writer.missing() == []
    again = data.refused("two", BAD)
    if isinstance(server, MariaDB):
        assert "half applied" in again
        assert data.query("SELECT COUNT(*) FROM half") == [(0,)]
    else:
        assert "left nothing behind" in again
    # A corrected file goes on.
    mended = M2 | {"0003_bad": "CREATE TABLE IF NOT EXISTS half (a int);\n"}
    assert data.deploy("three", mended)["migrations"] == ["0003_bad"]


LATER = M2 | {"0003_later": "CREATE TABLE half (a int);\nINSERT INTO half VALUES (1);\nALTER TABLE later ADD COLUMN x int;\n"}


def half_applied(data: Data) -> str:
    """Deploys a migration that fails after two statements, as it lacks a table; gives the snapshot of before it."""
    data.deploy("one", M2)
    assert "failed half-way, after 2 statement(s)" in data.refused("two", LATER)
    assert "half applied" in data.refused("two", LATER)
    return str(data.snapshot("list")["snapshots"][-1]["name"])


def test_a_half_applied_migration_that_was_undone_by_hand_is_applied_from_its_beginning(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb)
    half_applied(data)
    # The runbook's second way.
    data.query("DROP TABLE half")
    data.query("CREATE TABLE later (id int)")
    (service.base / "migrating").unlink()
    assert data.deploy("two", LATER)["migrations"] == ["0003_later"]
    assert data.query("SELECT a FROM half") == [(1,)]
    assert data.query(f"SELECT table_name FROM information_schema.tables WHERE table_name = '_mo_progress' AND {data.own}") == []


def test_the_snapshot_of_before_it_settles_a_half_applied_migration_and_one_of_after_it_does_not(
    service: Service, mariadb: MariaDB
) -> None:
    data = Data(service, mariadb)
    before = half_applied(data)
    after = data.snapshot("restore", before)["made"]
    data.query("CREATE TABLE later (id int)")
    assert data.deploy("two", LATER)["migrations"] == ["0003_later"]
    assert data.query("SELECT a FROM half") == [(1,)]
    # What a snapshot holds of a half-applied migration comes back with it, and is known.
    data.snapshot("restore", after)
    assert "half applied" in data.refused("three", LATER)
    service.remote.run("prune", service="votes", target=service.target, keep=5, pinned=[], keep_snapshots=1)
    assert len(list((service.base / "snapshots").glob("*.migrating"))) <= 1


class Writer:
    """Writes rows as the application does, all the time; ``missing`` names acknowledged rows that the database has not."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.acknowledged: list[int] = []
        self._stop = threading.Event()
        data.query("CREATE TABLE IF NOT EXISTS written (id int PRIMARY KEY)")
        if isinstance(data.server, PostgreSQL):
            data.query(f"ALTER TABLE written OWNER TO svc_{data.service.key}")
        self._thread = threading.Thread(target=self._write, daemon=True)

    def _write(self) -> None:
        n = 0
        marker = self.data.service.base / "maintenance"
        while not self._stop.is_set():
            n += 1
            # What the web server does with a request: refused while the window is open.
            if not marker.exists():
                try:
                    self.data.query(f"INSERT INTO written VALUES ({n})")
                    self.acknowledged.append(n)
                except Exception:
                    pass
            time.sleep(0.002)

    def missing(self) -> list[int]:
        there = {row[0] for row in self.data.query("SELECT id FROM written")}
        return [n for n in self.acknowledged if n not in there]

    def __enter__(self) -> Writer:
        self._thread.start()
        time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.1)
        self._stop.set()
        self._thread.join()


def test_a_failing_offline_migration_restores_inside_its_window(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server, mode="offline")
    one = data.deploy("one", M2)["live"]
    with Poller(service.site, service.domain) as poller, Writer(data) as writer:
        sentence = data.refused("two", BAD)
    assert {status for _, status in poller.failed} == {503}
    assert poller.bodies == {b"one", b"down"}
    assert "0003_bad" in sentence
    assert service.live == one
    assert writer.missing() == []
    assert writer.acknowledged
    tables = {
        row[0]
        for row in data.query(
            f"SELECT table_name FROM information_schema.tables WHERE table_name IN ('half', 'votes', 'written') AND {data.own}"
        )
    }
    assert tables == {"votes", "written"}
    assert not (service.base / "maintenance").exists()
    assert not list(service.base.glob("probe-*"))
    again = data.refused("two", BAD)
    assert "half applied" not in again


def test_an_offline_release_that_fails_its_probe_is_put_back_with_its_data(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server, mode="offline")
    one = data.deploy("one", M1)["live"]
    before = data.query("SELECT * FROM votes")
    with Writer(data) as writer:
        sentence = data.refused("!500", M2)
    assert "500" in sentence
    assert service.live == one
    assert data.query("SELECT * FROM votes") == before
    assert writer.missing() == []
    assert data.deploy("two", M2)["schema"] == "migrated"


def test_a_window_that_the_web_server_ignores_stops_an_offline_migration(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb, mode="offline")
    one = data.deploy("one", M1)["live"]
    service.site.services.clear()
    sentence = data.refused("two", M2)
    assert "maintenance window" in sentence
    assert service.live == one
    assert data.query("SELECT version FROM schema_version") == [("0001_init",)]


def test_an_edited_and_a_diverged_migration_are_named(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb)
    data.deploy("one", M1)
    assert "0001_init was edited" in data.refused("two", {"0001_init": "SELECT 1;"})
    assert "lacks 0001_other" in data.refused("two", {"0001_other": "SELECT 1;"})


def test_prisma_migrations_keep_prismas_table(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server, kind="prisma", directory="prisma")
    data.schema = {
        "query": "SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY migration_name DESC LIMIT 1",
        "expect": None,
    }
    assert data.deploy("one", M1)["migrations"] == ["0001_init"]
    assert data.deploy("two", M2)["migrations"] == ["0002_more"]
    rows = data.query(
        "SELECT migration_name, applied_steps_count, finished_at IS NOT NULL, "
        "rolled_back_at IS NULL, length(id) FROM _prisma_migrations ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [("0001_init", 1, True, True, 36), ("0002_more", 1, True, True, 36)]
    assert "0003_bad failed" in data.refused("three", BAD)
    assert data.query("SELECT COUNT(*) FROM _prisma_migrations WHERE finished_at IS NULL AND logs IS NOT NULL") == [(1,)]
    assert "marked so in _prisma_migrations" in data.refused("three", BAD)
    data.query("UPDATE _prisma_migrations SET rolled_back_at = started_at WHERE finished_at IS NULL")
    assert data.deploy("three", M2 | {"0003_bad": "SELECT 1;"})["migrations"] == ["0003_bad"]
    edited = {**M2, "0001_init": "SELECT 2;", "0003_bad": "SELECT 1;"}
    assert "0001_init was edited" in data.refused("four", edited)


@pytest.mark.parametrize("kind", ["drush", "command"])
def test_commands_run_with_the_secrets_and_their_failure_is_a_failure(service: Service, mariadb: MariaDB, kind: str) -> None:
    data = Data(service, mariadb, kind=kind, commands=[["sh", "bin/tool", "updatedb", "-y"]])
    data.schema = {"query": "SELECT version FROM civicrm_domain ORDER BY id LIMIT 1", "expect": None}
    mariadb.query("CREATE TABLE civicrm_domain (id int, version varchar(20))", data.name)
    mariadb.query("INSERT INTO civicrm_domain VALUES (1, '5.9.10')", data.name)
    tool = (
        '[ "$DB_NAME" = mo_votes ] && [ "$*" = "updatedb -y" ] && '
        'MYSQL_PWD=$DB_PASS mariadb -h "$DB_HOST" -P "$DB_PORT" -u "$DB_USER" "$DB_NAME" '
        "-e \"UPDATE civicrm_domain SET version='$(cat version)'\"; exit $(cat code)"
    )

    def release(page: str, version: str, code: str) -> str:
        return service.stage({"index.html": page, "bin/tool": tool, "version": version, "code": code})

    one = service.switch(release("one", "5.9.10", "0"), **data.fields(["5.9.10"]))
    two = service.switch(release("two", "5.70.1", "0"), **data.fields(["5.70.1"]))
    assert two["schema"] == "migrated"
    assert service.switch(one["live"], **data.fields(["5.9.10"]))["schema"] == "ahead"
    failing = release("three", "5.71.0", "1")
    sentence = service.remote.refused("switch", **service.request(failing, **data.fields(["5.71.0"])))
    assert "ended with code 1" in sentence
    # Passed green, changed nothing: the schema's version tells.
    silent = release("four", "5.70.1", "0")
    sentence = service.remote.refused("switch", **service.request(silent, **data.fields(["5.72.0"])))
    assert "expected '5.72.0'" in sentence
    assert service.live == one["live"]


TRIGGER = (
    "CREATE TABLE votes (id int PRIMARY KEY, what varchar(50));\n"
    "DELIMITER //\nCREATE TRIGGER counted BEFORE INSERT ON votes FOR EACH ROW BEGIN\n  SET NEW.what = CONCAT(NEW.what, '!');\nEND//\n"
    "DELIMITER ;\nINSERT INTO votes VALUES (1, 'a');\n"
)


def windows(text: str) -> str:
    """The text as a checkout on Windows, saved by an editor that marks it."""
    return "\ufeff" + text.replace("\n", "\r\n")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_windows_checkout_is_the_same_migration(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server)
    text = TRIGGER if isinstance(server, MariaDB) else M1["0001_init"] + ";\n"
    first = data.deploy("one", {"0001_init": windows(text)})
    assert first["migrations"] == ["0001_init"]
    assert data.query("SELECT what FROM votes") == [("a!" if isinstance(server, MariaDB) else "semi;colon -- no comment",)]
    assert data.query("SELECT checksum FROM schema_version") == [(sha256(text),)]
    assert data.deploy("two", {"0001_init": text})["schema"] == "same"
    # As an earlier version of this tool recorded it, of the bytes that it saw.
    data.query(f"UPDATE schema_version SET checksum = '{sha256(windows(text))}'")
    assert data.deploy("three", {"0001_init": text, "0002_more": "SELECT 1;\r\n"})["migrations"] == ["0002_more"]
    assert "0001_init was edited" in data.refused("four", {"0001_init": windows(text + "-- more\n"), "0002_more": "SELECT 1;\n"})


def test_prisma_s_checksum_of_another_checkout_is_accepted(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server, kind="prisma", directory="prisma")
    assert data.deploy("one", M1)["migrations"] == ["0001_init"]
    data.query(f"UPDATE _prisma_migrations SET checksum = '{sha256(M1['0001_init'].replace(chr(10), chr(13) + chr(10)))}'")
    assert data.deploy("two", M2)["migrations"] == ["0002_more"]


def drush_says(service: Service, mariadb: MariaDB, script: str) -> str:
    """What a switch says whose drush is this script; the schema's version is right from the beginning."""
    data = Data(service, mariadb, kind="drush", commands=[["sh", "drush", "updatedb", "-y"]])
    data.schema = {"query": "SELECT '5.1'", "expect": None}
    release = service.stage({"index.html": script, "drush": script})
    child = service.remote.popen("switch", **service.request(release, **data.fields(["5.1"])))
    out, err = child.communicate(timeout=60)
    return (out or err).decode()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo ' [error]  Update failed: 1054 Unknown column' >&2", "sh drush updatedb -y ended with code 0 and reported an error"),
        (
            '[ "$1" != updatedb:status ] || printf "votes_update_8002\nvotes_update_8003\n"',
            "still pending: votes_update_8002 votes_update_8003",
        ),
        ('[ "$1" != updatedb:status ] || exit 4', "sh drush updatedb:status ended with code 4"),
        ('[ "$*" = "updatedb -y" ] || [ "$*" = "updatedb:status --format=list" ]', '"schema":"migrated"'),
        ("echo ' [warning] error in a module, and not one of drush' >&2", '"schema":"migrated"'),
    ],
    ids=["error", "pending", "no answer", "well", "warning"],
)
def test_a_drush_that_ends_well_is_asked_what_is_left(service: Service, mariadb: MariaDB, script: str, said: str) -> None:
    assert said in drush_says(service, mariadb, script)


@pytest.mark.parametrize("check", [["sh", "check"], ["sh", "check", "no-program-here"]])
def test_the_catalogue_s_own_check_decides_after_a_migration(service: Service, mariadb: MariaDB, check: list[str]) -> None:
    data = Data(service, mariadb, kind="command", commands=[["true"]], check=check)
    one = service.switch(service.stage({"index.html": "one", "check": 'test -n "$DB_PASS"'}), **data.fields([]))
    failing = service.stage({"index.html": "two", "check": "echo three tables are missing; exit 2"})
    sentence = service.remote.refused("switch", **service.request(failing, **data.fields([])))
    assert "the check after the migration failed: sh check" in sentence
    assert "ended with code 2: three tables are missing" in sentence
    assert service.live == one["live"]


def test_alembic_that_ends_well_and_does_nothing_has_failed(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb, kind="alembic", directory="alembic")
    data.schema = None
    release = service.stage({"index.html": "one", "alembic/__main__.py": "print('nothing to do')\n"})
    sentence = service.remote.refused("switch", **service.request(release, **data.fields(["a1", "b2"])))
    assert "after the migration the database still lacks a1, b2" in sentence


def test_a_tool_that_hangs_is_ended_at_its_time_limit(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb, kind="command", commands=[["sleep", "60"]], timeout=1)
    release = service.stage({"index.html": "one"})
    began = time.monotonic()
    sentence = service.remote.refused("switch", **service.request(release, **data.fields([])))
    assert "not done after 1 s" in sentence
    assert time.monotonic() - began < 20


def test_no_secret_is_seen_anywhere_but_in_its_file(service: Service, server: MariaDB | PostgreSQL) -> None:
    import os
    from pathlib import Path

    seen: set[str] = set()
    stop = threading.Event()

    def sample() -> None:
        while not stop.is_set():
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    try:
                        seen.add(Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace"))
                    except OSError:
                        continue
            time.sleep(0.003)

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    data = Data(service, server)
    results = [data.deploy("one", M1), data.deploy("two", M2)]
    data.refused("three", BAD)
    stop.set()
    watcher.join()
    assert any("components/remote/client" in line for line in seen)
    assert not [line for line in seen if "canary7c1f-" in line]
    assert "canary7c1f-" not in json.dumps(results)
    holding = [
        str(p.relative_to(service.remote.root))
        for p in service.remote.root.rglob("*")
        if p.is_file() and b"canary7c1f-" in p.read_bytes()
    ]
    assert holding == [".deploy/votes/secrets.env"]
    for path in (service.base / "snapshots").glob("*.dump"):
        text = path.read_bytes()
        assert b"canary7c1f-" not in (gzip.decompress(text) if isinstance(server, MariaDB) else text)
    assert list((service.base / "tmp").iterdir()) == []
    assert all(oct(p.stat().st_mode & 0o7777) == "0o600" for p in (service.base / "log").iterdir())


def test_a_database_that_is_down_or_refuses_is_a_sentence(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server)
    one = data.deploy("one", M1)["live"]
    # As it was when it worked: env itself writes no credentials that do not log in.
    written = (service.base / "secrets.env").read_text()
    wrong = {f"DB_PORT='{server.port}'": "DB_PORT='1'", "DB_PASS='": "DB_PASS='wrong"}
    for there, put in wrong.items():
        assert there in written
        (service.base / "secrets.env").write_text(written.replace(there, put))
        assert "cannot be used from the host" in data.refused("two", M2)
    assert service.live == one


def test_a_tool_that_says_a_secret_does_not_say_it_in_the_error(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb, kind="command")
    variables = mariadb.database(data.name, "svc_votes", PASSWORD)
    service.remote.run("env", service="votes", variables={**variables, "SMTP_PASS": "canary's-mail"})
    for more in (0, 180):  # the second: where the sentence is cut, amid the secret
        data.migrate["commands"] = [["sh", "-c", f'printf "%{more}s denied for %s\\n" x "$SMTP_PASS"; exit 1']]
        sentence = data.refused("one", {})
        assert "ended with code 1" in sentence
        assert "canary" not in sentence
        assert "denied for ***" in sentence or sentence.partition("code 1: ")[2].startswith(" " * 170)
