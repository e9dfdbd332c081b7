"""A database and a role that were there before are imported by the component itself and stay as they are, in every later update too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.embedded.conftest import Server
from tests.integration.embedded.stack import ROOT, Stack

pytestmark = pytest.mark.sandbox
PROGRAM = """
import sys
sys.path.insert(0, {root!r})
import pulumi
import pulumi_mysql as mysql
import pulumi_postgresql as postgresql
from catalog.models import Database
from catalog.settings import ServerSettings
from components.facts import ExistingDatabase
from components.service_database import ServiceDatabase, ServiceDatabaseArgs

maria = mysql.Provider("maria", endpoint="127.0.0.1:{maria}", username="deployer", password="deployer-pw", tls="false")
login = {{"username": "deployer", "password": "deployer-pw", "sslmode": "disable", "superuser": False}}
post = postgresql.Provider("post", host="127.0.0.1", port={post}, **login)
there = ExistingDatabase(exists=True, account=True) if {there} else None
for engine, server, provider in (("mariadb", "external-mariadb", maria), ("postgresql", "external-postgresql", post)):
    declared = Database(engine=engine, server=server, name="mo_grown", user="svc_grown")
    settings = ServerSettings(engine=engine, host="127.0.0.1", port=1, provision="managed", reach="direct", admin_user="deployer")
    args = ServiceDatabaseArgs("dev", "h", engine, declared, settings, provider, retain=True, existing=there)
    ServiceDatabase(engine + "-data", args)
"""


@pytest.fixture
def grown(mariadb: Server, postgresql: Server) -> None:
    """Databases as somebody once made them: other character sets, other owners, rights that we would not give."""
    mariadb.run("DROP DATABASE IF EXISTS mo_grown; CREATE DATABASE mo_grown CHARACTER SET latin1 COLLATE latin1_german1_ci")
    mariadb.run("CREATE TABLE mo_grown.visits (id INT); INSERT INTO mo_grown.visits VALUES (1), (2)")
    postgresql.run("DROP DATABASE IF EXISTS mo_grown")
    postgresql.run("DROP ROLE IF EXISTS svc_grown")
    postgresql.run("CREATE ROLE svc_grown LOGIN CREATEDB PASSWORD 'old' CONNECTION LIMIT 7 VALID UNTIL '2099-01-01'")
    postgresql.run("CREATE DATABASE mo_grown OWNER svc_grown TEMPLATE template1 CONNECTION LIMIT 50")


def started(folder: Path, maria: Server, post: Server, *, there: bool = True) -> Stack:
    remote = folder / "components/remote"
    remote.mkdir(parents=True)
    (remote / "run").write_text('#!/bin/sh\ncat >/dev/null\necho \'{"ok": true, "kept": 1, "role": "svc_grown"}\'\n')
    (remote / "run").chmod(0o755)
    return Stack(folder, PROGRAM.format(root=str(ROOT), maria=maria.port, post=post.port, there=there))


def test_what_is_there_is_imported_and_stays_as_it_is(grown: None, mariadb: Server, postgresql: Server, tmp_path: Path) -> None:
    held = started(tmp_path, mariadb, postgresql)
    shown = held.good("preview", "--diff")
    assert "import" in shown
    held.good("up", "--yes", "--skip-preview")
    for _ in range(2):
        assert mariadb.run("SELECT COUNT(*) FROM mo_grown.visits") == "2"
        query = "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = 'mo_grown'"
        assert mariadb.run(query) == "latin1"
        owner = "SELECT pg_get_userbyid(datdba), datconnlimit FROM pg_database WHERE datname = 'mo_grown'"
        assert postgresql.run(owner) == "svc_grown|50"
        role = "SELECT rolcreatedb, rolconnlimit, rolvaliduntil::date FROM pg_roles WHERE rolname = 'svc_grown'"
        assert postgresql.run(role) == "t|7|2099-01-01"
        again = held.good("up", "--yes", "--skip-preview")
        assert "unchanged" in again
        assert not [line for line in again.splitlines() if line.lstrip().startswith(("+", "~", "-")) and "grown" in line]
        # Where the service's own account answers, nothing is asked any more, and nothing is imported.
        program = held.folder / "__main__.py"
        program.write_text(program.read_text().replace("if True else", "if False else"))
    kinds = {
        str(resource["type"]): resource.get("id")
        for resource in json.loads(held.good("stack", "export"))["deployment"]["resources"]
        if resource["type"].endswith((":Database", ":Role"))
    }
    assert kinds == {
        "mysql:index/database:Database": "mo_grown", "postgresql:index/database:Database": "mo_grown",
        "postgresql:index/role:Role": "svc_grown",
    }  # fmt: skip


def test_and_without_it_the_update_would_fail_as_it_did(grown: None, mariadb: Server, postgresql: Server, tmp_path: Path) -> None:
    done = started(tmp_path, mariadb, postgresql, there=False).run("up", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "1007" in done.stdout + done.stderr
