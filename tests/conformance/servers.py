"""The servers that some cases talk to, on free loopback ports, in a folder of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_POSTGRES = Path("/usr/lib/postgresql/15/bin")


class MissingServerError(Exception):
    """A program that a case needs is not installed."""


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(ready: Callable[[], bool], what: str) -> None:
    for _ in range(150):
        if ready():
            return
        time.sleep(0.2)
    raise MissingServerError(f"{what} did not come up within 30 s")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def _process(command: list[str], log: Path, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True, cwd=log.parent)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def mysql(folder: Path, case: Path) -> Iterator[dict[str, str]]:
    """MariaDB, and the case's shim in front of it."""
    if not shutil.which("mariadbd"):
        raise MissingServerError("mariadbd is not installed")
    port, shim, socket_path = free_port(), free_port(), folder / "m.sock"
    user = ["--user=mysql"] if os.geteuid() == 0 else []
    data = folder / "mariadb"
    if user:
        shutil.chown(folder, "mysql")
        folder.chmod(0o755)
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db", *user],
        check=True, capture_output=True,
    )  # fmt: skip
    server = [
        "mariadbd", "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", f"--socket={socket_path}",
        f"--pid-file={folder / 'm.pid'}", "--innodb-buffer-pool-size=16M", "--skip-log-bin", *user,
    ]  # fmt: skip
    with _process(server, folder / "mariadb.log"):
        _wait(lambda: _listens(port), "mariadbd")
        source = (case / "innodb-version-shim.py").read_text().replace("43306", str(port)).replace("43307", str(shim))
        (folder / "shim.py").write_text(source)
        with _process([sys.executable, str(folder / "shim.py")], folder / "shim.log"):
            _wait(lambda: _listens(shim), "the shim")
            # The system's configuration would name another socket.
            client = folder / "bin" / "mariadb"
            client.write_text(f'#!/bin/sh\nexec {shutil.which("mariadb")} --no-defaults --socket={socket_path} "$@"\n')
            client.chmod(0o755)
            yield {"MYSQL_PORT": str(port), "MYSQL_SHIM_PORT": str(shim), "MYSQL_UNIX_PORT": str(socket_path)}


@contextlib.contextmanager
def postgresql(folder: Path, case: Path) -> Iterator[dict[str, str]]:
    """PostgreSQL 15."""
    if not (_POSTGRES / "initdb").exists():
        raise MissingServerError("PostgreSQL 15 is not installed")
    port, data = free_port(), folder / "pg"
    drop = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    if drop:
        shutil.chown(folder, "postgres")
        folder.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    init = [*drop, str(_POSTGRES / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(init, check=True, capture_output=True, env=environment, cwd=folder)
    server = [
        *drop,
        str(_POSTGRES / "postgres"),
        "-D",
        str(data),
        "-p",
        str(port),
        "-k",
        str(folder),
        "-h",
        "127.0.0.1",
        "-c",
        "fsync=off",
    ]
    with _process(server, folder / "postgresql.log", environment) as process:
        _wait(lambda: _listens(port), "postgres")
        yield {"PG_PORT": str(port)}
        process.send_signal(signal.SIGINT)


@contextlib.contextmanager
def github(folder: Path, case: Path) -> Iterator[dict[str, str]]:
    """The case's stand-in for the API."""
    port = free_port()
    source = (case / "stand-in-api.py").read_text().replace("48080", str(port))
    (folder / "github.py").write_text(source)
    with _process([sys.executable, str(folder / "github.py"), str(case / "http.jsonl")], folder / "github.log"):
        _wait(lambda: _listens(port), "the stand-in for GitHub")
        yield {"GITHUB_PORT": str(port)}


@contextlib.contextmanager
def none(folder: Path, case: Path) -> Iterator[dict[str, str]]:
    """No server."""
    yield {}


def for_case(text: str) -> Callable[[Path, Path], contextlib.AbstractContextManager[dict[str, str]]]:
    """The servers that a ``case.yaml`` asks for by its variables."""
    for variable, server in (("$MYSQL_PORT", mysql), ("$PG_PORT", postgresql), ("$GITHUB_PORT", github)):
        if variable in text:
            return server
    return none
