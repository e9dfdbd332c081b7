"""A host of its own for these tests: sshd with default limits on a free port, logging in as an unprivileged account."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.remote.client import status

from .databases import MariaDB, PostgreSQL
from .site import Site

PROJECT = Path(__file__).resolve().parents[3]
RUN = PROJECT / "components" / "remote" / "run"


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _account() -> pwd.struct_passwd:
    """The account to log in as: an unprivileged one where we are root, else ourselves."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    name = "mo-remote-test"
    try:
        return pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "-M", "-s", "/bin/sh", "-d", "/nonexistent", name], check=False)
        subprocess.run(["usermod", "-p", "*", name], check=False)
        return pwd.getpwnam(name)


def _without_waiting(errors: bytes) -> str:
    """A step's stderr without the lines that say what it waits for."""
    return "".join(line for line in errors.decode().splitlines(keepends=True) if not line.startswith(status.MARK))


class Sshd:
    """An sshd: ``log`` is what it wrote; ``logins`` counts accepted keys."""

    def __init__(self, folder: Path, account: pwd.struct_passwd) -> None:
        self.folder, self.account = folder, account
        self.port = free_port()
        self.log = folder / "sshd.log"
        for name in ("host", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        shutil.copy(folder / "key.pub", folder / "authorized_keys")
        self.shell = "/bin/sh"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, environment: dict[str, str] | None = None, force: str | None = None) -> None:
        variables = " ".join(f"{k}={v}" for k, v in (environment or {}).items())  # on one line: sshd takes the first alone
        lines = [
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.folder}/host",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            "StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", f"PidFile {self.folder}/pid",
            "LogLevel VERBOSE", *([f"SetEnv {variables}"] if variables else []), *([f"ForceCommand {force}"] if force else []),
        ]  # fmt: skip
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", str(self.folder / "sshd_config"), "-E", str(self.log)])
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"sshd does not listen: {self.log.read_text()}")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    @property
    def logins(self) -> int:
        return self.log.read_text().count("Accepted publickey")

    @property
    def host_key(self) -> str:
        return " ".join((self.folder / "host.pub").read_text().split()[:2])


class Remote:
    """A host and the client's state for it. ``run`` is one step as the engine starts it."""

    def __init__(self, sshd: Sshd, folder: Path) -> None:
        self.sshd, self.folder = sshd, folder
        self.root = folder / "root of host"
        self.state, self.dist = folder / "state", folder / "dist"
        self.control = Path(tempfile.mkdtemp(prefix="mo-t-"))
        for path in (self.root, self.state, self.dist):
            path.mkdir()
        self.edge: dict[str, Any] = {"scheme": "http", "port": 80, "connect": None, "ca_file": None}
        self.servers: dict[str, Any] = {}
        self.socks_port: int | None = None
        self.host_keys = [sshd.host_key]
        self.address, self.user = "127.0.0.1", sshd.account.pw_name
        self.environment: dict[str, str] = {}
        self.own(self.root)
        self.write()

    def own(self, path: Path) -> None:
        """Hands a path to the account."""
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", self.sshd.account.pw_name, str(path)], check=True)

    def write(self, **changes: object) -> None:
        """Writes ``connection.json``."""
        connection = {
            "version": 1, "name": "test-host", "address": self.address, "port": self.sshd.port, "user": self.user, "root": str(self.root),
            "host_keys": self.host_keys, "key_file": str(self.sshd.folder / "key"), "socks_port": self.socks_port,
            "edge": self.edge, "servers": self.servers, **changes,
        }  # fmt: skip
        (self.state / "connection.json").write_text(json.dumps(connection))

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ, "MO_STATE_DIR": str(self.state), "MO_DIST_DIR": str(self.dist), "MO_RUN_DIR": str(self.control),
            **self.environment,
        }  # fmt: skip

    def popen(self, step: str, **fields: object) -> subprocess.Popen[bytes]:
        """Starts a step and hands it its request."""
        child = subprocess.Popen(
            [str(RUN), step], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env
        )
        assert child.stdin
        child.stdin.write(json.dumps({"protocol": 1, "stack": "sandbox", "host": "test-host", **fields}).encode())
        child.stdin.close()
        child.stdin = None
        return child

    def run(self, step: str, **fields: object) -> dict[str, Any]:
        """Runs a step that must succeed; its stderr must be empty but for what it waits for, its stdout one JSON line."""
        child = self.popen(step, **fields)
        out, err = child.communicate(timeout=120)
        assert child.returncode == 0, err.decode()
        assert _without_waiting(err) == ""
        assert out.count(b"\n") == 1
        result: dict[str, Any] = json.loads(out)
        assert result["ok"] is True
        return result

    def refused(self, step: str, **fields: object) -> str:
        """Runs a step that must fail with one sentence; gives the sentence."""
        child = self.popen(step, **fields)
        out, err = child.communicate(timeout=120)
        assert child.returncode == 1, (out, err)
        assert out == b""
        sentence = _without_waiting(err)
        assert sentence.count("\n") == 1
        assert "Traceback" not in sentence
        return sentence.strip()

    def artefact(self, service: str, files: dict[str, str | bytes], executable: tuple[str, ...] = (), **more: object) -> str:
        """Makes ``dist/<service>`` with these files; gives the release id. Earlier ones go to the store."""
        import hashlib

        from catalog.manifest import File, release_id

        folder = self.dist / service
        if folder.exists():
            old = json.loads((folder / "manifest.json").read_text())["release"]
            store = self.dist / ".store" / service / old
            shutil.rmtree(store, ignore_errors=True)
            store.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(store)
        entries = []
        (folder / "tree").mkdir(parents=True)
        for path in sorted(files):
            content = files[path]
            data = content.encode() if isinstance(content, str) else content
            target = folder / "tree" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o755 if path in executable else 0o640)
            entries.append(
                File(
                    path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), mode="755" if path in executable else "644"
                )
            )
        release = release_id(tuple(entries), (), {})
        manifest = {
            "version": 1, "service": service, "release": release, "files": [entry.model_dump() for entry in entries], "links": [],
            "migrations": [], "build_inputs": {}, "commit": "0" * 40, "dirty": False, "built_at": "2026-01-01T00:00:00Z",
            "build": "b1", "tools": {}, **more,
        }  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return release

    def close(self) -> None:
        """Ends the SSH master and removes the folder of its socket."""
        for path in self.control.glob("*.s"):
            subprocess.run(["ssh", "-F", "/dev/null", "-S", str(path), "-O", "exit", "x"], check=False, capture_output=True)
        shutil.rmtree(self.control, ignore_errors=True)


