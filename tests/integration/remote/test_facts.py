"""``facts`` tells what is there in one connection and writes nothing."""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path

import pytest

from catalog.reader import read
from components.facts import Facts, ServiceFacts
from operations import drifts

from .conftest import RUN, Remote, Service
from .databases import MariaDB
from .test_interruption import kill_all, leftovers
from .test_migrations import Data

pytestmark = pytest.mark.sandbox
HOST = RUN.parent / "host"


def listing(remote: Remote) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "" for p in remote.root.rglob("*")}


def entry(service: Service, release: str | None) -> dict[str, object]:
    return {"service": service.key, "target": service.target, "release": release, "database": None, "migrate": None}


def test_an_empty_host_is_told_and_stays_empty(service: Service) -> None:
    result = service.remote.run("facts", services=[entry(service, None)], programs=["php", "no-such"])
    known = result["services"]["votes"]
    assert known["live"] is None
    assert known["content"] == "none"
    assert known["lacks"] == []
    assert result["programs"]["no-such"] is None
    assert result["programs"]["rsync"].endswith("/rsync")
    assert result["free_bytes"] > 0
    assert list(service.remote.root.iterdir()) == []


def test_tells_live_and_finished_releases_with_manifests_only_where_they_differ(service: Service) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    two = service.stage({"index.html": "two"})
    (service.base / "releases/r0000000000000000").mkdir()
    before = listing(service.remote)
    same = service.remote.run("facts", services=[entry(service, one)], programs=[])["services"]["votes"]
    assert (same["live"], same["content"], same["manifest"], same["wanted"]) == (one, "link", None, None)
    assert same["releases"] == sorted([one, two])
    other = service.remote.run("facts", services=[entry(service, two)], programs=[])["services"]["votes"]
    assert other["manifest"]["release"] == one
    assert other["wanted"]["release"] == two
    assert listing(service.remote) == before


def test_tells_the_found_content(service: Service) -> None:
    service.path.mkdir(parents=True)
    (service.path / "it's mine").write_text("x")
    known = service.remote.run("facts", services=[entry(service, None)], programs=[])["services"]["votes"]
    assert known["content"] == "directory"
    assert known["unmanaged"] == ["it's mine"]


@pytest.mark.parametrize("shell", [["dash"], ["busybox", "sh"]], ids=" ".join)
def test_a_service_s_credentials_file_outlives_one_of_a_service_whose_name_begins_alike(tmp_path: Path, shell: list[str]) -> None:
    (tmp_path / "secrets.env").write_text("DB_ENGINE='mariadb'\nDB_HOST='h'\nDB_NAME='n'\nDB_USER='u'\nDB_PASS='p'\n")
    for name in ("db.1.api_stg", "db.1.api_stg.err", "db.1.api", "db.1.api.err"):
        (tmp_path / name).touch()
    script = f'. {HOST}/common; . {HOST}/database; q_service=api secrets=secrets.env db_work=.; has() {{ :; }}; db_open || echo "$db_error"'
    done = subprocess.run([*shell, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    kept = sorted(path.name for path in tmp_path.glob("db.1.*"))
    assert kept == ["db.1.api_stg", "db.1.api_stg.err"]


def known(service: Service, release: str) -> ServiceFacts:
    told = service.remote.run("facts", services=[entry(service, release)], programs=[])
    return ServiceFacts.model_validate(told["services"][service.key])


@pytest.mark.parametrize("host_too", [False, True], ids=["at-work", "killed"])
def test_a_switch_that_its_client_left_behind_is_told_and_ended_by_the_one_of_the_former_release(
    service: Service, mariadb: MariaDB, host_too: bool
) -> None:
    data = Data(service, mariadb, mode="offline")
    first = {"0001_init": "CREATE TABLE total (n int);"}
    one = data.deploy("one", first)["live"]
    assert (known(service, one).interrupted, known(service, one).maintenance) == (False, False)
    two = data.stage("two", {**first, "0002_slow": "CREATE TABLE t (a int);\nSELECT SLEEP(3);\nCREATE TABLE u (a int);"})
    child = service.remote.popen("switch", **service.request(two, **data.fields(["0001_init", "0002_slow"])))
    for _ in range(800):
        if mariadb.query("SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"):
            break
        time.sleep(0.02)
    if host_too:
        child.kill()
        kill_all(service.remote)
    facts = known(service, one)
    assert (facts.live, facts.interrupted, facts.maintenance, facts.opened_by) == (one, True, True, "switch")
    services = {service.key: read().services[service.key]}
    told = Facts(services={service.key: facts})
    assert [one.kind for one in drifts.astray(drifts.of(services, {service.key: one}, told), told)] == ["cut"]
    # Waits for the one at work, restores what the killed one left.
    assert service.switch(one, **data.fields(["0001_init"]))["live"] == one == service.live
    child.communicate()
    assert leftovers(service) == []
    assert (known(service, one).interrupted, known(service, one).maintenance) == (False, False)
    assert data.query("SHOW TABLES LIKE 'u'") == ([] if host_too else [("u",)])


def test_a_window_that_a_person_opened_is_told_apart(service: Service) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    (service.base / "maintenance").touch()
    service.remote.own(service.base)
    facts = known(service, one)
    assert (facts.maintenance, facts.opened_by, facts.interrupted) == (True, None, False)
