"""At each moment of a data step something outside breaks: the database server ends, the connection is cut, the disk is full. The step says
so in one sentence, nothing is lost, and the next run completes it.

A moment is a call of a program that changes something: the call waits until the test has broken what it breaks (test_data_interruption).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest

from .conftest import Remote, Service
from .databases import ADMIN, MariaDB, PostgreSQL
from .killing import EVERY, Killer
from .test_data_interruption import everything, killer, orders, sshd, unfinished, whole
from .test_interruption import STEPS, leftovers
from .test_migrations import M1, PASSWORD, Data, server
from .test_rotation import FORMER, NEW, Side

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]
__all__ = ["killer", "orders", "server", "sshd"]

KINDS = ("server", "connection", "disk")
DISK = 48
"""Megabytes of the disk below the host's root."""


class Fault:
    """What breaks at a moment of a step (``happens``), and how it is mended after the step has ended (``mended``)."""

    def __init__(self, kind: str, remote: Remote, server: MariaDB | PostgreSQL) -> None:
        self.kind, self.remote, self.server = kind, remote, server
        self.filler = remote.root / "filler"

    def happens(self) -> None:
        if self.kind == "disk":
            _fill(self.filler)
        elif self.kind == "connection":
            for master in _masters(self.remote):
                os.kill(master, signal.SIGKILL)
        elif isinstance(self.server, MariaDB):
            self.server.process.kill()
            self.server.process.wait()
        else:
            self.server.stop()

    def mended(self) -> None:
        if self.kind == "disk":
            self.filler.unlink()
        elif self.kind == "server":
            self.server.restart()


def _fill(path: Path) -> None:
    """Takes what space there is, to the last page."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue


def _masters(remote: Remote) -> list[int]:
    """The SSH masters that hold the connection to the host."""
    found = []
    for path in remote.control.glob("*.s"):
        asked = ["ssh", "-F", "/dev/null", "-S", str(path), "-O", "check", "x"]
        said = subprocess.run(asked, check=False, capture_output=True, text=True).stderr
        found += [int(number) for number in re.findall(r"pid=(\d+)", said)]
    return found


@contextmanager
def _disk(remote: Remote) -> Iterator[None]:
    """The host's root on a file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system for the fault")
    account = remote.sshd.account
    options = f"size={DISK}m,mode=755,uid={account.pw_uid},gid={account.pw_gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "mo-test", str(remote.root)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(remote.root)], check=True)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, remote: Remote) -> Iterator[str]:
    if request.param == "disk":
        with _disk(remote):
            yield request.param
    else:
        yield request.param


