"""A sandbox of the test session's own, and what tests ask of it. A ``conftest.py`` that imports it makes the fixture ``sandbox`` known.

Each pytest process (so each worker of xdist) has one, in a folder and on ports of its own; it goes when the session ends. What a killed
session left is removed by the next.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
import yaml

from sandbox import account, github, lifecycle, mail, processes, webhooks
from sandbox.databases import ADMIN, MARIADBS
from sandbox.layout import DOMAIN, OFFSETS, WEB_PARTS, Layout, web_profile
from sandbox.site import Site

CLONE = Path(__file__).resolve().parent.parent
_PLACE = Path("/var/tmp")
_FIRST_BASE, _LAST_BASE, _STEP = 20000, 27000, 500
_NAME = re.compile(r"mo-sandbox-test-(\d+)(-own)?")


@dataclass(frozen=True)
class Answer:
    """What a site answered."""

    status: int
    headers: dict[str, str]
    body: str


class Sandbox:
    """A running sandbox. ``site`` holds its layout, account, services and passwords."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.layout = site.layout
        self.directory = site.layout.directory
        self.root = site.layout.root
        self.user = site.user
        self.ca = site.layout.ca
        self.github = GitHubState(site)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings overlay, with its secrets."""
        loaded: dict[str, Any] = yaml.safe_load(self.layout.settings.read_text())
        return loaded

    def stack_file(self, folder: Path, **changes: Any) -> Path:
        """A copy of ``Pulumi.sandbox.yaml`` that names this sandbox, for ``--config-file``; ``changes``: further keys below ``mo:``."""
        stack = yaml.safe_load((CLONE / "Pulumi.sandbox.yaml").read_text())
        stack["config"] |= {"mo:settingsFile": str(self.layout.settings), **{f"mo:{key}": value for key, value in changes.items()}}
        path = folder / "Pulumi.sandbox.yaml"
        path.write_text(yaml.safe_dump(stack, sort_keys=False))
        return path

    def environment(self) -> dict[str, str]:
        """Backend and passphrase, as ``.sandbox/env`` gives them."""
        found = re.findall(r"^export (\w+)='(.*)'$", (self.directory / "env").read_text(), re.MULTILINE)
        return dict(found)

    def ssh(self, command: str, stdin: bytes = b"", check: bool = True, bare: bool = False) -> subprocess.CompletedProcess[bytes]:
        """Runs a command as the host's account, by a login of its own; ``bare``: where there is busybox only."""
        known, port = self.directory / "known_hosts", self.layout.port("ssh-bare" if bare else "ssh")
        key = self.settings["host"]["hostKeys"][0]
        known.write_text("".join(f"[127.0.0.1]:{self.layout.port(name)} {key}\n" for name in ("ssh", "ssh-bare")))
        options = ["-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes"]
        options += ["-o", "IdentitiesOnly=yes", "-i", str(self.layout.key), "-p", str(port)]
        done = subprocess.run(["ssh", *options, f"{self.user}@127.0.0.1", command], input=stdin, capture_output=True, check=False)
        assert done.returncode == 0 or not check, (
            f"{command!r} ended with {done.returncode}: {done.stderr.decode('utf-8', 'replace')}"
        )
        return done

    def logins(self) -> int:
        """How many logins sshd has accepted so far."""
        return (self.layout.logs / "sshd.log").read_text(errors="replace").count("Accepted publickey")

    def get(self, service: str, path: str = "/", headers: Mapping[str, str] | None = None, timeout: float = 30.0) -> Answer:
        """Asks a service's public URL over TLS, verified against the sandbox's authority."""
        return self.ask("GET", service, path, headers=headers, timeout=timeout)

    def ask(
        self,
        method: str,
        service: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Answer:
        """One request to a service's public URL."""
        domain = self.site.domain(self.site.services[service])
        context = ssl.create_default_context(cafile=str(self.ca))
        with closing(_Edge(domain, self.layout.port("https"), context, timeout)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(
                response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode("utf-8", "replace")
            )

    def url(self, service: str, path: str = "/") -> str:
        """A service's public URL, as a browser that resolves ``*.localhost`` asks it."""
        return f"https://{self.site.domain(self.site.services[service])}:{self.layout.port('https')}{path}"

    def mariadb(self, server: str = "plesk", database: str | None = None) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """An administrator's connection, autocommit."""
        port, password = self.layout.port(server), self.site.passwords[server]
        return pymysql.connect(host="127.0.0.1", port=port, user=ADMIN, password=password, database=database, autocommit=True)

    def postgresql(self, database: str = "postgres", superuser: bool = False) -> psycopg.Connection[tuple[Any, ...]]:
        """An administrator's connection over verified TLS, autocommit; ``superuser``: as the server's own ``postgres``."""
        user, password = ("postgres", "postgresql-superuser") if superuser else (ADMIN, "external-postgresql")
        return psycopg.connect(
            host="127.0.0.1",
            port=self.layout.port("external-postgresql"),
            user=user,
            password=self.site.passwords[password],
            dbname=database,
            sslmode="verify-full",
            sslrootcert=str(self.ca),
            autocommit=True,
        )

    def mail(self) -> list[mail.Message]:
        """The messages that the sites have sent."""
        return list(mail.messages(self.layout.mail))

    def hooks(self) -> list[webhooks.Call]:
        """The webhook calls that came."""
        return list(webhooks.calls(self.layout.hooks))

    def up(self) -> None:
        """Starts again what a test has killed."""
        self.site = lifecycle.up(self.layout, link=False)

    def kill(self, part: str) -> None:
        """Kills a part's first process, as a crash would (``lifecycle.parts``)."""
        pid = processes.running(self.layout, part)
        assert pid is not None, f"{part} does not run"
        processes.end_all([pid], 0, signal.SIGKILL)

    @contextmanager
    def database_down(self, part: str) -> Iterator[None]:
        """A database server that is stopped meanwhile (``mariadb-plesk``, ``mariadb-external-mariadb``, ``postgresql``)."""
        processes.stop(self.layout, part, how=signal.SIGINT if part == "postgresql" else signal.SIGTERM)
        try:
            yield
        finally:
            self.up()

    @contextmanager
    def page_served_by(self, service: str, port: int, path: str) -> Iterator[None]:
        """A service's health page that a server of the test answers meanwhile."""
        folder = account.directory(self.layout.etc / "faults" / service)
        health = self.site.services[service].health.path
        (folder / "page.nginx").write_text(f"location = {health} {{ proxy_pass http://127.0.0.1:{port}{path}; }}\n")
        rule = f'RewriteEngine on\nRewriteRule "^{re.escape(health)}$" "http://127.0.0.1:{port}{path}" [P,L]\n'
        (folder / "page.apache").write_text(rule)
        self.reload_web()
        try:
            yield
        finally:
            shutil.rmtree(folder)
            self.reload_web()

    def reload_web(self) -> None:
        """Has the web server read its configuration, and what is in ``etc/faults``, again."""
        for part, how in (("apache", signal.SIGUSR1), ("nginx", signal.SIGHUP)):
            if part in self.web_parts:
                pid = processes.running(self.layout, part)
                assert pid is not None, f"{part} does not run"
                os.kill(pid, how)

    def forget_php(self) -> None:
        """Has PHP forget where links led and what it compiled, as when the host starts."""
        embedded = "php-fpm" not in WEB_PARTS[self.layout.web]
        part, how = ("apache", signal.SIGUSR1) if embedded else ("php-fpm", signal.SIGUSR2)
        pid = processes.running(self.layout, part)
        if pid is not None:
            os.kill(pid, how)

    @property
    def web_parts(self) -> tuple[str, ...]:
        """The daemons of the web server's profile that hold files below the root."""
        return tuple(part for part in WEB_PARTS[self.layout.web] if part != "php-fpm")

    @contextmanager
    def quota(self, used: int, limit: int) -> Iterator[None]:
        """An account with a quota, as a shared host's ``quota`` tells it; megabytes."""
        program = self.layout.programs / "quota"
        account.write(
            program, f"#!/bin/sh\nprintf 'Disk quotas\\nFilesystem\\n/dev/sda {used * 1024} {limit * 1024} 0\\n'\n", 0o755
        )
        try:
            yield
        finally:
            program.unlink()

    @contextmanager
    def small_disk(self, megabytes: int) -> Iterator[None]:
        """The root on a file system of this size, empty as before the first deploy; what was there is back afterwards. Needs root."""
        self._mounted(*self.web_parts, "panel")
        try:
            options = f"size={megabytes}m,mode=755,uid={self.root.stat().st_uid},gid={self.root.stat().st_gid}"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "mo-sandbox", str(self.root)], check=True)
            self.up()
            yield
        finally:
            self._mounted(*self.web_parts, "panel")
            subprocess.run(["umount", "-l", str(self.root)], check=True)
            self.up()

    def resize_disk(self, megabytes: int) -> None:
        """Gives the ``small_disk`` another size, with what is on it."""
        subprocess.run(["mount", "-o", f"remount,size={megabytes}m", str(self.root)], check=True)

    @contextmanager
    def read_only_root(self) -> Iterator[None]:
        """The root on a read-only file system; what is there stays visible and running. Needs root."""
        self._mounted()
        mount = ["mount", "--bind", str(self.root), str(self.root)]
        subprocess.run(mount, check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(self.root)], check=True)
            yield
        finally:
            subprocess.run(["umount", "-l", str(self.root)], check=True)

    def _mounted(self, *parts: str) -> None:
        """Stops the parts that hold files below the root, so that a file system may come or go there; skips where nobody may mount."""
        if os.geteuid() != 0:
            pytest.skip("only root may mount a file system for the fault")
        for part in parts:
            processes.stop(self.layout, part)

    def reset(self) -> None:
        """Takes the host back to before the first deploy: sites, processes, databases, GitHub, mail, hooks, the backend's state."""
        processes.stop(self.layout, "panel")
        kept: set[int] = set()
        for part in lifecycle.parts(self.layout):
            pid = processes.running(self.layout, part)
            if pid is not None:
                # Of sshd its own process alone: sessions end with what they run.
                kept |= {pid} if part == "sshd" else {pid, *processes.descendants([pid])}
        ours = processes.of_sandbox(self.layout, account.own(self.layout))
        processes.end_all([pid for pid in ours if pid not in kept], 1)
        _empty(self.layout.home, except_for={".ssh", ".profile", "www"})
        _empty(self.root, except_for={"logs"})
        _empty(self.layout.run / "panel", except_for=set())
        _empty(self.directory / "state", except_for=set())
        _empty(self.layout.mail, except_for=set())
        _empty(self.layout.hooks, except_for=set())
        self._drop_databases()
        self.github.control(reset=True)
        (self.layout.github / "requests.jsonl").unlink(missing_ok=True)
        self.up()
        self.forget_php()

    def _drop_databases(self) -> None:
        for server in MARIADBS:
            with closing(self.mariadb(server)) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT schema_name FROM information_schema.schemata")
                own = {"mysql", "sys", "information_schema", "performance_schema"}
                for (name,) in [row for row in cursor.fetchall() if row[0] not in own]:
                    cursor.execute(f"DROP DATABASE `{name}`")
                cursor.execute("SELECT user, host FROM mysql.user WHERE user NOT IN ('root', 'mariadb.sys', 'mysql', %s)", (ADMIN,))
                for user, where in cursor.fetchall():
                    cursor.execute(f"DROP USER '{user}'@'{where}'")
        with closing(self.postgresql(superuser=True)) as server_wide:
            for (name,) in server_wide.execute(
                "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
            ).fetchall():
                server_wide.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
            query = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname NOT IN ('postgres', %s)"
            for (role,) in server_wide.execute(query, (ADMIN,)).fetchall():
                server_wide.execute(f'DROP OWNED BY "{role}"'.encode())
                server_wide.execute(f'DROP ROLE "{role}"'.encode())


