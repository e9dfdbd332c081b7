"""Requests under way when a site is closed: their writes are in the snapshot, or nothing is changed."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pymysql
import pytest

from .conftest import Service
from .databases import MariaDB, PostgreSQL
from .test_down import DOWN, asked, stage
from .test_migrations import M1, M2, PASSWORD, Data, server

pytestmark = pytest.mark.sandbox
__all__ = ["server"]


def deployed(service: Service, server: MariaDB | PostgreSQL, mode: str = "online") -> Data:
    """A service after a rotation: on PostgreSQL it logs in as a role that stands for its own."""
    data = Data(service, server, mode=mode)
    if isinstance(server, PostgreSQL):
        quoted = PASSWORD.replace("'", "''")
        for sql in (
            "DROP ROLE IF EXISTS svc_votes_b",
            f"CREATE ROLE svc_votes_b LOGIN PASSWORD '{quoted}'",
            "GRANT svc_votes TO svc_votes_b",
            "ALTER ROLE svc_votes_b SET role = 'svc_votes'",
        ):
            server.query(sql)
        text = (service.base / "secrets.env").read_text()
        (service.base / "secrets.env").write_text(text.replace("DB_USER='svc_votes'", "DB_USER='svc_votes_b'"))
    data.deploy("one", M1)
    return data


def application(data: Data, *, autocommit: bool = False) -> Any:
    """A connection as the application has it."""
    if isinstance(data.server, MariaDB):
        return pymysql.connect(
            host="127.0.0.1",
            port=data.server.port,
            user="svc_votes",
            password=PASSWORD.encode(),
            database=data.name,
            autocommit=autocommit,
        )
    return psycopg.connect(
        host="127.0.0.1", port=data.server.port, user="svc_votes_b", password=PASSWORD, dbname=data.name, autocommit=autocommit
    )


def write(link: Any, row: int) -> None:
    with link.cursor() as cursor:
        cursor.execute(f"INSERT INTO votes (id, what) VALUES ({row}, 'acknowledged')")


def rows(data: Data) -> list[int]:
    return [row[0] for row in data.query("SELECT id FROM votes ORDER BY id")]


def test_what_a_request_under_way_writes_is_in_the_snapshot_before_a_restore(
    service: Service, server: MariaDB | PostgreSQL
) -> None:
    data = deployed(service, server)
    made = data.snapshot("make")["made"]
    link = application(data)
    write(link, 2)
    marker = service.base / "maintenance"

    def end() -> None:
        # Between two statements it waits for something else, as for an answer of another site.
        while not marker.exists():
            time.sleep(0.01)
        time.sleep(2)
        write(link, 3)
        link.commit()
        link.close()

    request = threading.Thread(target=end)
    request.start()
    restored = data.snapshot("restore", made)
    request.join()
    assert rows(data) == [1]
    snapshots = {one["name"]: one for one in data.snapshot("list")["snapshots"]}
    assert snapshots[restored["made"]]["rows"]["votes"] == 3
    assert snapshots[restored["made"]]["exact"] is True
    data.snapshot("restore", restored["made"])
    assert rows(data) == [1, 2, 3]


@pytest.mark.parametrize("step", ["restore", "switch", "down"])
def test_a_transaction_that_stays_open_stops_what_could_lose_it(service: Service, server: MariaDB | PostgreSQL, step: str) -> None:
    data = deployed(service, server, mode="offline")
    made = data.snapshot("make")["made"]
    if step == "down":
        service.switch(stage(data, "two", M2, {"0002_more": DOWN}), **data.fields(sorted(M2)))
    live, applied = service.live, data.query("SELECT version FROM schema_version ORDER BY version")
    link = application(data)
    write(link, 2)
    if step == "restore":
        sentence = service.remote.refused("snapshot", **data.asked("restore", made))
        assert "nothing was changed" in sentence
        assert "--site-open" in sentence
    elif step == "switch":
        sentence = data.refused("two", M2)
    else:
        sentence = service.remote.refused("down", **asked(data))
    assert "connections of svc_votes" in sentence
    assert "10 s after the site was closed" in sentence
    link.commit()
    link.close()
    assert rows(data) == [1, 2]
    assert service.live == live
    assert data.query("SELECT version FROM schema_version ORDER BY version") == applied
    assert not (service.base / "maintenance").exists()
    assert not (service.base / "switching").exists()


def test_an_idle_pool_holds_no_restore_up_unless_a_daemon_that_is_not_ours_has_it(
    service: Service, server: MariaDB | PostgreSQL
) -> None:
    data = deployed(service, server)
    made = data.snapshot("make")["made"]
    pool = application(data, autocommit=True)
    write(pool, 2)
    external = {**data.asked("restore", made), "runtime": "external", "unverified": True}
    service.site.services.clear()  # what its URL answers says nothing of what a daemon writes by itself
    for action in ("window", "restore"):
        sentence = service.remote.refused("snapshot", **{**external, "action": action})
        assert "a daemon that is not ours has 1 connection(s)" in sentence
        assert "stop it" in sentence
    assert rows(data) == [1, 2]
    assert not (service.base / "maintenance").exists()
    service.site.services[service.domain] = service.base
    restored = data.snapshot("restore", made)
    assert rows(data) == [1]
    snapshots = {one["name"]: one for one in data.snapshot("list")["snapshots"]}
    assert snapshots[restored["made"]]["exact"] is True
    pool.close()
    service.site.services.clear()
    service.remote.run("snapshot", **{**external, "name": restored["made"]})
    assert rows(data) == [1, 2]
