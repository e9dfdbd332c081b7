"""Private database servers with TLS, on free ports, for a session of tests."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

POSTGRES = Path("/usr/lib/postgresql/15/bin")


@dataclass(frozen=True)
class Server:
    """A server on loopback, the file of its own certificate, and how to run a statement as its administrator."""

    port: int
    certificate: Path
    run: Callable[[str], str]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _folder(user: str) -> Path:
    """A short folder that the server's own user may enter: pytest's belong to whoever runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix=f"{user}-", dir="/tmp"))
    folder.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    return folder


def _certificate(folder: Path, user: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    crt, pem = folder / "server.crt", folder / "server.key"
    crt.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(key.private_bytes(*form))
    pem.chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(crt, user)
        shutil.chown(pem, user)
    return crt, pem


def _serve(command: list[str], folder: Path, port: int) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"{command[0]} did not come up: {(folder / 'log').read_text()[-400:]}")


def _stop(process: subprocess.Popen[bytes], folder: Path) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """PostgreSQL with a role ``deployer`` that may make databases and roles, and no more."""
    folder, port = _folder("postgres"), _free_port()
    drop = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    crt, pem = _certificate(folder, "postgres")
    data = folder / "data"
    init = [
        *drop,
        str(POSTGRES / "initdb"),
        "-D",
        str(data),
        "-U",
        "postgres",
        "-A",
        "trust",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]
    subprocess.run(init, check=True, capture_output=True, cwd=folder)
    (data / "pg_hba.conf").write_text("host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    settings = {"fsync": "off", "ssl": "on", "ssl_cert_file": str(crt), "ssl_key_file": str(pem), "listen_addresses": "127.0.0.1"}
    flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    process = _serve([*drop, str(POSTGRES / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder), *flags], folder, port)

    def run(statement: str) -> str:
        command = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-Atqc", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    for _ in range(100):
        try:
            run("CREATE ROLE deployer LOGIN CREATEDB CREATEROLE PASSWORD 'deployer-pw'")
            break
        except subprocess.CalledProcessError:
            time.sleep(0.1)
    yield Server(port, crt, run)
    _stop(process, folder)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """MariaDB with a user ``deployer`` that may do everything."""
    folder, port = _folder("mysql"), _free_port()
    user = ["--user=mysql"] if os.geteuid() == 0 else []
    crt, pem = _certificate(folder, "mysql")
    data = folder / "data"
    install = [
        "mariadb-install-db",
        "--no-defaults",
        f"--datadir={data}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        *user,
    ]
    subprocess.run(install, check=True, capture_output=True, cwd=folder)
    server = [
        "mariadbd",
        "--no-defaults",
        f"--datadir={data}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        f"--socket={folder / 's'}",
        f"--pid-file={folder / 'pid'}",
        "--innodb-buffer-pool-size=16M",
        "--innodb-flush-log-at-trx-commit=0",
        f"--ssl-cert={crt}",
        f"--ssl-key={pem}",
        *user,
    ]
    process = _serve(server, folder, port)

    def run(statement: str) -> str:
        command = ["mariadb", "--no-defaults", f"--socket={folder / 's'}", "-u", "root", "-Ne", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    run("CREATE USER deployer@'%' IDENTIFIED BY 'deployer-pw'; GRANT ALL ON *.* TO deployer@'%' WITH GRANT OPTION")
    yield Server(port, crt, run)
    _stop(process, folder)
