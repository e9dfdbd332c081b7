"""A whole deployment for the end-to-end tests: a clone of this checkout, a sandbox host of its own, artefacts and reports.

It is driven by commands alone, as a user would.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catalog import reader
from catalog.manifest import load
from catalog.models import Service
from sandbox import lifecycle
from sandbox.layout import Layout, web_profile
from tests.sandbox_fixture import CLONE, Sandbox, free_base, remove_stale

RAN = re.compile(r"^ *[+~-]+ +(\S+) (\S+) (created|updated|replaced|deleted)\b")
QUICK = tuple(word for part in ("end-to-end", "visual", "lighthouse") for word in ("--skip", part))
"""Arguments of a ``bin/mo deploy`` that looks at nothing but the smoke tests."""

_VARIABLE = re.compile(r"^(\w+)='(.*)'$", re.MULTILINE)


class Deployment:
    """What a user has after ``make sandbox-up``: ``clone`` with ``.venv``, a running ``sandbox``, an empty stack. ``person``: variables
    that make the user another one."""

    def __init__(self, clone: Path, sandbox: Sandbox, person: Mapping[str, str] | None = None) -> None:
        self.clone, self.sandbox, self.person = clone, sandbox, dict(person or {})
        self.services: dict[str, Service] = reader.read().of_stack("sandbox")
        self.engine = "embedded"
        self._judged = ""

    @property
    def environment(self) -> dict[str, str]:
        """The user's environment: nothing of Pulumi's but the choice of the engine."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "MO_"))}
        return {**clean, "PULUMI_ENGINE": self.engine, "PULUMI_STACK": "sandbox", **self.person}

    def run(self, *command: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Runs a command in the clone; with another exit code than ``expect`` (``None``: any) the test fails with its output."""
        done = subprocess.run(
            command, cwd=self.clone, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if expect is not None:
            said = done.stdout.split("\nOutputs:")[0]  # they are long, and never what is wrong
            assert done.returncode == expect, f"{' '.join(command)} ended with {done.returncode}\n{said[-6000:]}"
        return done

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Starts a command in a session of its own, so that it alone can be killed."""
        return subprocess.Popen(
            command,
            cwd=self.clone,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def build(self, *services: str) -> None:
        """Builds, and makes the gates' reports, which hold for a commit and what is changed beside it."""
        self.run("bin/mo", "build", "--stack", "sandbox", *services)
        commit = self.run("git", "rev-parse", "HEAD").stdout
        if commit != self._judged:
            self.run("bin/mo", "gates", "--stack", "sandbox", "--run")
            self._judged = commit

    def require_few_gates(self) -> None:
        """Leaves the stack the gates that need no tool of npm or pip: for tests of what comes after them."""
        file = self.clone / "Pulumi.sandbox.yaml"
        text, count = re.subn(r"required: \[.*\]", "required: [personal-data, privacy-policy]", file.read_text())
        assert count == 1
        file.write_text(text)

    def up(self, *arguments: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """``bin/pulumi up``, as a user types it."""
        return self.run("bin/pulumi", "up", "--yes", "--skip-preview", "--stack", "sandbox", *arguments, expect=expect)

    def preview(self, expect: int | None = 0) -> str:
        """What ``bin/pulumi preview`` prints."""
        return self.run("bin/pulumi", "preview", "--stack", "sandbox", expect=expect).stdout

    def edit(self, relative: str, text: str) -> None:
        """Appends to a file of the monorepo."""
        path = self.clone / "sandbox/monorepo" / relative
        path.write_text(path.read_text() + text)

    def restore(self) -> None:
        """The monorepo as committed, built."""
        self.run("git", "checkout", "-q", "--", ".")
        self.build()

    def releases(self, services: Iterable[str] | None = None) -> dict[str, str]:
        """Release id of each artefact in ``dist/``, of all services or these."""
        return {key: load(self.clone / "dist" / key / "manifest.json").release for key in services or self.services}

    def report(self) -> dict[str, Any]:
        """The report of the last deployment or rollback."""
        found: dict[str, Any] = json.loads(self.run("bin/mo", "report", "--json").stdout)
        return found

    def secrets_of(self, service: str) -> dict[str, str]:
        """What the service reads at its next request."""
        text = (self.sandbox.root / ".deploy" / service / "secrets.env").read_text()
        return {name: value.replace("'\\''", "'") for name, value in _VARIABLE.findall(text)}

    def live(self, service: str) -> str:
        """The release that the host's link names."""
        return os.readlink(self.sandbox.root / self.services[service].path).rsplit("/", 1)[-1]

    def statuses(self) -> dict[str, int]:
        """What each health URL answers."""
        return {key: self.sandbox.get(key, service.health.path).status for key, service in self.services.items()}

    def disconnect(self) -> None:
        """Ends the SSH master, so that the next command has to log in."""
        for line in subprocess.run(["pgrep", "-af", "ssh"], capture_output=True, text=True, check=False).stdout.splitlines():
            pid, _, text = line.partition(" ")
            if str(self.sandbox.layout.port("ssh")) in text or str(self.sandbox.layout.key) in text:
                os.kill(int(pid), signal.SIGTERM)
        time.sleep(0.3)

    def listing(self) -> str:
        """A digest over every path below the host's root but its logs and its locks: kind, mode, link target, content."""
        digest = hashlib.sha256()
        root = self.sandbox.root
        for folder, names, files in os.walk(root):
            if Path(folder) == root and "logs" in names:
                names.remove("logs")
            if Path(folder) == root / ".deploy" and ".operations" in names:
                names.remove(".operations")  # who has begun what; nothing of a site
            names.sort()
            for name in sorted(names + files):
                path = Path(folder) / name
                status = path.lstat()
                digest.update(f"{path.relative_to(root)} {status.st_mode:o} ".encode("utf-8", "surrogateescape"))
                if path.is_symlink():
                    digest.update(os.readlink(path).encode())
                elif path.is_file():
                    digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def ran(output: str) -> set[str]:
    """The names of the resources that an ``up`` created, updated, replaced or deleted."""
    return {match[2] for line in output.splitlines() if (match := RAN.match(line))}


@contextmanager
def deployment() -> Iterator[Deployment]:
    """A fresh one; all of it goes at the end."""
    remove_stale()
    with free_base() as base, tempfile.TemporaryDirectory(prefix="mo-e2e-", dir="/var/tmp") as scratch:
        os.chmod(scratch, 0o755)
        clone = Path(scratch) / "clone"
        subprocess.run(["git", "clone", "-q", str(CLONE), str(clone)], check=True)
        _overlay(clone)
        (clone / ".venv").symlink_to(CLONE / ".venv")
        layout = Layout(Path(scratch) / "host", clone, base, web=web_profile(os.environ))
        try:
            made = Deployment(clone, Sandbox(lifecycle.up(layout)))
            made.run("bin/pulumi", "stack", "select", "--create", "sandbox")
            yield made
        finally:
            lifecycle.down(layout)


@contextmanager
def other_clone(site: Deployment, **person: str) -> Iterator[Deployment]:
    """A fresh clone of another person on another machine, in an empty folder: with the stack's settings, key and backend, and nothing that
    ``site`` has built or written down. ``person``: further variables of theirs."""
    with tempfile.TemporaryDirectory(prefix="mo-e2e-other-", dir="/var/tmp") as scratch:
        clone, home = Path(scratch) / "clone", Path(scratch) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "-q", str(CLONE), str(clone)], check=True)
        _overlay(clone)
        (clone / ".venv").symlink_to(CLONE / ".venv")
        (clone / ".sandbox").symlink_to(site.sandbox.layout.directory)
        shutil.copy(site.clone / "Pulumi.sandbox.yaml", clone)
        site.disconnect()
        made = {"HOME": str(home), "USER": "anna", "LOGNAME": "anna", **person}
        other = Deployment(clone, site.sandbox, made)
        yield other
        other.disconnect()


def _overlay(clone: Path) -> None:
    """Brings what is changed here and not committed yet, so that the tests test what is on the disk."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--modified", "--others", "--exclude-standard"], cwd=CLONE, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode("utf-8", "surrogateescape").split("\0")):
        source, target = CLONE / name, clone / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
        else:
            target.unlink(missing_ok=True)
