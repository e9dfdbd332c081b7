"""The database servers: two MariaDBs that admit the host only, and a PostgreSQL with TLS."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

from sandbox import account, authority
from sandbox.host import postgresql_program
from sandbox.layout import Layout, SandboxError
from sandbox.ports import answers
from sandbox.processes import Daemon, as_user
from sandbox.site import Part, Site

ADMIN = "mo_admin"
"""The administrator that the stack's settings name, on each server."""
MARIADBS = ("plesk", "external-mariadb")
_MARIADB = """\
[mariadbd]
datadir = {data}
socket = {socket}
pid-file = {run}/{name}.server
bind-address = 127.0.0.1
port = {port}
tmpdir = {data}
lc-messages-dir = /usr/share/mysql
init-file = {init}
skip-name-resolve
character-set-server = utf8mb4
collation-server = utf8mb4_unicode_ci
max_connections = 151
innodb_buffer_pool_size = 64M
innodb_log_file_size = 16M
# Safe against the end of the process, which is what tests do; not against that of the machine.
innodb_flush_log_at_trx_commit = 2
innodb_use_native_aio = 0
performance_schema = off
"""
_POSTGRESQL = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{run}'
max_connections = 100
shared_buffers = 64MB
dynamic_shared_memory_type = posix
# Safe against the end of the process, which is what tests do; not against that of the machine.
fsync = off
full_page_writes = off
ssl = on
ssl_cert_file = '{etc}/server.pem'
ssl_key_file = '{etc}/server.key'
password_encryption = 'scram-sha-256'
log_timezone = 'UTC'
timezone = 'UTC'
"""
_HBA = """\
# TLS and a password, from anywhere that reaches the port; nothing else.
local   all all                 reject
hostssl all all 127.0.0.1/32    scram-sha-256
"""


def mariadb(site: Site) -> list[Part]:
    """Both instances. Their administrator may log in from the host's own address only, as on the real Plesk host."""
    return [_mariadb(site, name) for name in MARIADBS]


def _mariadb(site: Site, name: str) -> Part:
    layout = site.layout
    user = _daemon_user("mysql")
    folder = account.directory(layout.data / name, user, 0o700)
    data = folder / "data"
    if not (data / "mysql").is_dir():
        _install(layout, data, user)
    password = site.passwords[name]
    # The file runs at each start, so a password in secrets.json is always the one that works.
    statements = (
        f"CREATE USER IF NOT EXISTS '{ADMIN}'@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        f"ALTER USER '{ADMIN}'@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO '{ADMIN}'@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    account.write(folder / "init.sql", statements, 0o600, user)
    sockets = account.directory(layout.run / "mariadb", user, 0o755)
    port = layout.port(name)
    text = _MARIADB.format(data=data, socket=sockets / f"{name}.sock", run=sockets, name=name, port=port, init=folder / "init.sql")
    changed = account.write(folder / "server.cnf", text, 0o644, user)
    daemon = Daemon(f"mariadb-{name}", ("/usr/sbin/mariadbd", f"--defaults-file={folder / 'server.cnf'}"), user)
    return Part(daemon, lambda: answers(port), changed, patience=60)


def _install(layout: Layout, data: Path, user: str | None) -> None:
    """A fresh data directory; the second instance's is a copy of the first's template, which is quicker to make."""
    template = layout.data / "mariadb-template"
    if not (template / "mysql").is_dir():
        shutil.rmtree(template, ignore_errors=True)
        new = account.directory(layout.data / ".mariadb-new", user, 0o700)
        argv = [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={new}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        argv += ["--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0", *([f"--user={user}"] if user else [])]
        _make(argv, "MariaDB's data directory cannot be made")
        new.rename(template)
    shutil.rmtree(data, ignore_errors=True)
    new = data.with_name("new")
    shutil.rmtree(new, ignore_errors=True)
    _make(["cp", "-a", "--reflink=auto", str(template), str(new)], "MariaDB's data directory cannot be copied")
    new.rename(data)


def postgresql(site: Site) -> Part:
    """PostgreSQL. The administrator may make roles and databases and is no superuser, as on a managed server."""
    layout = site.layout
    user = _daemon_user("postgres")
    folder = account.directory(layout.data / "postgresql", user, 0o700)
    data = folder / "data"
    if not (data / "PG_VERSION").is_file():
        _initialise(site, folder, data, user)
    names = ["127.0.0.1", "localhost"]
    renewed = authority.issue(layout.ca, layout.etc / "ca.key", folder / "server.pem", folder / "server.key", names, user)
    run = account.directory(layout.run / "postgresql", user, 0o755)
    port = layout.port("external-postgresql")
    changed = account.write(data / "postgresql.auto.conf", _POSTGRESQL.format(port=port, run=run, etc=folder), 0o600, user)
    changed = account.write(data / "pg_hba.conf", _HBA, 0o600, user) or changed or renewed
    daemon = Daemon("postgresql", (str(postgresql_program("postgres")), "-D", str(data)), user)
    return Part(daemon, lambda: _accepts(port), changed, patience=60)


def _initialise(site: Site, folder: Path, data: Path, user: str | None) -> None:
    superuser, admin = site.passwords["postgresql-superuser"], site.passwords["external-postgresql"]
    new = folder / "new"
    shutil.rmtree(new, ignore_errors=True)
    account.write(folder / "superuser", superuser + "\n", 0o600, user)
    argv = [str(postgresql_program("initdb")), "-D", str(new), "--no-sync", "-U", "postgres", "--auth=scram-sha-256"]
    _make(
        [*argv, f"--pwfile={folder / 'superuser'}", "-E", "UTF8", "--locale=C.UTF-8"],
        "PostgreSQL's data directory cannot be made",
        user,
    )
    (folder / "superuser").unlink()
    single = [str(postgresql_program("postgres")), "--single", "-D", str(new), "postgres"]
    statement = f"CREATE ROLE {ADMIN} LOGIN CREATEDB CREATEROLE PASSWORD '{admin}'\n"
    _make(single, "PostgreSQL's administrator cannot be made", user, statement)
    new.rename(data)


def _accepts(port: int) -> bool:
    """Whether PostgreSQL answers a request for TLS: it does so as soon as it takes connections."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as client:
            client.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
            return client.recv(1) == b"S"
    except OSError:
        return False


def _daemon_user(name: str) -> str | None:
    """The server's own system account where we are root; it came with the Debian package."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(name)
    except KeyError:
        raise SandboxError(f"The system account {name} is missing; bin/setup installs the server's Debian package") from None
    return name


def _make(argv: list[str], problem: str, user: str | None = None, stdin: str | None = None) -> None:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    try:
        result = subprocess.run(  # type: ignore[call-overload]
            argv, input=stdin or "", capture_output=True, text=True, check=False, cwd="/", env=environment, **as_user(user)
        )
    except FileNotFoundError as error:
        raise SandboxError(f"{problem}: {argv[0]} is not installed; bin/setup installs what the sandbox needs") from error
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip().splitlines()
        raise SandboxError(f"{problem}: {said[-1] if said else f'{argv[0]} ended with {result.returncode}'}")
