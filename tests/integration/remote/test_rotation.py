"""A rotation on real servers: clients that log in and write all the time lose nothing, wherever it is cut; the former password fails."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from .conftest import Remote, Service
from .databases import MariaDB, PostgreSQL

pytestmark = pytest.mark.sandbox
FORMER, NEW, LATER = "former-Password_1", "new-Password_2", "later-Password_3"
SETTINGS = re.compile(r"^(\w+)='(.*)'$", re.MULTILINE)


class Side:
    """One service with its database on one of the servers, as an update has left it with the password ``FORMER``."""

    def __init__(self, remote: Remote, service: Service, server: MariaDB | PostgreSQL) -> None:
        self.remote, self.service, self.server = remote, service, server
        self.maria = isinstance(server, MariaDB)
        self.name = "maria" if self.maria else "postgres"
        self.user, self.database = "svc_turn", "mo_turn"
        self.secrets = service.base / "secrets.env"
        self.former = service.base / "secrets.former"
        self._make()
        remote.servers = {"db": self._settings()}
        remote.write()
        self.account(FORMER)
        self.env(FORMER)

    def deploy(self, **more: object) -> str:
        """Makes a release of the service live; without one, ``env`` has nobody to ask."""
        release = self.service.stage({"index.html": "hello"})
        self.service.switch(release, **more)
        return release

    def _make(self) -> None:
        if isinstance(self.server, MariaDB):
            self.server.query("DROP USER IF EXISTS svc_turn@'127.0.0.1'")
            self.server.query("DROP DATABASE IF EXISTS mo_turn")
            self.server.query("CREATE DATABASE mo_turn CHARACTER SET utf8mb4")
            self.server.query("CREATE TABLE mo_turn.written (id BIGINT PRIMARY KEY)")
            return
        self.server.query("DROP DATABASE IF EXISTS mo_turn WITH (FORCE)")
        for role in ("svc_turn_c", "svc_turn_b", "svc_turn", "mo_maker"):
            self.server.query(f"DROP ROLE IF EXISTS {role}")
        # As on a managed server: an administrator who is no superuser.
        self.server.query("CREATE ROLE mo_maker LOGIN CREATEROLE CREATEDB PASSWORD 'maker'")
        self.server.query("CREATE ROLE svc_turn LOGIN")
        # It owns a table below before it has a password, as no role does that an update has just made.
        self.server.query("COMMENT ON ROLE svc_turn IS 'mo-deploy: no password'")
        self.server.query("CREATE DATABASE mo_turn")
        self.server.query("REVOKE ALL ON DATABASE mo_turn FROM PUBLIC")
        self.server.query("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE mo_turn TO svc_turn")
        self.server.query("GRANT CREATE, USAGE ON SCHEMA public TO svc_turn", "mo_turn")
        self.server.query("SET ROLE svc_turn; CREATE TABLE written (id BIGINT PRIMARY KEY)", "mo_turn")

    def _settings(self) -> dict[str, Any]:
        if isinstance(self.server, MariaDB):
            return self.server.server
        return {
            "engine": "postgresql", "host": "127.0.0.1", "port": self.server.port, "reach": "direct", "tls": False, "ca_file": None,
            "admin_user": "mo_maker", "admin_password": "maker",
        }  # fmt: skip

    def asked(self, password: str) -> dict[str, Any]:
        return {
            "service": "votes", "server": "db", "database": self.database, "user": self.user, "password": password,
            "hosts": ["127.0.0.1"], "privileges": ["ALL PRIVILEGES"],
        }  # fmt: skip

    def account(self, password: str) -> dict[str, Any]:
        done = self.remote.run("account", **self.asked(password))
        self.user_now = str(done.get("role") or self.user)
        return done

    def env_request(self, password: str, **more: object) -> dict[str, Any]:
        variables = {
            "DB_ENGINE": "mariadb" if self.maria else "postgresql", "DB_HOST": "127.0.0.1", "DB_PORT": str(self.server.port),
            "DB_NAME": self.database, "DB_USER": self.user_now, "DB_PASS": password,
        }  # fmt: skip
        probe = {"domain": self.service.domain, "path": "/", "release_path": "/release.json", "successes": 2, "timeout": 3}
        return {"service": "votes", "variables": variables, "target": self.service.target, "probe": probe, **more}

    def env(self, password: str, **more: object) -> dict[str, Any]:
        return self.remote.run("env", **self.env_request(password, **more))

    def revoke(self, password: str, **more: object) -> dict[str, Any]:
        return self.remote.run("revoke", **self.asked(password), **{"rotation": "r1", **more})

    def login(self, user: str, password: str) -> Any:
        """A new connection, or the server's refusal as an exception."""
        if self.maria:
            return pymysql.connect(
                host="127.0.0.1", port=self.server.port, user=user, password=password, database=self.database, autocommit=True
            )
        return psycopg.connect(
            host="127.0.0.1", port=self.server.port, user=user, password=password, dbname=self.database, autocommit=True
        )

    def works(self, user: str, password: str) -> bool:
        try:
            self.login(user, password).close()
        except (pymysql.MySQLError, psycopg.Error):
            return False
        return True

    def settings(self) -> dict[str, str]:
        """What an app reads at its next request."""
        return dict(SETTINGS.findall(self.secrets.read_text()))

    def written(self) -> set[int]:
        query = "SELECT id FROM written"
        return {row[0] for row in self.server.query(query, self.database)}


