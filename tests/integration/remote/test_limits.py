"""No tool on the host runs without a limit, and no client waits for ever for a host program that hangs while its connection lives."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pymysql
import pytest

from .conftest import Remote, Service, Sshd
from .databases import ADMIN, MariaDB, PostgreSQL
from .test_dependencies import environment, fields, files
from .test_interruption import leftovers
from .test_migrations import Data, server
from .test_silence import switches, until

pytestmark = pytest.mark.sandbox
__all__ = ["server"]
SOON = {"MO_VENV_MOST": "1", "MO_LOCK_MOST": "1"}
"""On this host pip may take a second, where it has a quarter of an hour, and a lock on a table be held for one, where it may for thirty."""
INIT = {"0001_init": "CREATE TABLE votes (id int);"}
MORE = {**INIT, "0002_more": "CREATE TABLE more (id int);"}


@pytest.fixture(scope="module")
def sshd(account: pwd.struct_passwd) -> Iterator[Sshd]:
    folder = Path(tempfile.mkdtemp(prefix="mo-sshd-"))
    folder.chmod(0o755)
    made = Sshd(folder, account)
    made.start(SOON)
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_pip_that_hangs_is_ended_and_the_next_run_makes_the_environment(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tests.integration.remote.test_dependencies.PIP", "print('fetching', flush=True)\nimport time\ntime.sleep(600)\n"
    )
    hanging = fields(remote, "api", files())
    began = time.monotonic()
    sentence = remote.refused("stage", **hanging)
    assert "could not be installed: not done after 1 s; fetching; see " in sentence
    assert time.monotonic() - began < 60
    monkeypatch.setattr("tests.integration.remote.test_dependencies.PIP", "")
    good = fields(remote, "api", files(page="mended"))
    remote.run("stage", **good)
    assert (environment(remote, "api", good["release"]) / "finished").exists()


@pytest.mark.parametrize(
    ("hangs", "said"),
    [("updatedb", "sh drush updatedb -y ended with code 124"), ("updatedb:status", "sh drush updatedb:status ended with")],
)
def test_a_drush_that_hangs_is_ended_at_the_migrations_limit(service: Service, mariadb: MariaDB, hangs: str, said: str) -> None:
    data = Data(service, mariadb, kind="drush", commands=[["sh", "drush", "updatedb", "-y"]], timeout=2)
    one = service.deploy({"index.html": "one"})["live"]
    script = f'echo at work; [ "$1" != {hangs} ] || sleep 600\n'
    data.schema = {"query": "SELECT 1", "expect": "1"}
    release = service.stage({"index.html": "two", "drush": script})
    began = time.monotonic()
    sentence = service.remote.refused("switch", **service.request(release, **data.fields([])))
    assert said in sentence
    assert "not done after 2 s" in sentence
    assert time.monotonic() - began < 60
    assert service.live == one
    assert leftovers(service) == []


def test_a_table_that_another_session_holds_ends_the_switch_before_it_begins(
    service: Service, server: MariaDB | PostgreSQL
) -> None:
    data = Data(service, server)
    one = data.deploy("one", INIT)["live"]
    release = data.stage("two", MORE)
    began = time.monotonic()
    with held(server, data.name):
        sentence = service.remote.refused("switch", **service.request(release, **data.fields(sorted(MORE))))
        assert time.monotonic() - began < 60
    assert f"no snapshot was made: another session holds a lock on a table of {data.name} for more than 1 s" in sentence
    assert f"{one} stays live" in sentence
    assert data.query("SELECT COUNT(*) FROM votes") == [(0,)]
    assert leftovers(service) == []
    assert service.switch(release, **data.fields(sorted(MORE)))["live"] == release


def held(
    server: MariaDB | PostgreSQL, name: str
) -> psycopg.Connection[tuple[object, ...]] | pymysql.Connection[pymysql.cursors.Cursor]:
    """A session that has the table ``votes`` for itself, to be left as a context."""
    if isinstance(server, MariaDB):
        maria = pymysql.connect(host="127.0.0.1", port=server.port, user="admin", password=ADMIN, database=name)
        maria.cursor().execute("LOCK TABLES votes WRITE")
        return maria
    link = psycopg.connect(host="127.0.0.1", port=server.port, user="admin", password=ADMIN, dbname=name)
    link.execute("LOCK TABLE votes IN ACCESS EXCLUSIVE MODE")
    return link


def test_a_host_program_that_hangs_is_left_and_reverts_once_it_runs_again(service: Service) -> None:
    """Its connection lives: a disk that does not answer, say. Nobody hears of that but by the clock."""
    one = service.deploy({"index.html": "one"})["live"]
    two = service.stage({"index.html": "two"})
    service.remote.environment["MO_MUTE"] = "3"
    service.site.delay = 0.5
    child = service.remote.popen(
        "switch", **service.request(two, runtime="process", restart={"command": ["sleep", "2"], "budget": 5})
    )
    until(lambda: service.live == two)
    hung = switches(service.remote)
    signalled(hung, signal.SIGSTOP)
    try:
        _, err = child.communicate(timeout=60)
    finally:
        signalled(hung, signal.SIGCONT)
    said = err.decode().splitlines()[-1]
    assert child.returncode == 1
    assert "votes: switching to" in said
    assert "the host program has said nothing for 3 s (restart, for " in said
    until(lambda: not switches(service.remote))
    assert service.live == one
    assert leftovers(service) == []
    service.site.delay = 0.0
    assert service.switch(two)["live"] == two


def signalled(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


@pytest.mark.parametrize("told", ["", "x", "-1", "99999999999999", "0"])
def test_a_limit_that_is_no_number_of_seconds_is_none(service: Service, told: str) -> None:
    service.remote.environment["MO_MUTE"] = told
    assert service.deploy({"index.html": told})["live"] == service.live


def test_a_tool_that_may_take_longer_than_a_host_program_may_be_silent_is_waited_for(service: Service) -> None:
    service.deploy({"index.html": "one"})
    service.remote.environment["MO_MUTE"] = "2"
    done = service.remote.run(
        "exec", service=service.key, target=service.target, command=["sh", "-c", "sleep 5; echo done"], timeout=20, secrets=False
    )
    assert done["output"] == ["done"] or "done" in str(done["output"])
