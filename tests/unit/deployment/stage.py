"""A stack of two services whose engine, host and GitHub are files and small functions: what a killed command leaves is still there."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from catalog import reader
from components.facts import Facts, RunFacts
from operations import engine, project, remote, settings
from operations.app import app, register
from operations.deployment import checks, ending
from operations.deployment import journal as journals
from operations.deployment.journal import Journal
from operations.deployment.outcome import Outcome, Validation
from operations.engine import Outcome as Ended
from operations.engine import State
from operations.problem import Problem
from tests.unit.components.program import artefact, loaded, put

_COMMAND = functools.cache(get_command)
"""Typer makes the whole command line anew at each call otherwise."""
URN = "urn:pulumi:test::mo-deploy::mo:deploy:Platform$command:local:Command::"
STACK = "staging"
QUIET = {"gates": {"required": []}, "window": {"outside": "allow"}, "validation": {"parts": ["end-to-end"]}}


class Stage:
    """The project at ``root``. ``broken``: services whose smoke test fails while they run ``bad``; ``flows``: why flows ask to go back."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "state.json"
        self.broken: dict[str, str] = {}
        self.flows: str | None = None
        self.fails: dict[str, str] = {}
        self.snapshots: list[dict[str, Any]] = []
        self.unrestorable = False
        self.untestable: str | None = None
        self.cut: tuple[str, ...] = ()
        self.killed_engine = False
        self.facts: dict[str, Mapping[str, Any]] = {}
        self.switched: list[str] = []
        self.steps: list[str] = []
        self.unrestored: dict[str, str] = {}
        self.unlocked = False
        self.holder: dict[str, Any] | None = None
        self.uncopied = False
        self.stopped = False
        self.save({"live": {}, "updates": []})

    def save(self, state: Mapping[str, Any]) -> None:
        self.file.write_text(json.dumps(state))

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found

    @property
    def live(self) -> dict[str, str]:
        found: dict[str, str] = self.state()["live"]
        return found

    @property
    def messages(self) -> list[str]:
        return [update["message"] for update in self.state()["updates"]]

    def build(self, content: str, *services: str, migrations: tuple[str, ...] = ()) -> dict[str, str]:
        """Artefacts of this content; service → release."""
        made = {service: put(self.root, artefact(service, content=content, migrations=migrations)).release for service in services}
        for service, release in made.items():
            stored = self.root / "dist/.store" / service / release
            stored.mkdir(parents=True, exist_ok=True)
            (stored / "manifest.json").write_bytes((self.root / "dist" / service / "manifest.json").read_bytes())
        return made

    def mo(self, *arguments: str, answer: str | None = None) -> tuple[int, str]:
        """``bin/mo … --stack staging``: exit code and output."""
        done = CliRunner().invoke(app, [*arguments, "--stack", STACK], input=answer)
        if isinstance(done.exception, Problem):
            return done.exception.code, done.output + f"mo: {done.exception}"
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    def elsewhere(self, *arguments: str) -> int:
        """The exit code of a command in a process of its own, which has ended."""
        child = os.fork()
        if child == 0:
            code = 99
            try:
                code = self.mo(*arguments)[0]
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def asked_of_snapshots(self) -> list[str]:
        """Action and name of every request about one but for lists."""
        file = self.root / "snapshot-requests"
        return [line for line in file.read_text().splitlines() if not line.startswith("list")] if file.exists() else []

    def killed(self, after: int, *arguments: str) -> bool:
        """Carries a command out in a process of its own that is killed (SIGKILL) as soon as the journal has ``after`` lines; whether so."""
        child = os.fork()
        if child == 0:
            try:
                lines = 0
                write = Journal._write

                def counted(journal: Journal, event: str, **what: Any) -> None:
                    nonlocal lines
                    write(journal, event, **what)
                    lines += 1
                    if lines == after:
                        os.kill(os.getpid(), signal.SIGKILL)

                Journal._write = counted  # type: ignore[method-assign, assignment]
                self.mo(*arguments)
            finally:
                os._exit(0)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])

    def engine(self) -> type:
        """The class that stands for ``operations.engine.Engine``."""
        stage = self

        class Engine:
            def __init__(self, stack: str) -> None:
                self.name, self.root = stack, stage.root

            def stop(self) -> None:
                stage.stopped = True

            def preview(self, config: Path, on_event: Callable[[Mapping[str, Any]], None], *, verbose: bool = False) -> Ended:
                wanted = yaml.safe_load(config.read_text())["config"].get("mo:releases") or {}
                moved = [key for key, release in wanted.items() if stage.live.get(key) != release]
                on_event({"summary": {"update": len(moved), "same": 9}})
                return Ended(True)

            def up(self, config: Path, message: str, on_event: Callable[[Mapping[str, Any]], None]) -> Ended:
                return stage.applied(yaml.safe_load(config.read_text())["config"], message, on_event)

            def resources(self) -> list[Mapping[str, Any]]:
                return self.state().resources

            def state(self) -> State:
                resources: list[Mapping[str, Any]] = [
                    {
                        "type": "command:local:Command",
                        "urn": f"{URN}{key}-switch",
                        "inputs": {"stdin": json.dumps({"service": key, "release": release})},
                        "outputs": {"stdout": json.dumps({"live": release})},
                    }
                    for key, release in stage.live.items()
                ]
                return State(resources, stage.cut)

            def history(self) -> list[Any]:
                return [_summary(number, told) for number, told in reversed(list(enumerate(stage.state()["updates"])))]

        return Engine

    def applied(self, config: Mapping[str, Any], message: str, on_event: Callable[[Mapping[str, Any]], None]) -> Ended:
        state = self.state()
        ok = True
        if self.killed_engine:  # between a switch on the host and its note of it
            return Ended(False, engine.KILLED, cut=True)
        for key, release in (config.get("mo:releases") or {}).items():
            if state["live"].get(key) == release:
                continue
            step = {"urn": f"{URN}{key}-switch", "type": "command:local:Command", "op": "update", "outputs": {}}
            if key in self.fails and "mo:rollback" not in config:
                ok = False
                on_event({"failed": step})
                on_event({"diagnostic": {"urn": step["urn"], "severity": "error", "message": self.fails[key], "ephemeral": False}})
            else:
                state["live"][key] = release
                on_event({"ended": {**step, "outputs": {"stdout": json.dumps({"live": release})}}})
        kept = {"releases": config.get("mo:releases"), "rollback": config.get("mo:rollback"), "message": message, "ok": ok}
        state["updates"].append(kept)
        self.save(state)
        return Ended(ok, None if ok else "update failed")

    def host(self, _root: Path, _stack: str, step: str, request: Mapping[str, Any], timeout: int = 0) -> dict[str, Any]:
        """What ``components/remote/run`` answers."""
        if step == "lock":
            self.steps.append(f"lock {request['action']}")
            return {"done": not self.unlocked, "holder": self.holder if request["action"] == "show" else None}
        if step == "journal":
            return self._journal(request)
        if step == "snapshot":
            return self._snapshot(str(request["action"]), str(request.get("name")))
        if step == "switch":
            self.switched.append(f"{request['service']} {request['release']}")
            if request["service"] in self.unrestored:
                raise Problem(self.unrestored[request["service"]])
            self.facts = {}
            return {}
        assert step == "health"
        return {"services": {question["service"]: self._health(question["service"]) for question in request["services"]}}

    def _journal(self, request: Mapping[str, Any]) -> dict[str, Any]:
        folder = self.root / "host-journals"
        folder.mkdir(exist_ok=True)
        if request["action"] == "put":
            if self.uncopied:
                raise Problem("No space left on device.")
            (folder / request["id"]).write_text(request["text"])
            return {"runs": []}
        return {"runs": [{"id": path.name, "text": path.read_text()} for path in sorted(folder.iterdir(), reverse=True)][:10]}

    def moved_to_another_machine(self) -> None:
        """What comes next is typed in a fresh clone: without the journals and artefacts of this one."""
        for folder in (journals.folder_of(self.root, STACK), self.root / "dist"):
            shutil.rmtree(folder, ignore_errors=True)

    def told(self, request: Mapping[str, Any]) -> Facts:
        """What the host answers to the question for facts."""
        asked = {entry["service"] for entry in request["services"]}
        told = {key: {"live": self.live.get(key), **self.facts.get(key, {})} for key in asked}
        return Facts.model_validate({"services": told if self.facts else {}})

    def _health(self, service: str) -> dict[str, Any]:
        if service in self.broken and self.broken[service] == self.live.get(service):
            return {"problem": f"{service}: answers 500 instead of 200"}
        return {"status": 200, "ms": 4}

    def _snapshot(self, action: str, name: str) -> dict[str, Any]:
        with (self.root / "snapshot-requests").open("a") as file:
            file.write(f"{action} {name}\n")
        if action == "verify" and self.untestable:
            raise Problem(self.untestable)
        if action == "restore" and self.unrestorable:
            raise Problem("api_stg: the dump does not match its checksum.")
        return {"snapshots": self.snapshots, "made": "20261121T093000Z-restore-r2"}

    def tried_flows(self, _what: Validation) -> Outcome:
        return Outcome("end-to-end", self.flows is None, self.flows or "7 of 7 flows passed", {}, self.flows)


