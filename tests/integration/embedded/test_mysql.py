"""The provider ``mysql`` on MariaDB: what it makes there, and what stands in the state."""

from __future__ import annotations

import hashlib
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from embedded.providers import load, mysql
from embedded.providers.base import Provider, ProviderError, Resource
from embedded.values import Secret
from tests.integration.embedded.conftest import Server

pytestmark = pytest.mark.sandbox
DATABASE = "mysql:index/database:Database"
USER = "mysql:index/user:User"
GRANT = "mysql:index/grant:Grant"


def provider(server: Server, **more: Any) -> Provider:
    made = load("mysql", "3.3.3", "/", lambda *arguments, **options: None)
    made.configure(
        {"endpoint": f"127.0.0.1:{server.port}", "username": "deployer", "password": Secret("deployer-pw"), "tls": "false", **more}
    )
    return made


def make(made: Provider, kind: str, **inputs: Any) -> tuple[Resource, dict[str, Any], dict[str, Any]]:
    resource = Resource(f"urn:pulumi:dev::p::{kind}::shop", kind)
    checked, failures = made.check(resource, {}, inputs, b"seed")
    assert not failures
    identity, outputs = made.create(resource, checked, preview=False, timeout=0)
    return Resource(resource.urn, kind, identity), checked, outputs


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that knows ``innodb_version``, as MariaDB before 10.10 does."""
    monkeypatch.setattr(mysql.MysqlProvider, "_require_version", lambda self, connection: None)


def test_a_database_is_made_changed_read_and_dropped(mariadb: Server) -> None:
    made = provider(mariadb)
    resource, inputs, outputs = make(
        made, DATABASE, name="mo`shop", defaultCharacterSet="utf8mb4", defaultCollation="utf8mb4_unicode_ci"
    )
    assert resource.id == "mo`shop"
    assert outputs == {
        "defaultCharacterSet": "utf8mb4",
        "defaultCollation": "utf8mb4_unicode_ci",
        "id": "mo`shop",
        "name": "mo`shop",
    }
    assert made.diff(resource, inputs, outputs, inputs, []).changes == "none"
    mariadb.run("ALTER DATABASE `mo``shop` COLLATE latin1_swedish_ci")
    found = made.read(resource, inputs, outputs)
    assert found is not None
    assert found[2]["defaultCharacterSet"] == "latin1"
    assert sorted(made.diff(resource, found[1], found[2], inputs, []).diffs) == ["defaultCharacterSet", "defaultCollation"]
    after = made.update(resource, found[1], found[2], inputs, preview=False, timeout=0, ignore_changes=[])
    assert after == outputs
    made.delete(resource, inputs, outputs, timeout=0)
    made.delete(resource, inputs, outputs, timeout=0)
    assert made.read(resource, inputs, outputs) is None


def test_a_database_without_a_name_gets_one_and_keeps_it(mariadb: Server) -> None:
    made = provider(mariadb)
    resource = Resource("urn:pulumi:dev::p::t::shop", DATABASE)
    first, _ = made.check(resource, {}, {}, b"seed")
    assert first["name"].startswith("shop-")
    assert len(first["name"]) == len("shop-1234567")
    assert "name" in first["__defaults"]
    assert made.check(resource, first, {}, b"other")[0] == first


def test_users_and_grants_fail_here_as_with_the_published_provider(mariadb: Server) -> None:
    with pytest.raises(ProviderError) as caught:
        make(provider(mariadb), USER, user="svc", host="localhost", plaintextPassword=Secret("first-pw"))
    assert str(caught.value) == "Error 1193 (HY000): Unknown system variable 'innodb_version'"


@pytest.mark.usefixtures("answered")
def test_a_user_logs_in_with_its_password_and_a_grant_holds(mariadb: Server) -> None:
    made = provider(mariadb)
    mariadb.run("CREATE DATABASE mo_shop; CREATE TABLE mo_shop.t (a INT)")
    password = 'it\'s \\ "quoted" %s'
    user, inputs, outputs = make(made, USER, user="svc_shop", host="%", plaintextPassword=Secret(password))
    assert outputs["plaintextPassword"] == Secret(hashlib.sha256(password.encode()).hexdigest())
    grant, grant_inputs, grant_outputs = make(
        made, GRANT, user="svc_shop", host="%", database="mo_shop", privileges=["SELECT", "INSERT", "UPDATE"]
    )
    assert grant.id == "svc_shop@%:`mo_shop`"
    assert grant_outputs["privileges"] == ["UPDATE", "SELECT", "INSERT"]
    assert made.diff(grant, grant_inputs, grant_outputs, grant_inputs, []).changes == "none"

    def as_user(statement: str, secret: str) -> subprocess.CompletedProcess[str]:
        command = ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{mariadb.port}", "-usvc_shop", f"-p{secret}", "-Ne", statement]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert as_user("SELECT COUNT(*) FROM mo_shop.t", password).stdout.strip() == "0"
    assert "denied" in as_user("DELETE FROM mo_shop.t", password).stderr
    news = {**inputs, "plaintextPassword": Secret("second")}
    assert made.diff(user, inputs, outputs, news, []).diffs == ["plaintextPassword"]
    made.update(user, inputs, outputs, news, preview=False, timeout=0, ignore_changes=[])
    assert as_user("SELECT 1", password).returncode != 0
    assert as_user("SELECT 1", "second").stdout.strip() == "1"
    made.delete(grant, grant_inputs, grant_outputs, timeout=0)
    assert "denied" in as_user("SELECT * FROM mo_shop.t", "second").stderr
    made.delete(user, news, outputs, timeout=0)
    assert made.read(user, news, outputs) is None
    assert made.read(grant, grant_inputs, grant_outputs) is None
    mariadb.run("DROP DATABASE mo_shop")


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("privilege", ["SELECT ON *.* TO x; DROP DATABASE mysql; --", "", "SELECT'"])
def test_a_privilege_cannot_smuggle_a_statement(mariadb: Server, privilege: str) -> None:
    with pytest.raises(ProviderError, match="is no privilege"):
        make(provider(mariadb), GRANT, user="svc", database="mo_shop", privileges=[privilege])


def test_tls_is_used_where_it_is_asked_for(mariadb: Server) -> None:
    made = provider(mariadb, tls="skip-verify")
    mariadb.run(
        "CREATE OR REPLACE USER deployer@'%' IDENTIFIED BY 'deployer-pw' REQUIRE SSL; GRANT ALL ON *.* TO deployer@'%' WITH GRANT OPTION"
    )
    try:
        resource, inputs, outputs = make(
            made, DATABASE, name="over_tls", defaultCharacterSet="utf8mb4", defaultCollation="utf8mb4_bin"
        )
        made.delete(resource, inputs, outputs, timeout=0)
        with pytest.raises(ProviderError, match="Access denied"):
            make(provider(mariadb, tls="false"), DATABASE, name="in_clear")
        with pytest.raises(ProviderError, match="certificate verify failed"):
            make(provider(mariadb, tls="true"), DATABASE, name="unknown_ca")
    finally:
        mariadb.run("ALTER USER deployer@'%' REQUIRE NONE")


@pytest.fixture
def socks(mariadb: Server) -> Iterator[tuple[int, list[str]]]:
    """A SOCKS5 proxy for one connection at a time, that knows ``db.internal``; and the names it was asked for."""
    asked: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def relay(source: socket.socket, target: socket.socket) -> None:
        while True:
            try:
                data = source.recv(65536)
                if not data:
                    break
                target.sendall(data)
            except OSError:
                break
        for end in (source, target):
            end.close()

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.recv(2 + client.recv(2, socket.MSG_PEEK)[1])
            client.sendall(b"\x05\x00")
            head = client.recv(5)
            name = client.recv(head[4]).decode()
            (port,) = struct.unpack(">H", client.recv(2))
            asked.append(f"{name}:{port}")
            server = socket.create_connection(("127.0.0.1", port))
            client.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            for pair in ((client, server), (server, client)):
                threading.Thread(target=relay, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], asked
    listener.close()


def test_a_proxy_resolves_the_servers_name(mariadb: Server, socks: tuple[int, list[str]]) -> None:
    made = provider(mariadb, endpoint=f"db.internal:{mariadb.port}", proxy=f"socks5://127.0.0.1:{socks[0]}")
    resource, inputs, outputs = make(made, DATABASE, name="behind", defaultCharacterSet="utf8mb4", defaultCollation="utf8mb4_bin")
    made.delete(resource, inputs, outputs, timeout=0)
    assert set(socks[1]) == {f"db.internal:{mariadb.port}"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"endpoint": ""}, "no endpoint"),
        ({"endpoint": "host:port"}, "is not host:port"),
        ({"proxy": "http://x"}, "is not socks5://"),
        ({"tls": "maybe"}, "none of true, false, skip-verify"),
        ({"password": "wrong"}, r"Error 1045 \(28000\): Access denied"),
    ],
)
def test_wrong_settings_are_one_sentence(
    mariadb: Server, settings: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("MYSQL_ENDPOINT", "MYSQL_PASSWORD", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ProviderError, match=words):
        make(provider(mariadb, **settings), DATABASE, name="x")


def test_a_server_that_comes_up_late_is_waited_for(mariadb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "_PATIENCE", 0.2)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ProviderError, match="refused"):
            make(provider(mariadb, endpoint=f"127.0.0.1:{unused.getsockname()[1]}"), DATABASE, name="x")