@pytest.fixture
def fault(kind: str, remote: Remote, server: MariaDB | PostgreSQL) -> Fault:
    if isinstance(server, MariaDB):
        # Killed, it keeps what it has acknowledged, as a server in production does.
        server.query("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    return Fault(kind, remote, server)


def moments(
    killer: Killer, fault: Fault, step: str, prepare: Callable[[], dict[str, Any]], check: Callable[[], None], each: int = 1
) -> int:
    """Lets ``fault`` happen at the 1st, 2nd, … moment of ``step`` until there is none left; gives how often the step failed by it.

    ``each`` 3: at every third, so that the three kinds of fault together meet each of a long step; ``MO_TEST_EVERY`` makes them fewer.
    """
    remote, failed = fault.remote, 0
    for call in range(1 + KINDS.index(fault.kind) % each, 90, each * EVERY):
        fields = prepare()
        killer.at(call, wait=True)
        child = remote.popen(step, **fields)
        while child.poll() is None and not killer.killed:
            time.sleep(0.01)
        if not killer.killed:
            killer.off()
            assert child.wait() == 0, child.communicate()[1]
            return failed
        fault.happens()
        killer.off()
        out, err = child.communicate(timeout=120)
        fault.mended()
        if child.returncode:
            failed += 1
            assert (out, err.count(b"\n")) == (b"", 1), err
            assert b"Traceback" not in err
            assert not any(secret.encode() in err for secret in (PASSWORD, FORMER, NEW))
        assert remote.run(step, **fields)["ok"], f"after the {fault.kind} broke at call {call}"
        check()
    raise AssertionError("there was always one more moment")


def test_a_snapshot_counts_only_where_it_is_whole(service: Service, fault: Fault, killer: Killer) -> None:
    data = Data(service, fault.server)
    data.deploy("one", M1)
    before = everything(data)

    def check() -> None:
        assert everything(data) == before
        assert whole(service)
        assert unfinished(service) == []

    assert moments(killer, fault, "snapshot", lambda: data.asked("make"), check) >= 1


def test_a_restore_ends_with_the_snapshot_s_data_or_keeps_the_site_closed(service: Service, fault: Fault, killer: Killer) -> None:
    data = Data(service, fault.server)
    data.deploy("one", M1)
    before = everything(data)
    made = data.snapshot("make")["made"]
    data.snapshot("pin", made)

    def prepare() -> dict[str, Any]:
        data.query("DELETE FROM votes WHERE id = 2")
        data.query("INSERT INTO votes VALUES (2, 'later')")
        return data.asked("restore", made)

    def check() -> None:
        assert everything(data) == before
        assert not (service.base / "maintenance").exists()
        assert not (service.base / "restoring").exists()

    assert moments(killer, fault, "snapshot", prepare, check, each=3) >= 1


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_migration_s_statements_are_applied_once_each(service: Service, fault: Fault, killer: Killer, mode: str) -> None:
    data = Data(service, fault.server, mode=mode)
    migrations = {"0000_init": "CREATE TABLE counted (n int);\nCREATE TABLE total (n int);\nINSERT INTO total VALUES (0);"}
    data.deploy("v0", migrations)
    made: list[str] = []

    def prepare() -> dict[str, Any]:
        n = len(made) + 1
        migrations[f"{n:04d}_more"] = STEPS.format(n=n)
        made.append(data.stage(f"v{n}", migrations))
        return service.request(made[-1], **data.fields(sorted(migrations)))

    def check() -> None:
        assert service.live == made[-1]
        assert leftovers(service) == []
        assert [row[0] for row in data.query("SELECT version FROM schema_version ORDER BY version")] == sorted(migrations)
        assert data.query("SELECT n FROM counted ORDER BY n") == [(n,) for n in range(1, len(made) + 1)]
        assert data.query("SELECT n FROM total") == [(len(made),)]
        assert whole(service)

    assert moments(killer, fault, "switch", prepare, check, each=3) >= 1


def test_new_secrets_are_in_the_file_whole_or_the_former_ones_are(
    remote: Remote, service: Service, fault: Fault, killer: Killer
) -> None:
    side = Side(remote, service, fault.server)
    side.deploy()
    passwords = [NEW, FORMER]
    used: list[str] = []

    def prepare() -> dict[str, Any]:
        used.append(passwords[len(used) % 2])
        side.account(used[-1])
        return side.env_request(used[-1])

    def check() -> None:
        known = side.settings()
        assert (known["DB_USER"], known["DB_PASS"]) == (side.user_now, used[-1])
        assert side.works(known["DB_USER"], known["DB_PASS"])
        assert oct(side.secrets.stat().st_mode & 0o777) == "0o600"
        assert side.revoke(used[-1])["rotation"] == "r1"
        assert side.works(known["DB_USER"], known["DB_PASS"])

    moments(killer, fault, "env", prepare, check)
    assert len(used) > 1


def test_revoking_leaves_the_password_that_is_in_use(remote: Remote, service: Service, fault: Fault, killer: Killer) -> None:
    side = Side(remote, service, fault.server)
    side.deploy()
    passwords = [NEW, FORMER]
    used: list[str] = []

    def prepare() -> dict[str, Any]:
        used.append(passwords[len(used) % 2])
        side.account(used[-1])
        side.env(used[-1])
        return {**side.asked(used[-1]), "rotation": "r1"}

    def check() -> None:
        known = side.settings()
        assert side.works(known["DB_USER"], known["DB_PASS"])
        assert not side.former.exists()

    moments(killer, fault, "revoke", prepare, check)
    assert len(used) > 1


def test_a_snapshot_is_not_begun_while_another_session_holds_a_table(service: Service, mariadb: MariaDB) -> None:
    """As long as that lasts, a dump would wait; the operator hears of it after half a minute, and nothing is closed or changed."""
    data = Data(service, mariadb)
    one = data.deploy("one", {"0001_init": "CREATE TABLE votes (id int);"})["live"]
    release = data.stage("two", {"0001_init": "CREATE TABLE votes (id int);", "0002_more": "CREATE TABLE more (id int);"})
    link = pymysql.connect(host="127.0.0.1", port=mariadb.port, user="admin", password=ADMIN, database=data.name)
    with link, link.cursor() as cursor:
        cursor.execute("LOCK TABLES votes WRITE")
        child = service.remote.popen("switch", **service.request(release, **data.fields(["0001_init", "0002_more"])))
        _, err = child.communicate(timeout=120)
    assert child.returncode == 1
    said = err.decode()
    assert "another session holds a lock on a table" in said
    assert f"{one} stays live" in said
    assert "… votes: switching to" in said  # what it is at is said while it lasts
    assert service.live == one