def _summary(number: int, told: Mapping[str, Any]) -> Any:
    when = datetime(2026, 11, 21, 9, 0) + timedelta(minutes=number)  # as the Automation API gives it: UTC, and without a zone
    config = {
        f"mo:{key}": SimpleNamespace(value=json.dumps(told[key])) for key in ("releases", "rollback") if told[key] is not None
    }
    return SimpleNamespace(
        kind="update",
        result="succeeded" if told["ok"] else "failed",
        start_time=when,
        end_time=when,
        message=told["message"],
        environment={},
        config=config,
        resource_changes={},
    )


class Issues:
    """GitHub's issues: a file of what was asked."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __getattr__(self, what: str) -> Callable[..., Outcome]:
        def told(*_: object) -> Outcome:
            with (self.root / "issues").open("a") as file:
                file.write(what + "\n")
            return Outcome("issue", True, f"issue {what}", {"number": 1})

        return told


def issues(root: Path) -> list[str]:
    """What GitHub was asked for."""
    file = root / "issues"
    return file.read_text().split() if file.exists() else []


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stack, never deployed."""
    register()
    (tmp_path / f"Pulumi.{STACK}.yaml").write_text("config:\n  mo:domain: example.org\n  mo:gates: {required: []}\n")
    made = Stage(tmp_path)
    monkeypatch.setattr(reader, "read", functools.cache(reader.read))
    monkeypatch.setattr("typer.testing._get_command", _COMMAND)
    monkeypatch.setattr(project, "ROOT", tmp_path)
    monkeypatch.setattr(project.stack_file, "__defaults__", (tmp_path,))
    monkeypatch.setattr(engine, "Engine", made.engine())
    monkeypatch.setattr(remote, "run", made.host)
    monkeypatch.setattr(settings, "load", lambda _root, _stack: loaded(tmp_path, **QUIET))
    monkeypatch.setattr(RunFacts, "__call__", lambda _self, request: made.told(request))
    monkeypatch.setattr(ending, "issues_of", lambda _loaded, _stack: Issues(tmp_path))
    monkeypatch.setitem(checks.PARTS, "end-to-end", made.tried_flows)
    return made
