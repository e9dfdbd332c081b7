"""What is on a server already is seen without a change, and an account that somebody uses keeps its password until it is revoked."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from .conftest import Remote, free_port
from .databases import MariaDB, PostgreSQL
from .test_migrations import server

pytestmark = pytest.mark.sandbox
__all__ = ["server"]


def test_databases_and_accounts_are_seen_as_they_are(remote: Remote, server: MariaDB | PostgreSQL) -> None:
    server.database("mo_grown", "svc_grown", "old-password")
    server.query("CREATE TABLE IF NOT EXISTS visits (id int PRIMARY KEY)", "mo_grown")
    server.query("CREATE TABLE IF NOT EXISTS schema_version (version varchar(190) PRIMARY KEY)", "mo_grown")
    remote.servers = {"server": server.server, "down": {**server.server, "port": free_port(), "reach": "direct"}}
    remote.write()
    asked = [
        {"service": "grown", "server": "server", "database": "mo_grown", "user": "svc_grown"},
        {"service": "absent", "server": "server", "database": "mo_absent_too", "user": "svc_absent_too"},
        {"service": "down", "server": "down", "database": "mo_x", "user": "svc_x"},
        {"service": "nowhere", "server": "none", "database": "mo_x", "user": "svc_x"},
    ]
    told = remote.run("databases", services=asked)["services"]
    grown = told["grown"]
    assert (grown["exists"], grown["account"], grown["tables"], grown["history"]) == (True, True, 1, [])
    assert grown["bytes"] > 0
    assert told["absent"] == {"exists": False, "account": False}
    assert "cannot be" in told["down"]["problem"]
    assert "no database server none" in told["nowhere"]["problem"]
    server.query("INSERT INTO schema_version VALUES ('0001')", "mo_grown")
    assert remote.run("databases", services=asked[:1])["services"]["grown"]["history"] == ["schema_version"]
    assert "is none of a database" in remote.refused("databases", services=[{**asked[0], "database": "x`; DROP"}])


def test_an_account_that_is_used_keeps_its_password_until_it_is_revoked(remote: Remote, server: MariaDB | PostgreSQL) -> None:
    server.database("mo_used", "svc_used", "old-password")
    server.query("CREATE TABLE IF NOT EXISTS visits (id int PRIMARY KEY)", "mo_used")
    if isinstance(server, PostgreSQL):
        server.query("ALTER TABLE visits OWNER TO svc_used", "mo_used")
    remote.servers = {"server": server.server}
    remote.write()
    request = {
        "service": "used", "server": "server", "database": "mo_used", "user": "svc_used", "password": "new-password-of-the-stack",
        "hosts": ["127.0.0.1"], "privileges": ["ALL PRIVILEGES"],
    }  # fmt: skip
    done = remote.run("account", **request)
    assert done["kept"] == 1
    again = remote.run("account", **request)
    assert (again["kept"], again.get("role")) == (1, done.get("role"))
    assert rows(server, "svc_used", "old-password") == 0
    assert rows(server, str(done.get("role") or "svc_used"), "new-password-of-the-stack") == 0


def rows(server: MariaDB | PostgreSQL, user: str, password: str) -> int:
    """How many rows the account finds in the table that was there."""
    if isinstance(server, MariaDB):
        link: Any = server.connect(user, password, "mo_used")
    else:
        link = psycopg.connect(host="127.0.0.1", port=server.port, user=user, password=password, dbname="mo_used")
    with link, link.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM visits")
        return int(cursor.fetchone()[0])