@pytest.fixture(scope="session")
def account() -> pwd.struct_passwd:
    return _account()


@pytest.fixture(scope="session")
def sshd(account: pwd.struct_passwd) -> Iterator[Sshd]:
    folder = Path(tempfile.mkdtemp(prefix="mo-sshd-"))
    folder.chmod(0o755)
    server = Sshd(folder, account)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def remote(sshd: Sshd) -> Iterator[Remote]:
    folder = Path(tempfile.mkdtemp(prefix="mo-remote-"))
    folder.chmod(0o755)
    made = Remote(sshd, folder)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _project_on_path() -> None:
    if str(PROJECT) not in sys.path:
        sys.path.insert(0, str(PROJECT))


@pytest.fixture
def site(remote: Remote) -> Iterator[Site]:
    made = Site()
    remote.edge = made.edge
    remote.write()
    yield made
    made.close()


class Service:
    """One service on the test host: ``deploy`` builds, stages and switches."""

    def __init__(self, remote: Remote, site: Site, key: str = "votes") -> None:
        self.remote, self.site, self.key = remote, site, key
        self.target = f"subdomains/{key}/httpdocs"
        self.domain = f"{key}.example"
        self.base = remote.root / ".deploy" / key
        self.path = remote.root / self.target
        self.extra: dict[str, Any] = {}
        site.directories[self.domain] = self.path
        site.services[self.domain] = self.base

    def found(self) -> None:
        """Puts a site there by hand, with an upload, before anything of ours."""
        (self.path / "uploads").mkdir(parents=True)
        (self.path / "uploads/u").write_text("kept")
        (self.path / "index.html").write_text("old")
        self.remote.own(self.remote.root / "subdomains")

    def stage(self, files: dict[str, str | bytes], executable: tuple[str, ...] = (), **manifest: object) -> str:
        release = self.remote.artefact(self.key, files, executable, **manifest)
        self.remote.run(
            "stage", service=self.key, release=release, target=self.target, strategy=self.extra.get("strategy", "symlink"),
            hard_links=True, dependencies=None, keep=5,
        )  # fmt: skip
        return release

    def request(self, release: str, **more: object) -> dict[str, Any]:
        return {
            "service": self.key, "release": release, "target": self.target, "strategy": "symlink", "runtime": "files", "adopt": "refuse",
            "persistent": [], "migrate": None, "schema": None, "database": None, "restart": None, "keep": 5,
            "probe": {"domain": self.domain, "path": "/", "status": 200, "contains": None, "release_path": "/release.json",
                      "successes": 2, "timeout": 3},
            **self.extra, **more,
        }  # fmt: skip

    def switch(self, release: str, **more: object) -> dict[str, Any]:
        return self.remote.run("switch", **self.request(release, **more))

    def deploy(self, files: dict[str, str | bytes], **more: object) -> dict[str, Any]:
        return self.switch(self.stage(files), **more)

    @property
    def live(self) -> str | None:
        """The release that the path shows."""
        return os.readlink(self.path).rsplit("/", 1)[1] if self.path.is_symlink() else None


@pytest.fixture
def service(remote: Remote, site: Site) -> Service:
    return Service(remote, site)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    server = MariaDB()
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    server = PostgreSQL()
    yield server
    server.close()
