"""A service of the sandbox that is staged and switched as the engine does it, without an engine: small releases made on the spot."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from catalog.manifest import File, release_id
from components.remote.client import serving
from tests.sandbox_fixture import CLONE, Sandbox

PAGE = "<?php header('Content-Type: text/plain'); require __DIR__ . '/part.php'; echo '{name}', ' ', part();\n"
PART = "<?php function part(): string {{ return '{name}'; }}\n"


class Deployer:
    """One service of ``sandbox``. ``release`` makes and stages, ``switch`` and ``refused`` run the step ``switch``."""

    def __init__(self, sandbox: Sandbox, folder: Path, key: str) -> None:
        self.sandbox, self.folder, self.key = sandbox, folder, key
        self.service = sandbox.site.services[key]
        self.target, self.web_root = self.service.path, ""
        self.path = sandbox.root / self.service.path
        self.base = sandbox.root / ".deploy" / key
        settings = sandbox.settings
        host, edge = settings["host"], settings["edge"]
        connection = {
            "version": 1, "name": "sandbox", "address": host["address"], "port": host["port"], "user": host["user"], "root": host["root"],
            "host_keys": host["hostKeys"], "key_file": host["keyFile"], "socks_port": None, "servers": {},
            "edge": {"scheme": "https", "port": edge["port"], "connect": edge["connect"], "ca_file": edge["caFile"]},
        }  # fmt: skip
        for name in ("state", "dist", "run"):
            (folder / name).mkdir(mode=0o700)
        (folder / "state/connection.json").write_text(json.dumps(connection))

    def php(self, name: str, **files: str) -> str:
        """Stages a release of two PHP files that answers ``<name> <name>``."""
        own = {"index.php": PAGE.format(name=name), "part.php": PART.format(name=name), ".htaccess": serving.HTACCESS}
        return self.release({**own, **{path.replace("__", "."): text for path, text in files.items()}})

    def release(self, files: dict[str, str]) -> str:
        """Stages a release of these files; gives its id."""
        folder = self.folder / "dist" / self.key
        if folder.exists():
            old = json.loads((folder / "manifest.json").read_text())["release"]
            store = self.folder / "dist/.store" / self.key / old
            shutil.rmtree(store, ignore_errors=True)
            store.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(store)
        entries = []
        for path, text in sorted(files.items()):
            place = folder / "tree" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            digest = hashlib.sha256(text.encode()).hexdigest()
            entries.append(File(path=path, size=len(text.encode()), sha256=digest, mode="644"))
        release = release_id(tuple(entries), (), {})
        manifest = {
            "version": 1, "service": self.key, "release": release, "files": [entry.model_dump() for entry in entries], "links": [],
            "migrations": [], "build_inputs": {}, "commit": "0" * 40, "dirty": False, "built_at": "2026-01-01T00:00:00Z", "build": "b1",
            "tools": {},
        }  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(manifest))
        self._done("stage", release=release, hard_links=True, dependencies=None)
        return release

    def request(self, release: str, **more: object) -> dict[str, Any]:
        """The fields of ``switch``."""
        probe = {
            "domain": self.sandbox.site.domain(self.service), "path": "/", "status": 200, "release_path": "/release.json",
            "successes": 2, "timeout": 10,
        }  # fmt: skip
        return {
            "release": release, "runtime": self.service.runtime, "adopt": "refuse", "persistent": [], "migrate": None, "schema": None,
            "database": None, "restart": None, "probe": probe, "web_root": self.web_root, **more,
        }  # fmt: skip

    def switch(self, release: str, **more: object) -> dict[str, Any]:
        """Makes a release live; its result."""
        return self._done("switch", **self.request(release, **more))

    def refused(self, release: str, **more: object) -> str:
        """Tries to; the sentence with which it fails."""
        done = self._run("switch", **self.request(release, **more))
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr.strip()

    @property
    def live(self) -> str:
        """The release that the path leads to."""
        return os.readlink(self.path).rsplit("/", 1)[1]

    def warm(self) -> None:
        """Has every PHP process serve the live release, so that it remembers it, by files older than OPcache's protection of new ones."""
        self.sandbox.ssh(f"find '{self.base}/releases' -name '*.php' -exec touch -t 202001010000 {{}} +")
        time.sleep(2.1)  # opcache.revalidate_freq
        threads = [threading.Thread(target=lambda: [self.sandbox.get(self.key) for _ in range(4)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def close(self) -> None:
        """Ends the SSH connection and takes the service off the host."""
        for path in (self.folder / "run").glob("*.s"):
            subprocess.run(["ssh", "-F", "/dev/null", "-S", str(path), "-O", "exit", "x"], check=False, capture_output=True)
        self.sandbox.ssh(f"chmod -R u+rwx '{self.base}' 2>/dev/null; rm -rf '{self.base}' '{self.path}'")
        self.sandbox.ssh(f"rm -rf '{self.sandbox.root}/{self.target}' && mkdir -p '{self.path}'")
        self.sandbox.up()
        self.sandbox.forget_php()

    def _done(self, step: str, **fields: object) -> dict[str, Any]:
        done = self._run(step, **fields)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def start(self, step: str, **fields: object) -> subprocess.Popen[str]:
        """Starts a step and hands it its request."""
        environment = {
            **os.environ, "MO_STATE_DIR": f"{self.folder}/state", "MO_DIST_DIR": f"{self.folder}/dist", "MO_RUN_DIR": f"{self.folder}/run",
        }  # fmt: skip
        request = {
            "protocol": 1, "stack": "sandbox", "host": "sandbox", "service": self.key, "target": self.target,
            "strategy": "symlink", "keep": 5, **fields,
        }  # fmt: skip
        child = subprocess.Popen(
            [str(CLONE / "components/remote/run"), step],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert child.stdin
        child.stdin.write(json.dumps(request))
        child.stdin.close()
        child.stdin = None
        return child

    def _run(self, step: str, **fields: object) -> subprocess.CompletedProcess[str]:
        child = self.start(step, **fields)
        out, err = child.communicate(timeout=300)
        return subprocess.CompletedProcess(step, child.returncode, out, err)


@contextmanager
def deployer(sandbox: Sandbox, key: str) -> Iterator[Deployer]:
    """A service that nothing was deployed to; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mo-d-") as folder:
        made = Deployer(sandbox, Path(folder), key)
        try:
            yield made
        finally:
            made.close()


@dataclass(frozen=True)
class Answered:
    """One answer: when it was asked for and given (monotonic seconds), status and body."""

    asked: float
    given: float
    status: int
    body: str


class Visitors:
    """Asks a service's page ten times a second from each of four threads. Use as a context."""

    def __init__(self, sandbox: Sandbox, key: str, path: str = "/") -> None:
        self.answers: list[Answered] = []
        self._sandbox, self._key, self._path = sandbox, key, path
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(4)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self) -> None:
        while not self._stop.wait(0.1):
            asked = time.monotonic()
            try:
                answer = self._sandbox.get(self._key, self._path)
                self.answers.append(Answered(asked, time.monotonic(), answer.status, answer.body))
            except OSError as error:
                self.answers.append(Answered(asked, time.monotonic(), 0, str(error)))

    def bodies(self, begin: float, end: float) -> set[str]:
        """What was answered to the questions of this span."""
        return {answer.body for answer in self.answers if begin <= answer.asked <= end}

    def failures(self) -> list[Answered]:
        """Every answer that was not 200."""
        return [answer for answer in self.answers if answer.status != 200]
