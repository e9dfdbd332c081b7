"""External servers are spoken to by TLS, and one that cannot prove who it is gets no password and no data: neither from the operator's
machine (``account``) nor from the host (``env``, ``snapshot``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from sandbox import authority

from .conftest import Remote, Service
from .databases import MariaDB, PostgreSQL

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

HOST = "127.0.0.1"
FORMER, NEW = "former-Pass'word_1", "new-Password_2"
SECURE = "secure-Admin_3"


class Authority:
    """Somebody who issues certificates."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.certificate, self._key = folder / "ca.pem", folder / "ca.key"
        authority.authority(self.certificate, self._key)

    def issue(self, folder: Path, user: str, name: str) -> None:
        for path in (folder / "cert.pem", folder / "key.pem"):
            path.unlink(missing_ok=True)
        authority.issue(self.certificate, self._key, folder / "cert.pem", folder / "key.pem", [name], user)


class Secured:
    """A server with TLS, an administrator and an account that it admits by TLS only, and what is asked of it."""

    def __init__(self, engine: str, ours: Authority, others: Authority) -> None:
        self.ours, self.others = ours, others
        self.server: MariaDB | PostgreSQL
        if engine == "mariadb":
            self.server = MariaDB(lambda folder, user: ours.issue(folder, user, HOST))
            self.user = "mysql"
            self.server.query(f"CREATE USER secure@'127.0.0.1' IDENTIFIED BY '{SECURE}' REQUIRE SSL")
            self.server.query("GRANT ALL ON *.* TO secure@'127.0.0.1' WITH GRANT OPTION")
        else:
            self.server = PostgreSQL()
            self.user = self.server.user
            ours.issue(self.server.folder, self.user, HOST)
            for setting, value in (("ssl_cert_file", "cert.pem"), ("ssl_key_file", "key.pem")):
                self.server.query(f"ALTER SYSTEM SET {setting} = '{self.server.folder}/{value}'")
            self.server.query("ALTER SYSTEM SET ssl = on")
            hba = self.server.folder / "data" / "pg_hba.conf"
            hba.write_text(
                "local all all trust\n"
                "host all admin 127.0.0.1/32 scram-sha-256\n"
                "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n"
            )
            self.server.query(f"CREATE ROLE secure LOGIN CREATEROLE CREATEDB PASSWORD '{SECURE}'")
            self.server.restart()

    @property
    def maria(self) -> bool:
        return isinstance(self.server, MariaDB)

    def present(self, whose: Authority, name: str) -> None:
        """The certificate that the server shows from now on."""
        whose.issue(self.server.folder, self.user, name)
        self.server.query("FLUSH SSL" if self.maria else "SELECT pg_reload_conf()")

    def clean(self) -> None:
        self.present(self.ours, HOST)
        if self.maria:
            self.server.query("DROP DATABASE IF EXISTS mo_votes")
            self.server.query("DROP USER IF EXISTS svc_votes@'127.0.0.1'")
            self.server.query("CREATE DATABASE mo_votes CHARACTER SET utf8mb4")
            self.server.query("CREATE TABLE mo_votes.votes (id int PRIMARY KEY)")
        else:
            self.server.query("DROP DATABASE IF EXISTS mo_votes WITH (FORCE)")
            self.server.query("DROP ROLE IF EXISTS svc_votes_b")
            self.server.query("DROP ROLE IF EXISTS svc_votes")
            self.server.query("SET ROLE secure; CREATE ROLE svc_votes LOGIN")
            self.server.query("CREATE DATABASE mo_votes OWNER svc_votes")
            self.server.query("SET ROLE svc_votes; CREATE TABLE votes (id int PRIMARY KEY)", "mo_votes")

    def settings(self, **changes: Any) -> dict[str, Any]:
        own = {"host": HOST, "tls": True, "ca_file": str(self.ours.certificate), "admin_user": "secure", "admin_password": SECURE}
        return {**self.server.server, **own, **changes}


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    return Authority(tmp_path_factory.mktemp("ours")), Authority(tmp_path_factory.mktemp("others"))


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def made(request: pytest.FixtureRequest, authorities: tuple[Authority, Authority]) -> Iterator[Secured]:
    secured = Secured(request.param, *authorities)
    yield secured
    secured.server.close()


@pytest.fixture
def secured(made: Secured) -> Secured:
    made.clean()
    return made


