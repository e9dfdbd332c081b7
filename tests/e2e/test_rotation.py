"""Databases, accounts and secrets of a whole deployment: as declared on the real servers, and rotated while visitors and clients go on.

One deployment; of a files site, PHP on the host's MariaDB, a process on PostgreSQL, and the databases of all services.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pymysql
import pytest

from sandbox import processes
from tests.e2e.deployment import Deployment, deployment, ran
from tests.e2e.poller import Poller

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

BUILT = ("main", "votes", "api")


@pytest.fixture(scope="module")
def site() -> Iterator[Deployment]:
    with deployment() as made:
        made.build(*BUILT)
        made.up()
        yield made


def login(site: Deployment, known: dict[str, str], database: str | None = None) -> Any:
    """A new connection with a service's credentials; the server's refusal is an exception."""
    name = database or known["DB_NAME"]
    if known["DB_ENGINE"] == "postgresql":
        return psycopg.connect(
            host="127.0.0.1", port=int(known["DB_PORT"]), user=known["DB_USER"], password=known["DB_PASS"], dbname=name,
            sslmode="verify-full", sslrootcert=str(site.sandbox.ca), autocommit=True,
        )  # fmt: skip
    return pymysql.connect(
        host="127.0.0.1",
        port=int(known["DB_PORT"]),
        user=known["DB_USER"],
        password=known["DB_PASS"],
        database=name,
        autocommit=True,
    )


def works(site: Deployment, known: dict[str, str], database: str | None = None) -> bool:
    try:
        login(site, known, database).close()
    except (pymysql.MySQLError, psycopg.Error):
        return False
    return True


def with_database(site: Deployment, engine: str) -> dict[str, Any]:
    return {key: s.database for key, s in site.services.items() if s.database and s.database.engine == engine}


def test_every_mariadb_database_user_and_right_is_as_declared(site: Deployment) -> None:
    for key, declared in with_database(site, "mariadb").items():
        with closing(site.sandbox.mariadb(declared.server)) as link, link.cursor() as cursor:
            cursor.execute(
                "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s", (declared.name,)
            )
            assert cursor.fetchone() == ("utf8mb4_unicode_ci",), key
            cursor.execute("SELECT host FROM mysql.user WHERE user = %s", (declared.user,))
            hosts = [row[0] for row in cursor.fetchall()]
            assert hosts == site.sandbox.settings["servers"][declared.server].get("accountHosts", ["localhost"]), key
            cursor.execute("SHOW GRANTS FOR %s@%s", (declared.user, hosts[0]))
            usage, *own = [row[0] for row in cursor.fetchall()]
            assert usage.startswith("GRANT USAGE ON *.* TO"), key
            scope = declared.name.replace("_", "\\_")
            assert own == [f"GRANT ALL PRIVILEGES ON `{scope}`.* TO `{declared.user}`@`{hosts[0]}`"], key


def test_every_postgresql_database_role_and_right_is_as_declared(site: Deployment) -> None:
    with closing(site.sandbox.postgresql(superuser=True)) as link:
        for key, declared in with_database(site, "postgresql").items():
            found = link.execute(
                "SELECT pg_encoding_to_char(encoding), datcollate, has_database_privilege('public', oid, 'CONNECT') "
                "FROM pg_database WHERE datname = %s",
                (declared.name,),
            ).fetchone()
            assert found == ("UTF8", "C.UTF-8", False), key
            role = link.execute(
                "SELECT rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = %s",
                (declared.user,),
            ).fetchone()
            assert role == (True, False, False, False, False), key


def test_what_github_received_logs_in_and_nobody_reads_another_s_database(site: Deployment) -> None:
    received = site.sandbox.github.secrets()["sandbox"]
    for engine in ("mariadb", "postgresql"):
        declared = with_database(site, engine)
        for key, own in declared.items():
            known = site.secrets_of(key)
            prefix = own.name.upper()
            given = {**known, "DB_USER": received[f"{prefix}_DB_USER"], "DB_PASS": received[f"{prefix}_DB_PASS"]}
            assert works(site, given), key
            others = [other.name for other in declared.values() if other.server == own.server and other.name != own.name]
            assert not any(works(site, given, other) for other in others), key


def test_the_environment_is_guarded_as_declared(site: Deployment) -> None:
    environment = site.sandbox.github.state()["environments"]["sandbox"]
    rules = json.dumps(environment)
    assert '"prevent_self_review": true' in rules or not site.sandbox.settings["github"].get("reviewers")
    assert '"protected_branches": true' in rules
    assert '"can_admins_bypass": false' in rules


class Clients:
    """For each service a client that reads its ``secrets.env``, logs in and writes a row, again and again."""

    def __init__(self, site: Deployment, *services: str) -> None:
        self.site, self.failures = site, list[str]()
        self.acknowledged: dict[str, set[int]] = {service: set() for service in services}
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(service,), daemon=True) for service in services]
        for service in services:
            with closing(login(site, site.secrets_of(service))) as link, link.cursor() as cursor:
                cursor.execute("CREATE TABLE IF NOT EXISTS written (id BIGINT PRIMARY KEY)")

    def _write(self, service: str) -> None:
        number = time.time_ns()
        while not self._end.is_set():
            number += 1
            try:
                with closing(login(self.site, self.site.secrets_of(service))) as link, link.cursor() as cursor:
                    cursor.execute("INSERT INTO written VALUES (%s)", (number,))
                self.acknowledged[service].add(number)
            except Exception as error:
                self.failures.append(f"{service}: {error}")
            time.sleep(0.02)

    def lost(self) -> dict[str, set[int]]:
        """Acknowledged rows that are not there."""
        found = {}
        for service, rows in self.acknowledged.items():
            with closing(login(self.site, self.site.secrets_of(service))) as link, link.cursor() as cursor:
                cursor.execute("SELECT id FROM written")
                found[service] = rows - {row[0] for row in cursor.fetchall()}
        return found

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


def test_a_rotation_is_noticed_by_nobody_and_the_former_password_is_refused(site: Deployment) -> None:
    former = {service: site.secrets_of(service) for service in ("votes", "api")}
    with Poller(site) as poller, Clients(site, "votes", "api") as clients:
        for service in former:
            told = json.loads(site.run("bin/mo", "rotate", service, "--yes", "--json").stdout)
            assert (told["finished"], told["refused"], told["errors"]) == (True, True, [])
            assert told["services"][service]["restarted"] is (service == "api")
    for service, before in former.items():
        now = site.secrets_of(service)
        assert now["DB_PASS"] != before["DB_PASS"]
        assert works(site, now)
        assert not works(site, before)
        assert clients.acknowledged[service]
        assert poller.records[service].outages() == []
        assert any(seen.status == 200 for seen in poller.records[service].answers)
        prefix = now["DB_NAME"].upper()
        received = site.sandbox.github.secrets()["sandbox"]
        assert (received[f"{prefix}_DB_USER"], received[f"{prefix}_DB_PASS"]) == (now["DB_USER"], now["DB_PASS"])
    assert clients.failures == []
    assert not any(clients.lost().values())
    assert ran(site.up().stdout) == set()
    assert "revoke" not in [line.split()[-1] for line in site.preview().splitlines() if "update" in line]


@contextmanager
def held_lock(site: Deployment, service: str) -> Iterator[None]:
    """Somebody else's run holds the service's lock on the host, so that the next step of ours waits there."""
    place = site.sandbox.root / ".deploy" / service / "lock"
    holder = subprocess.Popen(["flock", str(place), "sleep", "600"], start_new_session=True)
    try:
        _until(lambda: subprocess.run(["flock", "-n", str(place), "true"], check=False).returncode != 0)
        yield
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def ways(site: Deployment) -> int:
    """How many passwords the account of votes has."""
    with closing(site.sandbox.mariadb("plesk")) as link, link.cursor() as cursor:
        cursor.execute("SHOW CREATE USER svc_votes@'127.0.0.1'")
        row = cursor.fetchone()
        assert row
        return str(row[0]).count(" OR ") + 1


@pytest.mark.parametrize("next_run", ["bin/mo rotate", "bin/pulumi up"])
def test_a_rotation_that_was_killed_between_its_phases_is_completed(site: Deployment, next_run: str) -> None:
    former = site.secrets_of("votes")
    # Killed where both passwords are valid and the file has the former one.
    with held_lock(site, "votes"):
        running = site.start("bin/mo", "rotate", "votes", "--yes")
        _until(lambda: ways(site) == 2)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert works(site, former)
    assert site.sandbox.get("votes").status == 200
    if next_run == "bin/mo rotate":
        told = json.loads(site.run("bin/mo", "rotate", "votes", "--yes", "--json").stdout)
        assert told["finished"]
    else:
        # A plain update is refused while a killed run's lock has neither expired nor been released.
        site.run("bin/mo", "unlock", "--yes")
        site.run("bin/pulumi", "cancel", "--yes", "--stack", "sandbox", expect=None)
        site.up()
    assert works(site, site.secrets_of("votes"))
    assert not works(site, former) or site.secrets_of("votes") == former
    assert ways(site) == 1


def test_while_github_refuses_both_passwords_stay_and_the_next_run_completes(site: Deployment) -> None:
    former = site.secrets_of("votes")
    site.sandbox.github.control(fail={"status": 403, "count": 200, "match": "PUT .*/secrets/"})
    told = json.loads(site.run("bin/mo", "rotate", "votes", "--yes", "--json", expect=1).stdout)
    assert (told["finished"], told["revoked"]) == (False, [])
    assert any("github" in error.lower() or "403" in error for error in told["errors"])
    assert works(site, former)
    assert works(site, site.secrets_of("votes"))
    site.sandbox.github.control(reset=True)
    site.run("bin/pulumi", "refresh", "--yes", "--skip-preview", "--stack", "sandbox")
    again = json.loads(site.run("bin/mo", "rotate", "votes", "--yes", "--json").stdout)
    assert (again["resumed"], again["finished"]) == (True, True)
    assert not works(site, former)


def test_what_was_deleted_on_github_is_found_by_refresh_and_written_again(site: Deployment) -> None:
    before = site.sandbox.github.secrets()["sandbox"]
    for name in ("JWT_SECRET", "MO_VOTES_DB_PASS"):
        site.sandbox.github.control(drop_secret=["sandbox", name])
    site.run("bin/pulumi", "refresh", "--yes", "--skip-preview", "--stack", "sandbox")
    assert ran(site.up().stdout) == {"github-jwt-secret", "github-mo-votes-db-pass"}
    assert site.sandbox.github.secrets()["sandbox"] == before


def test_a_protection_that_was_taken_away_by_hand_is_found_by_refresh_and_put_back(site: Deployment) -> None:
    def guarded() -> dict[str, Any]:
        held = site.sandbox.github.state()["environments"]["sandbox"]
        return {key: held[key] for key in ("protection_rules", "deployment_branch_policy", "can_admins_bypass")}

    before = guarded()
    settings = site.sandbox.settings
    github = settings["github"]
    request = urllib.request.Request(
        f"{site.sandbox.github.url}repos/{github['owner']}/{github['repository']}/environments/sandbox",
        data=json.dumps({"reviewers": None, "deployment_branch_policy": None, "can_admins_bypass": True}).encode(),
        headers={"Authorization": f"Bearer {settings['secrets']['githubToken']}", "Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    assert guarded() != before
    site.run("bin/pulumi", "refresh", "--yes", "--skip-preview", "--stack", "sandbox")
    assert ran(site.up().stdout) == {"github-environment"}
    assert guarded() == before
    assert ran(site.up().stdout) == set()


def test_refresh_and_destroy_open_the_way_to_the_databases_or_say_how_to_and_change_nothing(site: Deployment) -> None:
    assert any(server["reach"] == "host" for server in site.sandbox.settings["servers"].values())
    site.disconnect()
    site.run("bin/pulumi", "refresh", "--yes", "--skip-preview", "--stack", "sandbox")
    before = site.run("bin/pulumi", "stack", "export", "--stack", "sandbox").stdout
    site.disconnect()
    processes.stop(site.sandbox.layout, "sshd")
    try:
        for command in ("refresh", "destroy"):
            said = site.run("bin/pulumi", command, "--yes", "--skip-preview", "--stack", "sandbox", expect=1).stdout.splitlines()
            assert len(said) == 2, said
            assert "cannot be reached" in said[0]
            assert f"pulumi: {command} reaches databases through the host" in said[1]
            assert "bin/mo doctor --stack sandbox" in said[1]
    finally:
        site.sandbox.up()
    assert site.run("bin/pulumi", "stack", "export", "--stack", "sandbox").stdout == before
    assert works(site, site.secrets_of("votes"))


def test_an_application_secret_reaches_every_service_that_reads_it(site: Deployment) -> None:
    former = {key: site.secrets_of(key)["JWT_SECRET"] for key in ("hooks", "api", "api_stg")}
    told = json.loads(site.run("bin/mo", "rotate", "JWT_SECRET", "--yes", "--json").stdout)
    assert told["finished"]
    assert told["services"]["api"] == {"changed": True, "restarted": True, "checked": True}
    now = {key: site.secrets_of(key)["JWT_SECRET"] for key in former}
    assert len({*now.values(), *former.values()}) == 2
    assert site.sandbox.github.secrets()["sandbox"]["JWT_SECRET"] == now["api"]


def test_a_daemon_of_others_keeps_its_former_password_until_its_owner_says_so(site: Deployment) -> None:
    former = site.secrets_of("idp")
    told = json.loads(site.run("bin/mo", "rotate", "idp", "--yes", "--json").stdout)
    assert (told["held"], told["finished"], told["revoked"]) == (True, False, [])
    assert works(site, former)
    assert works(site, site.secrets_of("idp"))
    assert ran(site.up().stdout) == set()
    assert works(site, former)
    told = json.loads(site.run("bin/mo", "rotate", "idp", "--revoke", "--yes", "--json").stdout)
    assert (told["held"], told["finished"], told["refused"]) == (False, True, True)
    assert not works(site, former)
    assert ran(site.up().stdout) == set()
