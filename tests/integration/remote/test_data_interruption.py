"""Snapshot, verification, restore, removal and step back killed before each program that they call; the next run completes them.

The programs that change something are wrapped (``killing.py``), so every point of interruption is met, each time the same.
"""

from __future__ import annotations

import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import killing
from .conftest import Remote, Service, Sshd
from .databases import MariaDB, PostgreSQL
from .killing import EVERY, Killer
from .test_down import DOWN, asked, columns, stage
from .test_migrations import M1, M2, Data, server

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]
__all__ = ["server"]

WRAPPED = ("mv", "gzip", "mariadb", "mariadb-dump", "psql", "pg_dump", "pg_restore")


@pytest.fixture(scope="module")
def orders() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mo-orders-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def sshd(account: pwd.struct_passwd, orders: Path) -> Iterator[Sshd]:
    with killing.host(account, orders, WRAPPED) as server:
        yield server


@pytest.fixture
def killer(orders: Path) -> Iterator[Killer]:
    made = Killer(orders)
    yield made
    made.off()


def everything(data: Data) -> list[Any]:
    """What the database holds, for a comparison."""
    tables = sorted(row[0] for row in data.query(f"SELECT table_name FROM information_schema.tables WHERE {data.own}"))
    return [tables, data.query("SELECT id, what FROM votes ORDER BY id"), sorted(columns(data))]


def whole(service: Service) -> list[str]:
    """The snapshots that count, after a look at each one's checksum."""
    folder = service.base / "snapshots"
    names = sorted(path.stem for path in folder.glob("*.json"))
    for name in names:
        done = subprocess.run(["sha256sum", "-c", f"{name}.sha256"], cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0, name
    return names


def unfinished(service: Service) -> list[str]:
    """The files that a snapshot has only while it is made."""
    suffixes = (".part", ".done", ".failed", ".counts", ".new")
    return [path.name for path in (service.base / "snapshots").iterdir() if path.suffix in suffixes]


def points(killer: Killer, remote: Remote, step: str, fields: dict[str, Any], prepare: Any, check: Any, limit: int = 60) -> int:
    """Kills ``step`` before its 1st, 2nd, … call until it ends undisturbed; after each kill the next run succeeds and ``check`` holds."""

    def attempt(_call: int) -> tuple[str, dict[str, Any]]:
        prepare()
        return step, fields

    calls = 0
    for call in killing.everywhere(killer, remote, attempt, limit):
        calls = call + EVERY - 1
        remote.run(step, **fields)
        check()
    return calls


def test_a_snapshot_killed_at_each_step_leaves_none_that_counts_and_is_made_again(
    service: Service, server: MariaDB | PostgreSQL, killer: Killer
) -> None:
    data = Data(service, server)
    data.deploy("one", M1)
    before = everything(data)

    def check() -> None:
        assert everything(data) == before
        assert whole(service)
        assert unfinished(service) == []

    assert points(killer, service.remote, "snapshot", data.asked("make"), lambda: None, check) >= 4


def test_a_restore_killed_at_each_step_is_completed_by_the_next_with_the_snapshots_data(
    service: Service, server: MariaDB | PostgreSQL, killer: Killer
) -> None:
    data = Data(service, server)
    data.deploy("one", M1)
    before = everything(data)
    made = data.snapshot("make")["made"]
    data.snapshot("pin", made)

    def prepare() -> None:
        data.query("DELETE FROM votes WHERE id = 2")
        data.query("INSERT INTO votes VALUES (2, 'later')")

    def check() -> None:
        assert everything(data) == before
        assert not (service.base / "maintenance").exists()
        assert not (service.base / "restoring").exists()

    assert points(killer, service.remote, "snapshot", data.asked("restore", made), prepare, check) >= 8


def test_a_step_back_killed_at_each_step_is_completed_by_the_next(service: Service, mariadb: MariaDB, killer: Killer) -> None:
    data = Data(service, mariadb)
    two = stage(data, "two", M2, {"0002_more": DOWN})

    def prepare() -> None:
        service.switch(two, **data.fields(sorted(M2)))
        assert columns(data) == {"id", "what", "extra"}

    def check() -> None:
        assert data.query("SELECT version FROM schema_version") == [("0001_init",)]
        assert columns(data) == {"id", "what"}
        assert data.query("SELECT id FROM votes") == [(1,)]
        assert not (service.base / "maintenance").exists()
        assert not (service.base / "switching").exists()

    assert points(killer, service.remote, "down", asked(data), prepare, check) >= 6


def test_a_removal_killed_at_each_step_is_completed_by_the_next_and_its_dump_is_kept(
    service: Service, mariadb: MariaDB, killer: Killer
) -> None:
    data = Data(service, mariadb)
    variables = (service.base / "secrets.env").read_text()
    fields = {"service": "votes", "action": "drop", "target": None, "keep": None}

    def prepare() -> None:
        mariadb.database(data.name, "svc_votes", variables.partition("DB_PASS='")[2].partition("'\n")[0].replace("'\\''", "'"))
        service.remote.run("env", service="votes", variables=_variables(variables))
        data.deploy("one", M1)

    def check() -> None:
        assert not service.base.exists()
        assert mariadb.query(f"SHOW DATABASES LIKE '{data.name}'") == []
        kept = sorted((service.remote.root / ".deploy/.removed").glob("*/*.json"))
        done = subprocess.run(["sha256sum", "-c", f"{kept[-1].stem}.sha256"], cwd=kept[-1].parent, capture_output=True, check=False)
        assert done.returncode == 0
        assert '"votes":1' in kept[-1].read_text()
        shutil.rmtree(service.remote.root / ".deploy/.removed")

    assert points(killer, service.remote, "remove", fields, prepare, check) >= 8


def _variables(text: str) -> dict[str, str]:
    """What ``env`` wrote."""
    lines = (line.partition("=") for line in text.splitlines())
    return {name: value[1:-1].replace("'\\''", "'") for name, _, value in lines}


@pytest.mark.parametrize("step", ["make", "restore"])
def test_a_database_server_that_stops_meanwhile_loses_nothing(service: Service, step: str, killer: Killer) -> None:
    own = MariaDB()
    try:
        data = Data(service, own)
        data.deploy("one", M1)
        before = everything(data)
        made = data.snapshot("make")["made"]
        names = whole(service)
        own.process.terminate()
        own.process.wait()
        sentence = service.remote.refused("snapshot", **data.asked(step, made if step == "restore" else None))
        assert "cannot be" in sentence
        assert whole(service) == names
        own.restart()
        assert everything(data) == before
        data.snapshot(step, made if step == "restore" else None)
        assert everything(data) == before
        assert not (service.base / "maintenance").exists()
    finally:
        own.close()