class Steps:
    """The steps of a service that has its data on the secured server."""

    def __init__(self, remote: Remote, service: Service, secured: Secured) -> None:
        self.remote, self.service, self.secured = remote, service, secured
        self.user = "svc_votes"
        self.connect()

    def connect(self, **changes: Any) -> None:
        self.remote.servers = {"db": self.secured.settings(**changes)}
        self.remote.write()

    def account(self, password: str) -> dict[str, Any]:
        return {
            "service": "votes", "server": "db", "database": "mo_votes", "user": "svc_votes", "password": password,
            "hosts": ["127.0.0.1"], "privileges": ["ALL PRIVILEGES"],
        }  # fmt: skip

    def make_account(self, password: str) -> None:
        self.user = str(self.remote.run("account", **self.account(password)).get("role") or self.user)

    def env(self, password: str) -> dict[str, Any]:
        variables = {
            "DB_ENGINE": "mariadb" if self.secured.maria else "postgresql", "DB_HOST": HOST, "DB_PORT": str(self.secured.server.port),
            "DB_NAME": "mo_votes", "DB_USER": self.user, "DB_PASS": password,
        }  # fmt: skip
        return {"service": "votes", "variables": variables, "ca": self.secured.ours.certificate.read_text()}

    def login_in_clear(self, password: str) -> None:
        port = self.secured.server.port
        if self.secured.maria:
            pymysql.connect(host=HOST, port=port, user=self.user, password=password, ssl_disabled=True).close()
        else:
            psycopg.connect(host=HOST, port=port, user=self.user, password=password, dbname="mo_votes", sslmode="disable").close()

    def snapshot(self) -> dict[str, Any]:
        return {"service": "votes", "action": "make", "target": self.service.target, "schema": None}


@pytest.fixture
def steps(remote: Remote, service: Service, secured: Secured) -> Steps:
    return Steps(remote, service, secured)


def test_every_step_speaks_tls_with_a_server_that_proves_who_it_is(steps: Steps) -> None:
    steps.make_account(FORMER)
    steps.remote.run("env", **steps.env(FORMER))
    steps.make_account(NEW)
    assert steps.remote.run("env", **steps.env(NEW))["changed"] is True
    assert steps.remote.run("snapshot", **steps.snapshot())["made"]
    assert steps.remote.run("revoke", **steps.account(NEW), rotation="r1")["refused"] is True
    # And the server admits the account by nothing else.
    with pytest.raises((pymysql.MySQLError, psycopg.Error)):
        steps.login_in_clear(NEW)


@pytest.mark.parametrize("made", ["mariadb"], indirect=True)
def test_an_account_that_is_there_goes_on_to_be_admitted_as_it_was(steps: Steps) -> None:
    steps.secured.server.query(f"CREATE USER svc_votes@'127.0.0.1' IDENTIFIED BY \"{FORMER}\"")
    steps.make_account(NEW)
    for password in (FORMER, NEW):
        steps.login_in_clear(password)


def test_without_a_file_of_its_own_the_authorities_that_the_host_trusts_verify_the_server(steps: Steps) -> None:
    steps.make_account(FORMER)
    steps.remote.run("env", **{**steps.env(FORMER), "ca": "system"})
    file = steps.service.base / "secrets.env"
    (line,) = (line for line in file.read_text().splitlines() if line.startswith("DB_SSL_CA="))
    assert Path(line.split("'")[1]).read_text().count("BEGIN CERTIFICATE") > 10
    # They do not know the authority of this server: nothing is sent to it, neither password nor dump.
    steps.make_account(NEW)
    for step, request in (("env", {**steps.env(NEW), "ca": "system"}), ("snapshot", steps.snapshot())):
        sentence = steps.remote.refused(step, **request)
        assert any(word in sentence.lower() for word in ("certificate", "ssl", "tls")), sentence
    assert FORMER.replace("'", "'\\''") in file.read_text()
    assert steps.remote.run("env", **steps.env(NEW))["changed"] is True


@pytest.mark.parametrize("impostor", ["of another authority", "with another name"])
def test_a_server_that_cannot_prove_who_it_is_gets_nothing(steps: Steps, impostor: str) -> None:
    secured = steps.secured
    steps.make_account(FORMER)
    steps.remote.run("env", **steps.env(FORMER))
    steps.make_account(NEW)
    file = (steps.service.base / "secrets.env").read_text()
    secured.present(*((secured.others, HOST) if impostor == "of another authority" else (secured.ours, "elsewhere.example")))
    for step, request in (("account", steps.account(FORMER)), ("env", steps.env(NEW)), ("snapshot", steps.snapshot())):
        sentence = steps.remote.refused(step, **request)
        assert any(word in sentence.lower() for word in ("certificate", "ssl", "tls")), sentence
        assert not any(secret in sentence for secret in (FORMER, NEW, SECURE))
    assert (steps.service.base / "secrets.env").read_text() == file
    assert not list((steps.service.base / "snapshots").glob("*.json"))
    secured.present(secured.ours, HOST)
    assert steps.remote.run("env", **steps.env(NEW))["changed"] is True
    assert steps.remote.run("snapshot", **steps.snapshot())["made"]


@pytest.mark.parametrize(
    "content", [None, b"", b"no certificate", b"\xff\xfe\x00", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"]
)
def test_an_authority_s_file_that_is_none_is_one_sentence(steps: Steps, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    steps.connect(ca_file=str(path))
    sentence = steps.remote.refused("account", **steps.account(FORMER))
    assert "ca.pem" in sentence
    assert not any(secret in sentence for secret in (FORMER, SECURE))
