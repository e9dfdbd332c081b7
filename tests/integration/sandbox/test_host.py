"""The sandbox host gives what the specification's host gives, and no more."""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
import subprocess
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pymysql
import pytest
import socks
import yaml

from catalog import settings_file
from sandbox import ports
from tests.sandbox_fixture import CLONE, Sandbox

pytestmark = pytest.mark.sandbox


def test_the_account_has_the_programs_of_a_shared_host_and_no_others(sandbox: Sandbox) -> None:
    names = "sh rsync flock gzip tar sha256sum mariadb mariadb-dump mysql psql pg_dump php python3 pleskctl sed awk grep find"
    found = sandbox.ssh(f"for name in {names}; do command -v $name >/dev/null || echo $name; done")
    assert found.stdout == b""
    absent = sandbox.ssh("for name in git composer npm node curl wget systemctl sudo docker; do command -v $name; done; true")
    assert absent.stdout == b""


def test_the_account_is_unprivileged_and_may_write_its_root(sandbox: Sandbox) -> None:
    assert sandbox.ssh("id -un").stdout.decode().strip() == sandbox.user
    said = sandbox.ssh(f"cd {sandbox.root} && touch probe && rm probe && pwd -P").stdout.decode().strip()
    assert said == str(sandbox.root)


def test_no_password_and_no_other_key_logs_in(sandbox: Sandbox) -> None:
    options = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    options += ["-o", "IdentitiesOnly=yes", "-o", "IdentityFile=none", "-p", str(sandbox.layout.port("ssh"))]
    refused = subprocess.run(["ssh", *options, f"{sandbox.user}@127.0.0.1", "true"], capture_output=True, text=True, check=False)
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_a_login_is_counted(sandbox: Sandbox) -> None:
    before = sandbox.logins()
    sandbox.ssh("true")
    assert sandbox.logins() == before + 1


def test_python_makes_a_virtual_environment(sandbox: Sandbox) -> None:
    said = sandbox.ssh(
        "d=$(mktemp -d) && python3 -m venv --without-pip $d && $d/bin/python -c 'import sys; print(sys.prefix)' && rm -rf $d"
    )
    assert said.stdout.decode().startswith("/tmp/")


@pytest.mark.parametrize("server", ["plesk", "external-mariadb"])
def test_a_mariadb_account_reaches_its_own_database_only(sandbox: Sandbox, server: str) -> None:
    with closing(sandbox.mariadb(server)) as admin, admin.cursor() as cursor:
        cursor.execute("CREATE DATABASE probe_own")
        cursor.execute("CREATE DATABASE probe_other")
        cursor.execute("CREATE USER 'svc_probe'@'127.0.0.1' IDENTIFIED BY 'a b$c'")
        cursor.execute("GRANT ALL ON probe_own.* TO 'svc_probe'@'127.0.0.1'")
        try:
            client = f"MYSQL_PWD='a b$c' mariadb -h 127.0.0.1 -P {sandbox.layout.port(server)} -u svc_probe -N -e"
            assert sandbox.ssh(f"{client} 'SELECT @@character_set_server' probe_own").stdout == b"utf8mb4\n"
            refused = sandbox.ssh(f"{client} 'SELECT 1' probe_other", check=False)
            assert b"Access denied" in refused.stderr
        finally:
            cursor.execute("DROP DATABASE probe_own")
            cursor.execute("DROP DATABASE probe_other")
            cursor.execute("DROP USER 'svc_probe'@'127.0.0.1'")


def test_mariadb_refuses_a_wrong_password(sandbox: Sandbox) -> None:
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        pymysql.connect(host="127.0.0.1", port=sandbox.layout.port("plesk"), user="mo_admin", password="wrong")


def test_mariadb_answers_through_the_ssh_connection_s_socks_forward(sandbox: Sandbox) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    known = sandbox.directory / "known_hosts"
    sandbox.ssh("true")
    options = ["-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", "-o", "ExitOnForwardFailure=yes", "-N"]
    options += ["-D", f"127.0.0.1:{port}", "-i", str(sandbox.layout.key), "-p", str(sandbox.layout.port("ssh"))]
    forward = subprocess.Popen(["ssh", *options, f"{sandbox.user}@127.0.0.1"])
    try:
        for _ in range(100):
            if ports.answers(port):
                break
            time.sleep(0.05)
        with socks.create_connection(
            ("127.0.0.1", sandbox.layout.port("plesk")), proxy_type=socks.SOCKS5, proxy_addr="127.0.0.1", proxy_port=port
        ) as s:
            assert b"MariaDB" in s.recv(128)
    finally:
        forward.terminate()
        forward.wait(10)


def test_postgresql_wants_tls_and_a_certificate_that_holds(sandbox: Sandbox) -> None:
    with closing(sandbox.postgresql()) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row == (False, True, True)
    port, password = sandbox.layout.port("external-postgresql"), sandbox.site.passwords["external-postgresql"]
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(host="127.0.0.1", port=port, user="mo_admin", password=password, dbname="postgres", sslmode="disable")
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(
            host="127.0.0.1",
            port=port,
            user="mo_admin",
            password=password,
            dbname="postgres",
            sslmode="verify-full",
            sslrootcert="system",
        )


def test_a_message_is_kept_with_its_envelope(sandbox: Sandbox) -> None:
    secrets = sandbox.settings["secrets"]
    before = len(sandbox.mail())
    with smtplib.SMTP("127.0.0.1", sandbox.layout.port("smtp"), timeout=10) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(sandbox.ca)))
        client.login(secrets["smtpUser"], secrets["smtpPassword"])
        client.sendmail("a@mo.localhost", ["b@mo.localhost", "c@mo.localhost"], "Subject: hi\r\n\r\n.dot\r\nbye\r\n")
    message = sandbox.mail()[before]
    assert (message.sender, message.recipients, message.user, message.tls) == (
        "a@mo.localhost",
        ("b@mo.localhost", "c@mo.localhost"),
        secrets["smtpUser"],
        True,
    )
    assert message.content == b"Subject: hi\r\n\r\n.dot\r\nbye\r\n"


def test_mail_refuses_a_wrong_password(sandbox: Sandbox) -> None:
    with (
        smtplib.SMTP("127.0.0.1", sandbox.layout.port("smtp"), timeout=10) as client,
        pytest.raises(smtplib.SMTPAuthenticationError),
    ):
        client.login("mailer@mo.localhost", "wrong")


def test_the_committed_stack_file_is_complete_with_the_settings_of_this_machine(sandbox: Sandbox, tmp_path: Path) -> None:
    stack = yaml.safe_load(sandbox.stack_file(tmp_path).read_text())
    raw = {
        key.removeprefix("mo:"): value if isinstance(value, str) else json.dumps(value) for key, value in stack["config"].items()
    }
    loaded = settings_file.load(raw, CLONE, "sandbox")
    assert loaded.settings.host.root == str(sandbox.root)
    assert loaded.settings.servers.keys() == {"plesk", "external-mariadb", "external-postgresql"}
    assert loaded.secrets.github_token is not None