class Load:
    """Clients that read ``secrets.env``, log in and write one row, again and again. ``acknowledged``: ids that were confirmed."""

    def __init__(self, side: Side, clients: int = 3) -> None:
        self.side, self.acknowledged, self.failures = side, set[int](), list[str]()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(clients)]

    def _write(self, client: int) -> None:
        number = client
        while not self._end.is_set():
            number += 100
            try:
                known = self.side.settings()
                link = self.side.login(known["DB_USER"], known["DB_PASS"])
                with link.cursor() as cursor:
                    cursor.execute("INSERT INTO written VALUES (%s)", (number,))
                link.close()
                self.acknowledged.add(number)
            except Exception as error:
                self.failures.append(str(error))
            time.sleep(0.005)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(params=["mariadb", "postgresql"])
def side(request: pytest.FixtureRequest, remote: Remote, service: Service) -> Side:
    return Side(remote, service, request.getfixturevalue(request.param))


def _wait(true: Callable[[], bool]) -> None:
    """Until ``true()`` (at most a minute)."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def test_under_load_no_login_is_refused_and_no_acknowledged_write_lost(side: Side) -> None:
    side.deploy()
    with Load(side) as load:
        _wait(lambda: len(load.acknowledged) > 20)
        assert side.account(NEW)["kept"] == 1
        assert side.works(side.user, FORMER)
        assert side.works(side.user_now, NEW)
        done = side.env(NEW)
        assert (done["changed"], done["checked"], done["restarted"]) == (True, True, False)
        count = len(load.acknowledged)
        _wait(lambda: len(load.acknowledged) > count + 20)
        revoked = side.revoke(NEW)
        assert revoked["refused"] is True
        assert revoked["revoked"] == (["svc_turn@127.0.0.1"] if side.maria else ["svc_turn"])
        count = len(load.acknowledged)
        _wait(lambda: len(load.acknowledged) > count + 20)
    assert load.failures == []
    assert load.acknowledged <= side.written()
    assert not side.works(side.user, FORMER)
    assert not side.former.exists()
    again = side.revoke(NEW)
    assert (again["revoked"], again["refused"]) == ([], False)


def test_turns_back_and_forth_keep_one_owner(side: Side) -> None:
    for password, former in ((NEW, FORMER), (LATER, NEW)):
        role = side.settings()["DB_USER"]
        side.account(password)
        side.env(password)
        assert side.revoke(password)["refused"] is True
        assert not side.works(role, former)
        with side.login(side.user_now, password) as link, link.cursor() as cursor:
            cursor.execute(f"CREATE TABLE t_{len(password)} (a int)")
    if not side.maria:
        assert side.user_now == "svc_turn"
        owners = side.server.query("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'", "mo_turn")
        assert owners == [("svc_turn",)]
        twin = side.server.query("SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = 'svc_turn_b'")
        assert twin == [(False, False, False)]


def test_cut_after_each_phase_with_a_restart_of_the_server_the_service_logs_in_and_the_next_run_completes(side: Side) -> None:
    passwords = [FORMER, *(f"turn-Password_{n}" for n in range(4))]
    for done, (former, new) in enumerate(itertools.pairwise(passwords)):
        phases: list[Callable[[str], object]] = [side.account, side.env, side.revoke]
        role = side.settings()["DB_USER"]
        for phase in phases[:done]:
            phase(new)
        side.server.restart()
        known = side.settings()
        assert side.works(known["DB_USER"], known["DB_PASS"]), f"after {done} phases"
        # What any later update does, were its state to know of none of the phases.
        for phase in phases:
            phase(new)
        known = side.settings()
        assert (known["DB_USER"], known["DB_PASS"]) == (side.user_now, new)
        assert side.works(side.user_now, new)
        assert not side.works(role, former)


def test_unfinished_rotations_stack_up_and_one_that_is_finished_ends_them_all(side: Side) -> None:
    side.account(NEW)
    side.account(LATER)
    assert side.works(side.user, FORMER)
    side.env(LATER)
    side.revoke(LATER)
    assert side.works(side.user_now, LATER)
    users = ("svc_turn", "svc_turn_b", "svc_turn_c")
    assert not any(side.works(user, password) for user in users for password in (FORMER, NEW))


def test_nothing_is_revoked_before_the_host_has_the_new_password(side: Side) -> None:
    side.account(NEW)
    request = {**side.asked(NEW), "rotation": "r1"}
    assert "no other one is revoked" in side.remote.refused("revoke", **request)
    assert side.works(side.user, FORMER)
    assert side.revoke(NEW, hold=True)["held"] is True
    assert side.works(side.user, FORMER)
    # A password that the server does not know: the one that works is not touched.
    sentence = side.remote.refused("revoke", **{**request, "password": LATER})
    assert "no other one is revoked" in sentence
    assert LATER not in sentence


def test_credentials_that_do_not_log_in_never_reach_the_file(side: Side) -> None:
    before = side.secrets.read_text()
    sentence = side.remote.refused("env", **side.env_request("wrong-Password_9"))
    assert "do not log in" in sentence
    assert "nothing was changed" in sentence
    assert "wrong-Password_9" not in sentence
    assert side.secrets.read_text() == before
    assert sorted(path.name for path in side.service.base.glob(".secrets*")) == []


def test_no_log_of_a_server_holds_a_password(side: Side) -> None:
    side.account(NEW)
    side.env(NEW)
    side.revoke(NEW)
    text = side.server.log.read_bytes()
    assert b"svc_turn" in text
    for password in (FORMER, NEW):
        assert password.encode() not in text


class Process:
    """A service whose process is started by its restart command, as it reads its secrets once; each start is a line of ``starts``."""

    def __init__(self, side: Side, folder: Path) -> None:
        self.side, self.starts, self.program = side, folder / "starts", folder / "restart"
        self.release = ""
        self.starts.write_text("")
        self.starts.chmod(0o666)
        folder.chmod(0o777)
        self.fails("")

    def fails(self, with_secret: str) -> None:
        """The restart command: notes the password that it reads, and fails where it is ``with_secret``."""
        secrets = shlex.quote(str(self.side.secrets))
        self.program.write_text(
            f'#!/bin/sh\n. {secrets}\necho "$DB_PASS" >> {self.starts}\n[ "$DB_PASS" != "{with_secret or "-"}" ]\n'
        )
        self.program.chmod(0o755)

    @property
    def request(self) -> dict[str, Any]:
        return {"restart": {"command": [str(self.program)], "budget": 5}, "runtime": "process"}

    def told(self) -> list[str]:
        return self.starts.read_text().split()


@pytest.fixture
def process(remote: Remote, service: Service, mariadb: MariaDB, tmp_path: Path) -> Process:
    side = Side(remote, service, mariadb)
    made = Process(side, remote.folder)
    made.release = side.deploy(**made.request)
    side.account(NEW)
    made.starts.write_text("")
    return made


def test_a_process_is_restarted_once_with_its_new_secrets_and_never_without_a_change(process: Process) -> None:
    side = process.side
    assert side.env(NEW, **process.request)["restarted"] is True
    assert process.told() == [NEW]
    assert side.env(NEW, **process.request) == {**side.env(NEW, **process.request), "changed": False, "restarted": False}
    side.service.switch(process.release, **process.request)
    assert process.told() == [NEW]


def test_a_run_that_was_cut_before_the_restart_is_made_up_for(process: Process) -> None:
    side = process.side
    side.secrets.write_text(side.secrets.read_text().replace(FORMER, NEW))
    done = side.env(NEW, **process.request)
    assert (done["changed"], done["restarted"]) == (False, True)
    assert process.told() == [NEW]


def test_secrets_with_which_the_process_does_not_start_are_taken_back(process: Process) -> None:
    side = process.side
    process.fails(NEW)
    sentence = side.remote.refused("env", **side.env_request(NEW, **process.request))
    assert "the former secrets are in place again" in sentence
    assert side.settings()["DB_PASS"] == FORMER
    assert process.told() == [NEW, FORMER]
    process.fails("")
    assert side.env(NEW, **process.request)["restarted"] is True


def test_a_client_that_is_killed_while_the_process_restarts_leaves_a_working_service(process: Process) -> None:
    side = process.side
    process.program.write_text(process.program.read_text() + "sleep 1\n")
    child = side.remote.popen("env", **side.env_request(NEW, **process.request))
    _wait(lambda: process.told() == [NEW])
    child.send_signal(signal.SIGKILL)
    child.wait()
    # The orphan on the host, whom nobody answers, puts back; the next run waits for it.
    done = side.env(NEW, **process.request)
    assert side.settings()["DB_PASS"] == NEW
    assert process.told()[-1] == NEW
    assert done["checked"] is True
    assert side.works(side.user, FORMER)


def test_a_site_that_did_not_answer_before_holds_nothing_against_new_secrets(process: Process) -> None:
    side = process.side
    side.service.site.directories[side.service.domain] = Path("/nonexistent")
    done = side.env(NEW, **process.request)
    assert (done["changed"], done["checked"]) == (True, False)
    assert "not checked" in done["notes"][0]


def test_a_held_lock_is_waited_for(process: Process) -> None:
    side = process.side
    holder = subprocess.Popen(["flock", str(side.service.base / "lock"), "sleep", "1"])
    _wait(lambda: subprocess.run(["flock", "-n", str(side.service.base / "lock"), "true"], check=False).returncode != 0)
    child = side.remote.popen("env", **side.env_request(NEW, **process.request))
    out, err = child.communicate(timeout=60)
    holder.wait()
    assert child.returncode == 0, err
    assert json.loads(out)["restarted"] is True
