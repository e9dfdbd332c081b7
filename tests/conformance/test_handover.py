"""Either engine goes on where the other one stopped: same state, same secrets, nothing to change."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pulumi_cli import real_cli

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import pulumi
from pulumi_command import local
from pulumi_random import RandomPassword

config = pulumi.Config()
token = RandomPassword("token", length=20)
greet = local.Command("greet", create=pulumi.Output.concat("echo ", config.require("word")), update="echo changed",
                      environment={"PIN": config.require_secret("pin")})
group = pulumi.ComponentResource("demo:hand:Over", "group", {"word": config.require("word")})
inner = local.Command("inner", create="echo inner", stdin=greet.stdout, opts=pulumi.ResourceOptions(parent=group))
group.register_outputs({"said": inner.stdout})
pulumi.export("said", greet.stdout)
pulumi.export("token", token.result)
"""
Engine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def engines(tmp_path: Path) -> dict[str, Engine]:
    """Both engines on one project and one backend, by name; a failing call is an error."""
    cli = real_cli()
    if cli is None:
        pytest.skip("there is no Pulumi CLI on the PATH")
    (tmp_path / "state").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: handover\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "PYTHONPATH"))}
    environment = kept | {
        "PATH": f"{Path(cli).parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
        "PULUMI_CONFIG_PASSPHRASE": "handover",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    start = f"import runpy, sys; sys.path[0] = {str(ROOT)!r}; runpy.run_module('embedded', run_name='__main__', alter_sys=True)"

    def engine(command: list[str]) -> Engine:
        def run(*words: str) -> subprocess.CompletedProcess[str]:
            done = subprocess.run(
                [*command, *words, "--non-interactive", "--color", "never"],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=180,
                stdin=subprocess.DEVNULL,
            )
            assert done.returncode == 0, f"{command[0]} {words}: {done.stdout}{done.stderr}"
            return done

        return run

    return {"cli": engine([cli]), "embedded": engine([sys.executable, "-c", start])}


def _view(engine: Engine) -> dict[str, Any]:
    deployment = json.loads(engine("stack", "export", "--show-secrets").stdout)["deployment"]
    volatile = ("modified", "sourcePosition", "stackTrace")
    return {r["urn"]: {key: value for key, value in r.items() if key not in volatile} for r in deployment["resources"]}


@pytest.mark.pulumi_cli
@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [("embedded", "cli"), ("cli", "embedded")])
def test_stack_of_one_engine_goes_on_under_the_other(engines: dict[str, Engine], first: str, second: str) -> None:
    one, two = engines[first], engines[second]
    one("stack", "init", "dev")
    one("config", "set", "word", "hello")
    one("config", "set", "--secret", "pin", "4711-0815")
    one("config", "set", "--path", "releases.votes", "r1")
    one("config", "set", "--path", "releases.count", "2")
    one("up", "--yes", "--skip-preview")
    made = _view(one)
    assert _view(two) == made
    assert two("config", "get", "pin").stdout == "4711-0815\n"
    two("preview", "--expect-no-changes")
    two("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    two("config", "set", "word", "goodbye")
    two("up", "--yes", "--skip-preview")
    one("preview", "--expect-no-changes")
    assert one("stack", "output", "said").stdout == two("stack", "output", "said").stdout == "changed\n"
    history = json.loads(one("stack", "history", "--json").stdout)
    assert [entry["kind"] for entry in history] == ["update", "refresh", "update"]
    assert all(entry["config"]["handover:releases"]["objectValue"] == {"count": 2, "votes": "r1"} for entry in history)
    assert json.loads(two("stack", "history", "--json").stdout) == history
    one("destroy", "--yes", "--skip-preview")
    two("stack", "rm", "--yes")


@pytest.mark.pulumi_cli
@pytest.mark.slow
def test_locks_are_respected_by_both(engines: dict[str, Engine], tmp_path: Path) -> None:
    engines["embedded"]("stack", "init", "dev")
    directory = tmp_path / "state" / ".pulumi" / "locks" / "organization" / "handover" / "dev"
    directory.mkdir(parents=True, exist_ok=True)
    lock = {"pid": os.getpid(), "username": "somebody", "hostname": "elsewhere", "timestamp": "2026-01-01T00:00:00Z"}
    for engine in engines.values():
        (directory / "0.json").write_text(json.dumps(lock))
        with pytest.raises(AssertionError, match="somebody@elsewhere"):
            engine("destroy", "--yes", "--skip-preview")
        engine("cancel", "--yes")
        assert not list(directory.glob("*.json"))
    shutil.rmtree(directory)
