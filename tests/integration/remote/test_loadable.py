"""A snapshot is a way back only where it loads: MariaDB is asked before anything is changed, PostgreSQL changes nothing where it fails."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Service
from .databases import MariaDB, PostgreSQL
from .test_migrations import M1, PASSWORD, Data

pytestmark = pytest.mark.sandbox
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def logging() -> Iterator[MariaDB]:
    """A server that writes a binary log, as one with a replica or point-in-time backups does."""
    server = MariaDB(options=("--log-bin=mo", "--server-id=1"))
    yield server
    server.close()


def deployed(service: Service, server: MariaDB) -> tuple[Data, Path]:
    """A service whose migrations are a command, offline; and the mark that the command leaves where it ran."""
    ran = service.remote.root / "ran"
    data = Data(service, server, kind="command", mode="offline", commands=[["sh", "-c", f"echo >'{ran}'; exit 1"]])
    data.query("CREATE TABLE votes (id int PRIMARY KEY, what longtext, n int)")
    data.query("INSERT INTO votes VALUES (1, 'CREATE DEFINER=`a`@`b` PROCEDURE p()\nDELIMITER ;;\n', 0)")
    service.deploy({"index.html": "one"}, **fields(data, []))
    return data, ran


def fields(data: Data, commands: list[list[str]] | None = None) -> dict[str, Any]:
    found = data.fields(["all"])
    return found if commands is None else {**found, "migrate": {**found["migrate"], "commands": commands}}


def failing(service: Service, data: Data) -> str:
    """What the deploy says whose migration fails, having changed nothing."""
    release = service.stage({"index.html": "two"})
    return service.remote.refused("switch", **service.request(release, **fields(data)))


def definitions(data: Data) -> list[Any]:
    """What the database holds, but for who defined it."""
    return [
        data.query(f"SELECT table_name, security_type, view_definition FROM information_schema.views WHERE {data.own} ORDER BY 1"),
        data.query(f"SELECT trigger_name, action_statement FROM information_schema.triggers WHERE trigger_schema = '{data.name}'"),
        data.query(
            f"SELECT routine_name, routine_definition FROM information_schema.routines WHERE routine_schema = '{data.name}'"
        ),
        data.query(f"SELECT event_name, event_definition FROM information_schema.events WHERE event_schema = '{data.name}'"),
        data.query("SHOW CREATE TABLE votes"),
        data.query("SELECT * FROM votes"),
        [row[0] for row in data.query("SHOW TABLES")],
    ]


def test_what_other_accounts_defined_is_there_again_after_a_failed_migration(service: Service, mariadb: MariaDB) -> None:
    data, ran = deployed(service, mariadb)
    # As a panel's administrator, or the account of a former hoster, has made them; and a table of the days of another default.
    data.query("CREATE SQL SECURITY INVOKER VIEW seen AS SELECT id FROM votes WHERE id > 0 WITH CHECK OPTION")
    data.query("CREATE VIEW again AS SELECT id FROM seen")
    data.query("CREATE TRIGGER counted BEFORE INSERT ON votes FOR EACH ROW BEGIN\nSET NEW.n = 1; SET @`;` = 1;\nSET NEW.n = 2; END")
    data.query("CREATE EVENT tidied ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM votes WHERE id = 99")
    wide = ", ".join(f"c{n} varchar(60)" for n in range(200))
    own = mariadb.connect("svc_votes", PASSWORD, data.name)
    with own.cursor() as cursor:
        cursor.execute("SET innodb_strict_mode = OFF")
        cursor.execute(f"CREATE TABLE wide ({wide}) ROW_FORMAT=COMPACT")
        cursor.execute("CREATE PROCEDURE told() BEGIN SELECT 'x\nCREATE DEFINER=`a`@`b` PROCEDURE z'; END")
        cursor.execute("CREATE FUNCTION one(a int) RETURNS int DETERMINISTIC RETURN a + 1")
    own.close()
    before = definitions(data)
    sentence = failing(service, data)
    assert "ended with code 1" in sentence
    assert "NOT put back" not in sentence
    assert ran.exists()
    assert definitions(data) == before
    data.query("INSERT INTO votes VALUES (2, '', 0)")
    assert data.query("SELECT n FROM votes WHERE id = 2") == [(2,)]
    assert not (service.base / "maintenance").exists()


def test_an_event_that_a_failed_migration_made_is_gone_again(service: Service, mariadb: MariaDB) -> None:
    data, _ = deployed(service, mariadb)
    made = "CREATE EVENT wrong ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM votes"
    script = f'mariadb -h "$DB_HOST" -P "$DB_PORT" -u "$DB_USER" -p"$DB_PASS" "$DB_NAME" -e "{made}"; exit 1'
    release = service.stage({"index.html": "two"})
    service.remote.refused("switch", **service.request(release, **fields(data, [["sh", "-c", script]])))
    log = next((service.base / "log").glob(f"*-{release}-migrate.log")).read_text()
    assert "ERROR" not in log
    assert data.query("SHOW EVENTS") == []


def test_a_row_that_the_server_would_not_take_again_stops_the_migration_before_it_begins(
    service: Service, mariadb: MariaDB
) -> None:
    data, ran = deployed(service, mariadb)
    data.query("CREATE TABLE cache (id int, data longblob)")
    # Nine megabytes are eighteen as hexadecimal digits; the server takes sixteen.
    data.query("INSERT INTO cache SELECT 1, REPEAT(x'ff00', 4500000)")
    before = definitions(data)
    sentence = failing(service, data)
    assert "it has a row of 17 MB as SQL, and the server's max_allowed_packet is 16 MB" in sentence
    assert not ran.exists()
    assert definitions(data) == before
    assert not (service.base / "maintenance").exists()
    assert not (service.base / "switching").exists()


def test_nothing_is_dropped_for_a_snapshot_that_would_not_load_and_a_later_run_loads_it(service: Service, mariadb: MariaDB) -> None:
    data, _ = deployed(service, mariadb)
    data.query("CREATE TABLE cache (id int, data longblob)")
    data.query("INSERT INTO cache SELECT 1, REPEAT(x'ff00', 4500000)")
    made = data.snapshot("make")["made"]
    live = service.live
    # What a switch leaves that was killed in its migration, by which a table is gone.
    (service.base / "switching").write_text(
        f"j_phase='migrating' j_release='r0' j_previous='{live}' j_snapshot='{made}' j_offline='yes' j_kind='link'\n"
    )
    (service.base / "maintenance").touch()
    service.remote.own(service.base)
    data.query("ALTER TABLE votes ADD COLUMN half int")
    assert "max_allowed_packet" in failing(service, data)
    assert {row[0] for row in data.query("SHOW TABLES")} == {"votes", "cache"}
    assert (service.base / "maintenance").exists()
    # By hand too: refused, and as it was.
    (service.base / "switching").unlink()
    (service.base / "maintenance").unlink()
    sentence = service.remote.refused("snapshot", **data.asked("restore", made), unverified=True)
    assert "the database is as it was" in sentence
    assert len(data.query("SHOW COLUMNS FROM votes")) == 4
    assert not (service.base / "maintenance").exists()
    assert not (service.base / "restoring").exists()
    mariadb.query("SET GLOBAL max_allowed_packet = 67108864")
    try:
        data.snapshot("restore", made)
        assert len(data.query("SHOW COLUMNS FROM votes")) == 3
        assert data.query("SELECT LENGTH(data) FROM cache") == [(9_000_000,)]
    finally:
        mariadb.query("SET GLOBAL max_allowed_packet = 16777216")


def test_a_right_that_a_restore_would_need_is_asked_for_before_the_window(service: Service, mariadb: MariaDB) -> None:
    data, ran = deployed(service, mariadb)
    data.query("CREATE VIEW seen AS SELECT id FROM votes")
    mariadb.query(f"REVOKE CREATE VIEW ON {data.name}.* FROM svc_votes@'127.0.0.1'")
    before = definitions(data)
    sentence = failing(service, data)
    assert "CREATE VIEW command denied" in sentence
    assert "may not load a snapshot of mo_votes again" in sentence
    assert not ran.exists()
    assert definitions(data) == before


def test_a_trigger_on_a_server_with_a_binary_log_is_refused_before_the_window(service: Service, logging: MariaDB) -> None:
    data, ran = deployed(service, logging)
    data.query("CREATE TRIGGER counted BEFORE INSERT ON votes FOR EACH ROW SET NEW.n = 1")
    before = definitions(data)
    sentence = failing(service, data)
    assert "ERROR 1419" in sentence
    assert not ran.exists()
    assert definitions(data) == before
    # What the server's administrator may do about it.
    logging.query("SET GLOBAL log_bin_trust_function_creators = 1")
    assert "ended with code 1" in failing(service, data)
    assert ran.exists()
    assert definitions(data) == before


KINDS = """
CREATE SCHEMA extra; CREATE EXTENSION citext; CREATE EXTENSION hstore SCHEMA extra;
CREATE TYPE euros AS (amount int, currency text);
CREATE TYPE clock AS RANGE (subtype = time);
CREATE DOMAIN more AS int CHECK (value > 0);
CREATE TYPE mores AS RANGE (subtype = more);
CREATE TYPE extra.kind AS ENUM ('a');
CREATE TYPE "Odd Type" AS (a extra.kind);
CREATE TABLE prices (id serial PRIMARY KEY, price euros, opens clock, name citext, tags extra.hstore);
INSERT INTO prices (price, name, tags) VALUES (ROW(1, 'EUR'), 'c', 'a=>b');
CREATE TABLE parts (id int GENERATED ALWAYS AS IDENTITY) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION german2 (COPY = german);
ALTER TEXT SEARCH CONFIGURATION german2 ALTER MAPPING FOR asciiword WITH words;
CREATE COLLATION sorted (provider = icu, locale = 'de');
CREATE CONVERSION latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
SELECT lo_from_bytea(0, 'a large object');
CREATE FUNCTION plus(a euros, b euros) RETURNS euros LANGUAGE sql IMMUTABLE AS 'SELECT ROW((a).amount + (b).amount, (a).currency)::euros';
CREATE OPERATOR + (LEFTARG = euros, RIGHTARG = euros, FUNCTION = plus);
CREATE AGGREGATE total(euros) (SFUNC = plus, STYPE = euros);
CREATE FUNCTION next(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + 1';
CREATE AGGREGATE counted(*) (SFUNC = next, STYPE = int, INITCOND = '0');
CREATE FUNCTION amount(a euros) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT (a).amount';
CREATE CAST (euros AS int) WITH FUNCTION amount(euros);
CREATE PROCEDURE done(a int) LANGUAGE sql AS 'SELECT 1';
CREATE MATERIALIZED VIEW known AS SELECT * FROM prices;
CREATE VIEW seen AS SELECT id FROM known;
CREATE RULE nothing AS ON INSERT TO seen DO INSTEAD NOTHING;
CREATE STATISTICS told ON id, name FROM prices;
CREATE PUBLICATION own FOR TABLE prices;
"""


def whole(data: Data) -> list[str]:
    """The database as its dump program tells it, read with the service's account."""
    assert isinstance(data.server, PostgreSQL)
    where = ["-h", "127.0.0.1", "-p", str(data.server.port), "-U", "svc_votes", data.name]
    environment = {**os.environ, "PGPASSWORD": PASSWORD}
    done = subprocess.run(["pg_dump", *where], env=environment, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "restrict" not in line]


def with_kinds(service: Service, server: PostgreSQL, sql: str) -> Data:
    import psycopg

    data = Data(service, server)
    data.deploy("one", M1)
    with psycopg.connect(
        host="127.0.0.1", port=server.port, user="svc_votes", password=PASSWORD, dbname=data.name, autocommit=True
    ) as link:
        link.execute(sql.encode())
    return data


def test_objects_of_every_kind_are_restored_on_postgresql(service: Service, postgresql: PostgreSQL) -> None:
    data = with_kinds(service, postgresql, KINDS)
    made = data.snapshot("make")["made"]
    before = whole(data)
    data.query("DROP TABLE prices CASCADE")
    data.query("DROP TEXT SEARCH CONFIGURATION german2")
    data.snapshot("restore", made)
    assert whole(data) == before
    assert not (service.base / "maintenance").exists()


def test_a_restore_that_postgresql_refuses_leaves_the_database_as_it_was_and_the_site_open(
    service: Service, postgresql: PostgreSQL
) -> None:
    data = with_kinds(service, postgresql, "SELECT lo_from_bytea(0, 'a large object')")
    # Another account's: it is in the dump, and not ours to drop. What comes before it in the dump is all of the data.
    data.query("CREATE PUBLICATION theirs")
    made = data.snapshot("make")["made"]
    data.query("INSERT INTO votes VALUES (7, 'later')")
    before = whole(data)
    sentence = service.remote.refused("snapshot", **data.asked("restore", made), unverified=True)
    assert "already exists" in sentence
    assert "the database is as it was" in sentence
    assert whole(data) == before
    assert not (service.base / "maintenance").exists()
    assert not (service.base / "restoring").exists()