class GitHubState:
    """The GitHub stand-in's side of things."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._site.layout.port('github')}/"

    def secrets(self) -> dict[str, dict[str, str]]:
        """The secrets that it received, opened: environment → name → value."""
        return github.received_secrets(self._site.layout.github)

    def state(self) -> dict[str, Any]:
        """All that it holds (``sandbox.github.store.EMPTY`` says what)."""
        path = self._site.layout.github / "state.json"
        held: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return held

    def requests(self) -> list[dict[str, Any]]:
        """The requests so far, without secrets."""
        path = self._site.layout.github / "requests.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def control(self, **orders: Any) -> None:
        """Gives an order, e.g. ``fail={"status": 500, "count": 2, "match": "PUT .*/secrets/"}`` (``sandbox.github.server`` lists them)."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._site.layout.port("github"), timeout=10)) as connection:
            connection.request("POST", "/__control", json.dumps(orders))
            response = connection.getresponse()
            text = response.read().decode()
            assert response.status == 200, text


class _Edge(http.client.HTTPSConnection):
    """Speaks to the loopback address under a site's name."""

    def __init__(self, domain: str, port: int, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(domain, port, context=context, timeout=timeout)
        self._made = context

    def connect(self) -> None:
        self.sock = self._made.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), self.timeout), server_hostname=self.host
        )


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox, one for each pytest process. Tests share it: leave it as found, or call ``reset``."""
    remove_stale()
    with free_base() as base:
        layout = Layout(_PLACE / f"mo-sandbox-test-{os.getpid()}", CLONE, base, web=web_profile(os.environ))
        try:
            yield Sandbox(lifecycle.up(layout, link=False))
        finally:
            lifecycle.down(layout)


@contextmanager
def free_base() -> Iterator[int]:
    """A port base that no other test session has while the context lasts."""
    folder = Path(tempfile.gettempdir()) / f"mo-sandbox-test-ports-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for base in range(_FIRST_BASE, _LAST_BASE, _STEP):
        claim = os.open(folder / str(base), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if all(_free(base + offset) for offset in (*OFFSETS.values(), 101, 102)):
                yield base
                return
        except BlockingIOError:
            continue
        finally:
            os.close(claim)
    raise AssertionError(f"no 500 free ports from {_FIRST_BASE} to {_LAST_BASE}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def remove_stale() -> None:
    for folder in _PLACE.iterdir():
        match = _NAME.fullmatch(folder.name)
        if match and not Path(f"/proc/{match[1]}").exists() and folder.stat().st_uid == os.geteuid():
            lifecycle.down(Layout(folder, CLONE))


def _empty(folder: Path, except_for: set[str]) -> None:
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name in except_for:
            continue
        if entry.is_dir() and not entry.is_symlink():
            for inner, _, _ in os.walk(entry):
                Path(inner).chmod(0o700)
            shutil.rmtree(entry)
        else:
            entry.unlink()


__all__ = ["CLONE", "DOMAIN", "Answer", "Sandbox", "free_base", "remove_stale", "sandbox"]
