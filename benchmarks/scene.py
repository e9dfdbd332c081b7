"""One contender's scene: a clone of the project, a fresh sandbox host, artefacts built; and the contenders as actors in it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import yaml

from benchmarks.byhand import ByHand, Work, work_of
from benchmarks.prepare import prepare
from catalog import reader
from catalog.manifest import load
from catalog.settings import StackSettings
from catalog.settings_file import load as load_settings

CHANGED = "sandbox/monorepo/website/index.html"
SHARED = "sandbox/monorepo/shared/web/site.css"
OWN = ("sandbox/monorepo/frontend/public/another.txt", "sandbox/monorepo/api.menschlichkeit-oesterreich.at/another.txt")
"""With ``SHARED``, what every service's release has a share of."""


class Actor(Protocol):
    """A contender: deploys what ``dist/`` holds, and goes back to earlier releases."""

    def deploy(self) -> None: ...

    def back(self, releases: Mapping[str, str]) -> None: ...


class Scene:
    """A fresh sandbox for one contender; removed at the end. All paths are below ``clone`` and ``directory``."""

    def __init__(self, clone: Path, directory: Path, port: int) -> None:
        self.clone_path, self.directory = clone, directory
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PULUMI_")},
            "MO_SANDBOX_DIR": str(directory),
            "MO_SANDBOX_PORT": str(port),
            "PULUMI_STACK": "sandbox",
            "PULUMI_ENGINE": "embedded",
        }
        self.services = reader.read().of_stack("sandbox")

    @staticmethod
    def clone(project: Path, place: Path) -> Path:
        """A clone of the project's commit, with the project's own Python environment."""
        subprocess.run(["git", "clone", "-q", str(project), str(place)], check=True)
        (place / ".venv").symlink_to(project / ".venv")
        return place

    @staticmethod
    @contextmanager
    def scratch(project: Path) -> Iterator[tuple[Path, Path]]:
        """A clone of the project's commit, and the folder it is in, which takes the hosts' folders too; all of it goes at the end."""
        with tempfile.TemporaryDirectory(prefix="mo-bench-", dir="/var/tmp") as folder:
            os.chmod(folder, 0o755)
            yield Scene.clone(project, Path(folder) / "clone"), Path(folder)

    def __enter__(self) -> Self:
        self.run("git", "checkout", "-q", "--", CHANGED, SHARED)
        for name in OWN:
            (self.clone_path / name).unlink(missing_ok=True)
        with ExitStack() as undo:
            undo.callback(self._down)
            self.run(".venv/bin/python", "-m", "sandbox", "up")
            self.run("bin/pulumi", "stack", "select", "--create", "sandbox")
            self.run("bin/mo", "build", "--stack", "sandbox")
            self.run(".venv/bin/python", "-m", "operations.gates", "--profile", "sandbox")
            undo.pop_all()
        raw = yaml.safe_load((self.clone_path / "Pulumi.sandbox.yaml").read_text())["config"]
        texts = {k.removeprefix("mo:"): v if isinstance(v, str) else json.dumps(v) for k, v in raw.items()}
        self.loaded = load_settings(texts, self.clone_path, "sandbox")
        self.settings: StackSettings = self.loaded.settings
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._down()

    def _down(self) -> None:
        self.run(".venv/bin/python", "-m", "sandbox", "down")
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self, *command: str) -> str:
        """Runs a command of the clone and gives what it said, which is shown only where it fails."""
        done = subprocess.run(
            command, cwd=self.clone_path, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        said = done.stdout.decode(errors="replace")
        if done.returncode:
            shown = said.split("\nOutputs:")[0][-4000:]
            raise SystemExit(f"benchmarks: {' '.join(command)} ended with {done.returncode}:\n{shown}")
        return said

    def actor(self, name: str) -> Actor:
        """The contender of that name."""
        return _Program(self) if name == "mo-deploy" else _ByHand(self, serial=name == "serial")

    def work(self) -> list[Work]:
        """What ``dist/`` holds now."""
        return work_of(self.services, self.settings, self.clone_path / "dist")

    def releases(self) -> dict[str, str]:
        """Release id of each artefact in ``dist/``."""
        return {key: load(self.clone_path / "dist" / key / "manifest.json").release for key in self.services}

    def change_one_file(self) -> None:
        """A new line in the website's page, built."""
        page = self.clone_path / CHANGED
        page.write_text(page.read_text().replace("</body>", f"<!-- {secrets.token_hex(8)} --></body>"))
        self.run("bin/mo", "build", "--stack", "sandbox", "main")

    def change_all(self) -> None:
        """Another release of every service, built. Exits where one has none."""
        before = self.releases()
        sheet = self.clone_path / SHARED
        sheet.write_text(sheet.read_text() + f"/* {secrets.token_hex(8)} */\n")
        for name in OWN:
            (self.clone_path / name).write_text(f"{secrets.token_hex(8)}\n")
        self.run("bin/mo", "build", "--stack", "sandbox")
        if same := [key for key, release in self.releases().items() if release == before[key]]:
            raise SystemExit(f"benchmarks: {', '.join(same)} should have another release and has not")

    def require_all_answer(self) -> None:
        """Exits where a service does not answer 200."""
        checker = ByHand(self.settings, self.work(), self.directory, serial=True)
        for work in self.work():
            checker.probe(work)

    def logins(self) -> int:
        """SSH logins so far, by sshd's own log."""
        log = (self.directory / "log" / "sshd.log").read_text(errors="replace")
        return len(re.findall(r"Accepted publickey", log))


class _Program:
    """This project, as its user runs it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def deploy(self) -> None:
        self._scene.run("bin/pulumi", "up", "--stack", "sandbox", "--yes", "--skip-preview")

    def back(self, releases: Mapping[str, str]) -> None:
        # What bin/mo rollback gives the engine; its questions before and its smoke tests afterwards are left out for all contenders.
        settings = self._scene.clone_path / "Pulumi.sandbox.yaml"
        document = yaml.safe_load(settings.read_text())
        document["config"]["mo:releases"] = dict(releases)
        wish = {
            "update": 1,
            "reason": "the way back is measured",
            "author": "benchmark",
            "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        document["config"]["mo:rollback"] = wish
        given = self._scene.directory / "back.yaml"
        given.write_text(yaml.safe_dump(document))
        self._scene.run("bin/pulumi", "up", "--stack", "sandbox", "--yes", "--skip-preview", "--config-file", str(given))


class _ByHand:
    def __init__(self, scene: Scene, *, serial: bool) -> None:
        self._scene, self._serial = scene, serial
        self._prepared = False

    def _hand(self) -> ByHand:
        return ByHand(self._scene.settings, self._scene.work(), self._scene.directory, serial=self._serial)

    def deploy(self) -> None:
        hand = self._hand()
        with hand.connected():
            if not self._prepared:
                overlay = yaml.safe_load((self._scene.directory / "settings.yaml").read_text())
                prepare(hand, self._scene.services, overlay["secrets"])
                self._prepared = True
            hand.deploy()

    def back(self, releases: Mapping[str, str]) -> None:
        hand = self._hand()
        with hand.connected():
            hand.back(dict(releases))
