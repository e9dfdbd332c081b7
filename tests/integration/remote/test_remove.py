"""A service goes for good after a proved dump, and nothing of it goes before."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Remote, Service
from .databases import MariaDB, PostgreSQL
from .test_migrations import M2, PASSWORD, Data, server

pytestmark = pytest.mark.sandbox
__all__ = ["server"]


def asked(action: str, **more: object) -> dict[str, Any]:
    return {"service": "votes", "action": action, "target": None, "keep": None, **more}


def deployed(service: Service, server: MariaDB | PostgreSQL) -> Data:
    data = Data(service, server)
    service.extra["persistent"] = ["uploads"]
    data.deploy("one", M2)
    (service.path / "uploads/u").write_text("kept")
    service.remote.own(service.base)
    return data


def exists(data: Data) -> bool:
    query = "SELECT 1 FROM information_schema.schemata WHERE schema_name = '{}'"
    if isinstance(data.server, PostgreSQL):
        query = "SELECT 1 FROM pg_database WHERE datname = '{}'"
    return bool(data.server.query(query.format(data.name)))


def test_everything_goes_after_a_dump_that_holds_the_same_data(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = deployed(service, server)
    found = service.remote.run("remove", **asked("look"))
    assert (found["releases"], found["target"], found["server"], found["database"]) == (1, service.target, "server", True)
    assert [name.partition("@")[0] for name in found["accounts"]] == ["svc_votes"]
    done = service.remote.run("remove", **asked("drop"))
    assert done["by_hand"] == []
    assert done["verified"] == {"schema_version": 2, "votes": 1} == done["dump"]["rows"]
    assert not exists(data)
    assert not service.base.exists()
    assert not service.path.is_symlink()
    keep = Path(done["keep"])
    assert keep.stat().st_mode & 0o777 == 0o700
    assert (keep / "shared/uploads/u").read_text() == "kept"
    name = done["dump"]["name"]
    assert subprocess.run(["sha256sum", "-c", f"{name}.sha256"], cwd=keep, capture_output=True, check=False).returncode == 0
    assert name in (keep / "RESTORE.txt").read_text()
    assert all(path.stat().st_mode & 0o077 == 0 for path in keep.glob(f"{name}*"))
    holding = [p for p in service.remote.root.rglob("*") if p.is_file() and PASSWORD.encode() in p.read_bytes()]
    assert holding == []
    again = service.remote.run("remove", **asked("drop"))
    assert (again["there"], again["removed"], again["dump"]) == (False, [], None)


def test_the_kept_dump_makes_the_database_again(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = deployed(service, server)
    before = data.query("SELECT id, what, extra FROM votes")
    done = service.remote.run("remove", **asked("drop", keep="kept here"))
    assert done["keep"].startswith(str(service.remote.root / "kept here/votes-"))
    dump = Path(done["keep"]) / f"{done['dump']['name']}.dump"
    variables = server.database(data.name, "svc_votes", PASSWORD)
    environment = {**os.environ, "MYSQL_PWD": PASSWORD, "PGPASSWORD": PASSWORD}
    where = ["-h", "127.0.0.1", "-p" if isinstance(server, PostgreSQL) else "-P", variables["DB_PORT"]]
    # The commands of RESTORE.txt.
    if isinstance(server, PostgreSQL):
        options = ["--no-owner", "--no-privileges", "--single-transaction", *where, "-U", "svc_votes", "-d", data.name, str(dump)]
        subprocess.run(["pg_restore", *options], env=environment, check=True)
    else:
        text = subprocess.run(["gzip", "-dc", str(dump)], capture_output=True, check=True).stdout
        subprocess.run(["mariadb", *where, "-u", "svc_votes", data.name], env=environment, input=text, check=True)
    assert data.query("SELECT id, what, extra FROM votes") == before


def test_a_database_that_another_service_uses_is_refused(remote: Remote, service: Service, server: MariaDB | PostgreSQL) -> None:
    data = deployed(service, server)
    other = remote.root / ".deploy/forum"
    other.mkdir()
    (other / "secrets.env").write_text((service.base / "secrets.env").read_text())
    remote.own(other)
    sentence = remote.refused("remove", **asked("drop"))
    assert "used by others too: service forum" in sentence
    assert exists(data)
    assert service.live


def test_a_dump_that_cannot_be_tested_or_made_removes_nothing(service: Service, mariadb: MariaDB) -> None:
    data = deployed(service, mariadb)
    # No administrator, and no database for the test.
    service.remote.servers = {}
    service.remote.write()
    sentence = service.remote.refused("remove", **asked("drop"))
    assert "mo_votes_verify in the hoster's panel" in sentence
    assert exists(data)
    assert service.live
    assert not (service.base / "maintenance").exists()
    # The panel's part is named; our own goes.
    mariadb.query("CREATE DATABASE mo_votes_verify")
    mariadb.query("GRANT ALL ON mo_votes_verify.* TO svc_votes@'127.0.0.1'")
    done = service.remote.run("remove", **asked("drop"))
    assert done["by_hand"] == ["delete the database mo_votes and the account svc_votes in the hoster's panel"]
    assert done["verified"] == {"schema_version": 2, "votes": 1}
    assert exists(data)
    assert not service.base.exists()
    mariadb.query("DROP DATABASE mo_votes_verify")


def test_a_removal_cut_after_the_database_was_dropped_goes_on(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = deployed(service, server)
    keep = service.remote.root / ".deploy/.removed/votes-20260101T000000Z"
    keep.mkdir(parents=True)
    (service.base / "removing").write_text(f"{keep}\n")
    service.remote.own(service.remote.root / ".deploy")
    server.query(f"DROP DATABASE {data.name}")
    done = service.remote.run("remove", **asked("drop"))
    assert done["keep"] == str(keep)
    assert done["dump"] is None
    assert json.dumps(done["removed"]).count("account svc_votes") == 1
    assert not service.base.exists()
    assert (keep / "shared/uploads/u").read_text() == "kept"


def test_in_place_what_is_in_a_folder_is_kept_also_where_the_folder_is_the_hoster_s(service: Service) -> None:
    service.extra |= {"strategy": "in-place", "persistent": ["uploads"]}
    service.deploy({"index.html": "one"})
    (service.path / "uploads/u").write_text("kept")
    (service.path / "invoice.pdf").write_text("invoice")
    service.deploy({"index.html": "two"})
    os.chown(service.path.parent, 0, 0)
    service.path.parent.chmod(0o755)
    done = service.remote.run("remove", **asked("drop"))
    assert done["site"] > 0
    assert (Path(done["keep"]) / "site/uploads/u").read_text() == "kept"
    assert [file.read_text() for file in Path(done["keep"]).glob("replaced/*/invoice.pdf")] == ["invoice"]
    assert list(service.path.iterdir()) == []
    assert not service.base.exists()


def test_a_removal_whose_scratch_database_cannot_be_made_leaves_the_site_open(service: Service, mariadb: MariaDB) -> None:
    data = deployed(service, mariadb)
    mariadb.query("CREATE OR REPLACE USER padm@'127.0.0.1' IDENTIFIED BY 'hhhhhhhh'")
    mariadb.query("GRANT SELECT, INSERT, UPDATE, DELETE, DROP ON *.* TO padm@'127.0.0.1'")
    service.remote.servers = {"server": {**mariadb.server, "admin_user": "padm", "admin_password": "hhhhhhhh"}}
    service.remote.write()
    assert "server refused: Access denied" in service.remote.refused("remove", **asked("drop"))
    assert exists(data)
    assert service.live
    assert not (service.base / "maintenance").exists()


def test_a_removal_whose_client_ends_before_it_removes_anything_opens_the_site_again(service: Service, mariadb: MariaDB) -> None:
    data = deployed(service, mariadb)
    link = mariadb.connect(database=data.name)
    with link.cursor() as cursor:
        # The dump waits for it.
        cursor.execute("LOCK TABLES votes WRITE")
        child = service.remote.popen("remove", **asked("drop"), unverified=True)
        _until((service.base / "maintenance").exists)
        child.kill()
        child.communicate()
        cursor.execute("UNLOCK TABLES")
    link.close()
    _until(lambda: not (service.base / "maintenance").exists())
    assert exists(data)
    assert service.live
    # The next one goes on in the same folder.
    done = service.remote.run("remove", **asked("drop"))
    assert [path.name for path in (service.remote.root / ".deploy/.removed").iterdir()] == [Path(done["keep"]).name]
    assert not service.base.exists()


def test_no_final_dump_is_made_while_the_site_stays_open(service: Service, mariadb: MariaDB) -> None:
    data = deployed(service, mariadb)
    # A web server that does not know the window; what it writes would be in no dump.
    del service.site.services[service.domain]
    sentence = service.remote.refused("remove", **asked("drop"))
    assert f"{service.domain}/ answers 200 instead of 503 while the file maintenance is there" in sentence
    assert "nothing was removed" in sentence
    assert exists(data)
    assert service.live
    assert not (service.base / "maintenance").exists()
    assert list(service.base.glob("probe-*")) == []
    done = service.remote.run("remove", **asked("drop"), site_open=True)
    assert [note.partition(" (")[0] for note in done["notes"]] == ["the site was not seen closed"]
    assert done["verified"] == {"schema_version": 2, "votes": 1}
    assert not service.base.exists()


def test_a_site_whose_address_nobody_knows_counts_as_open(service: Service, mariadb: MariaDB) -> None:
    data = deployed(service, mariadb)
    (service.base / "target").write_text(f"{service.target}\n")
    assert "its address is known neither" in service.remote.refused("remove", **asked("drop"))
    assert exists(data)
    assert service.remote.run("remove", **asked("drop"), probe=service.request("adopted")["probe"])["notes"] == []


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
