"""``facts`` tells what is there in one connection and writes nothing."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from .conftest import RUN, Remote, Service

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
