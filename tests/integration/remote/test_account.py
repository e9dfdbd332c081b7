"""``account``: a MariaDB user with rights on its own database alone, idempotent, whatever the password holds."""

from __future__ import annotations

import socket

import pymysql
import pytest

from .conftest import Remote, free_port
from .databases import ADMIN, MariaDB

pytestmark = pytest.mark.sandbox
HOSTILE = "p'a\"s\\s`$w;--ö %s #x"


def account(remote: Remote, mariadb: MariaDB, user: str, database: str, **more: object) -> dict[str, object]:
    remote.servers = {"plesk": mariadb.server | more.pop("server", {})}  # type: ignore[operator]
    remote.write()
    return {
        "service": "votes",
        "server": "plesk",
        "database": database,
        "user": user,
        "password": HOSTILE,
        "hosts": ["127.0.0.1"],
        "privileges": ["ALL PRIVILEGES"],
        **more,
    }


def test_makes_the_account_and_takes_it_over_again_with_any_password(remote: Remote, mariadb: MariaDB) -> None:
    mariadb.query("CREATE DATABASE IF NOT EXISTS mo_votes")
    mariadb.query("CREATE DATABASE IF NOT EXISTS mo_other")
    # Other tests on this server may have made it.
    mariadb.query("DROP USER IF EXISTS 'svc_votes'@'127.0.0.1'")
    logged = mariadb.log.stat().st_size
    first = remote.run("account", **account(remote, mariadb, "svc_votes", "mo_votes"))
    # The server's own log, which prints every statement, has the account but not its password.
    text = mariadb.log.read_bytes()[logged:].decode()
    assert "svc_votes" in text
    assert HOSTILE not in text
    assert HOSTILE.replace("'", "\\'").replace('"', '\\"') not in text
    assert "p'a" not in text.replace("\\", "")
    assert first["created"] == ["svc_votes@127.0.0.1"]
    link = mariadb.connect("svc_votes", HOSTILE, "mo_votes")
    mariadb.query("GRANT SELECT ON mo_other.* TO svc_votes@127.0.0.1")
    mariadb.query("GRANT PROCESS ON *.* TO svc_votes@127.0.0.1 WITH GRANT OPTION")
    again = remote.run("account", **account(remote, mariadb, "svc_votes", "mo_votes"))
    assert again["created"] == []
    assert len(again["revoked"]) == 2
    with link.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS t (a int)")
    link.close()
    grants = [row[0] for row in mariadb.query("SHOW GRANTS FOR svc_votes@127.0.0.1")]
    assert len(grants) == 2
    assert grants[0].startswith("GRANT USAGE ON *.* TO")
    assert grants[1] == "GRANT ALL PRIVILEGES ON `mo\\_votes`.* TO `svc_votes`@`127.0.0.1`"
    with pytest.raises(pymysql.MySQLError):
        mariadb.connect("svc_votes", HOSTILE, "mo_other")
    # The wildcard _ in a grant must not let it into moXvotes.
    mariadb.query("CREATE DATABASE IF NOT EXISTS moxvotes")
    with pytest.raises(pymysql.MySQLError):
        mariadb.connect("svc_votes", HOSTILE, "moxvotes")


def test_narrower_rights_are_left_alone_and_wider_ones_taken(remote: Remote, mariadb: MariaDB) -> None:
    mariadb.query("CREATE DATABASE IF NOT EXISTS mo_small")
    remote.run("account", **account(remote, mariadb, "svc_small", "mo_small"))
    remote.run("account", **account(remote, mariadb, "svc_small", "mo_small", privileges=["SELECT", "INSERT"]))
    grants = [row[0] for row in mariadb.query("SHOW GRANTS FOR svc_small@127.0.0.1")]
    assert grants[1].startswith("GRANT SELECT, INSERT ON `mo\\_small`.*")


def test_reaches_a_server_through_the_host(remote: Remote, mariadb: MariaDB) -> None:
    mariadb.query("CREATE DATABASE IF NOT EXISTS mo_votes")
    remote.socks_port = free_port()
    result = remote.run("account", **account(remote, mariadb, "svc_votes", "mo_votes", server={"reach": "host"}))
    assert result["version"].startswith("10.")
    with socket.create_connection(("127.0.0.1", remote.socks_port)):
        pass


def test_says_in_one_sentence_what_is_wrong(remote: Remote, mariadb: MariaDB) -> None:
    assert "does not exist" in remote.refused("account", **account(remote, mariadb, "svc_x", "mo_missing"))
    sentence = remote.refused("account", **account(remote, mariadb, "svc_x", "mo_votes", server={"admin_password": "wrong pass"}))
    assert "wrong user or password" in sentence
    assert "wrong pass" not in sentence.replace("wrong user or password", "")
    assert "cannot be reached" in remote.refused("account", **account(remote, mariadb, "svc_x", "mo_votes", server={"port": 1}))
    assert "no database server" in remote.refused(
        "account", **account(remote, mariadb, "svc_x", "mo_votes") | {"server": "nowhere"}
    )
    remote.socks_port = None
    assert "socksPort" in remote.refused("account", **account(remote, mariadb, "svc_x", "mo_votes", server={"reach": "host"}))
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    remote.socks_port = taken.getsockname()[1]
    assert "cannot listen" in remote.refused("account", **account(remote, mariadb, "svc_x", "mo_votes", server={"reach": "host"}))
    taken.close()
    assert ADMIN not in sentence
