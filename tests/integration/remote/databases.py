"""Private MariaDB and PostgreSQL servers for the data steps, on free ports, as unprivileged users."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymysql

ADMIN = 'it\'s "admin" \\ #pass'


def port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


class MariaDB:
    """A mariadbd with the general log on, so that tests can look for secrets in it. ``query`` asks as the administrator.

    ``certificate`` writes ``cert.pem`` and ``key.pem`` into a folder, for a user; with it the server speaks TLS too."""

    def __init__(self, certificate: Callable[[Path, str], object] | None = None, options: tuple[str, ...] = ()) -> None:
        self.tls, self.options = certificate is not None, options
        self.folder = Path(tempfile.mkdtemp(prefix="mo-mariadb-"))
        self.port = port()
        user = "mysql" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        data = self.folder / "data"
        self.folder.chmod(0o755)
        install = [
            "mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={user}", "--auth-root-authentication-method=normal",
            "--skip-test-db", "--innodb-buffer-pool-size=16M",
        ]  # fmt: skip
        done = subprocess.run(install, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout[-500:] + done.stderr[-500:])
        if os.getuid() == 0:
            shutil.chown(self.folder, user)
        self.log = self.folder / "general.log"
        if certificate is not None:
            certificate(self.folder, user)
        self._start(user)
        for _ in range(400):
            try:
                link = pymysql.connect(unix_socket=f"{self.folder}/s", user="root")
                break
            except pymysql.MySQLError:
                time.sleep(0.05)
        with link.cursor() as cursor:
            cursor.execute("CREATE USER admin@'127.0.0.1' IDENTIFIED BY %s", (ADMIN,))
            cursor.execute("GRANT ALL ON *.* TO admin@'127.0.0.1' WITH GRANT OPTION")
        link.close()

    def _start(self, user: str) -> None:
        data = self.folder / "data"
        self.process = subprocess.Popen(
            [
                "mariadbd", "--no-defaults", f"--datadir={data}", f"--user={user}", f"--port={self.port}", "--bind-address=127.0.0.1",
                f"--socket={self.folder}/s", f"--pid-file={self.folder}/pid", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve",
                "--general-log=1", f"--general-log-file={self.log}", f"--log-error={self.folder}/error.log",
                "--innodb-buffer-pool-size=32M", *self.options,
                *([f"--ssl-cert={self.folder}/cert.pem", f"--ssl-key={self.folder}/key.pem"] if self.tls else []),
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def restart(self) -> None:
        """Ends the server in the middle of what it does and starts it again, with what it had acknowledged."""
        self.process.kill()
        self.process.wait()
        self._start("mysql" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name)
        for _ in range(400):
            try:
                return self.connect().close()
            except pymysql.MySQLError:
                time.sleep(0.05)

    @property
    def server(self) -> dict[str, Any]:
        return {
            "engine": "mariadb", "host": "127.0.0.1", "port": self.port, "reach": "direct", "tls": False, "ca_file": None,
            "admin_user": "admin", "admin_password": ADMIN,
        }  # fmt: skip

    def connect(self, user: str = "admin", password: str = ADMIN, database: str | None = None) -> pymysql.Connection[Any]:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, password=password.encode(), database=database, autocommit=True
        )

    def query(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        link = self.connect(database=database)
        try:
            with link.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            link.close()

    def database(self, name: str, user: str, password: str) -> dict[str, str]:
        """An empty database with its account; gives the variables of its secrets file."""
        link = self.connect()
        with link.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            cursor.execute("CREATE OR REPLACE USER %s@'127.0.0.1' IDENTIFIED BY %s", (user, password))
            cursor.execute(f"GRANT ALL PRIVILEGES ON `{name}`.* TO %s@'127.0.0.1'", (user,))
        link.close()
        return {
            "DB_ENGINE": "mariadb",
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(self.port),
            "DB_NAME": name,
            "DB_USER": user,
            "DB_PASS": password,
        }

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgreSQL:
    """A postgres that asks for passwords. ``query`` asks as its superuser."""

    BIN = Path("/usr/lib/postgresql/15/bin")

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mo-pg-"))
        self.port = port()
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self.log = self.folder / "log"
        if os.getuid() == 0:
            shutil.chown(self.folder, self.user)
        (self.folder / "pw").write_text(ADMIN)
        (self.folder / "pw").chmod(0o644)
        self._as(
            [
                str(self.BIN / "initdb"),
                "-D",
                f"{self.folder}/data",
                "-U",
                "admin",
                "-A",
                "scram-sha-256",
                f"--pwfile={self.folder}/pw",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ]
        )
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off -c log_statement=all"
        self._as([str(self.BIN / "pg_ctl"), "-D", f"{self.folder}/data", "-l", str(self.log), "-w", "-o", options, "start"])

    def _as(self, command: list[str]) -> None:
        prefix = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"] if os.getuid() == 0 else []
        done = subprocess.run(
            [*prefix, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, cwd="/", stdin=subprocess.DEVNULL
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode())

    @property
    def server(self) -> dict[str, Any]:
        return {
            "engine": "postgresql", "host": "127.0.0.1", "port": self.port, "reach": "direct", "tls": False, "ca_file": None,
            "admin_user": "admin", "admin_password": ADMIN,
        }  # fmt: skip

    def query(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="admin", password=ADMIN, dbname=database, autocommit=True
        ) as link:
            cursor = link.execute(sql.encode())
            return list(cursor.fetchall()) if cursor.description else []

    def database(self, name: str, user: str, password: str) -> dict[str, str]:
        """An empty database that its account owns; gives the variables of its secrets file."""
        quoted = password.replace("'", "''")
        self.query(f"DROP DATABASE IF EXISTS {name}")
        self.query(f"DROP ROLE IF EXISTS {user}")
        self.query(f"CREATE ROLE {user} LOGIN PASSWORD '{quoted}'")
        self.query(f"CREATE DATABASE {name} OWNER {user}")
        return {
            "DB_ENGINE": "postgresql",
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(self.port),
            "DB_NAME": name,
            "DB_USER": user,
            "DB_PASS": password,
        }

    def restart(self) -> None:
        """Ends the server without a farewell and starts it again."""
        self._as([str(self.BIN / "pg_ctl"), "-D", f"{self.folder}/data", "-m", "immediate", "-w", "-l", str(self.log), "restart"])

    def stop(self) -> None:
        """Ends the server without a farewell; ``restart`` brings it back."""
        self._as([str(self.BIN / "pg_ctl"), "-D", f"{self.folder}/data", "-m", "immediate", "stop"])

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
