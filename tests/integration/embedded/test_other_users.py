"""What another user of the machine reaches of a run: neither engine nor policy pack takes its calls, and nothing secret is readable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.onlooker import NOBODY, Seen, look

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import pulumi
from pulumi_command import local

pin = pulumi.Config().require_secret("pin")
local.Command("held", create="touch begun; while [ ! -e go ]; do sleep 0.1; done; cat", stdin=pin, delete="true",
              opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout"]))
"""
PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

PolicyPack("guard", [ResourceValidationPolicy("each", "Each passes.", lambda args, report: None, EnforcementLevel.MANDATORY)])
"""
CANARY = "canary-of-another-user"


class Held:
    """An ``up`` with a policy pack, in the midst of its one command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pack").mkdir()
        (folder / "state").mkdir()
        (folder / "Pulumi.yaml").write_text("name: held\nruntime: python\n")
        (folder / "__main__.py").write_text(PROGRAM)
        (folder / "pack/PulumiPolicy.yaml").write_text("runtime: python\n")
        (folder / "pack/__main__.py").write_text(PACK)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "CI", "GITHUB_"))}
        self.environment = kept | {
            "PYTHONPATH": str(ROOT),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": f"{CANARY}-passphrase",
        }
        self.run("stack", "init", "dev")
        self.run("config", "set", "--secret", "pin", CANARY)
        words = ("up", "--yes", "--skip-preview", "--policy-pack", "pack", "--event-log", str(folder / "events"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "embedded", *words], cwd=folder, env=self.environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while not (folder / "begun").exists() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (folder / "begun").exists(), self.process.communicate(timeout=10)[0] if self.process.poll() is not None else "no end"

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "embedded", *words, "--non-interactive"], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def finish(self) -> str:
        """Lets the command end: what the ``up`` printed."""
        (self.folder / "go").touch()
        printed = self.process.communicate(timeout=120)[0]
        assert self.process.returncode == 0, printed
        return printed


@pytest.fixture(scope="module")
def held() -> Iterator[tuple[Held, Seen]]:
    # Not pytest's own folder, which nobody else may enter: what is inside must protect itself.
    with tempfile.TemporaryDirectory(prefix="mo-held-") as name:
        Path(name).chmod(0o755)
        run = Held(Path(name))
        seen = look(run.process.pid, run.folder)
        try:
            yield run, seen
        finally:
            (run.folder / "go").touch()
            if run.process.poll() is None:
                os.killpg(run.process.pid, signal.SIGKILL)
            run.process.communicate()


@pytest.mark.slow
def test_another_user_cannot_call_the_engine_or_a_pack(held: tuple[Held, Seen]) -> None:
    _, seen = held
    assert not [door for door in seen.doors if door.startswith("tcp")], "any user may call a port"
    assert len(seen.doors) == 2, "the engine's socket and the pack's"
    assert seen.called == set()


@pytest.mark.slow
def test_another_user_reads_neither_state_nor_journal_nor_events(held: tuple[Held, Seen]) -> None:
    run, seen = held
    journals = list((run.folder / "state").rglob("*.jsonl"))
    assert [path.stat().st_mode & 0o777 for path in journals] == [0o600], "the journal of the run"
    assert str(run.folder / "Pulumi.yaml") in seen.read, "the folder itself is open, so that the look sees what is not protected"
    private = [path for path in seen.read if path.startswith((str(run.folder / "state"), str(run.folder / "events")))]
    assert private == []
    assert seen.holding([CANARY]) == {}


@pytest.mark.slow
def test_the_look_reaches_what_is_open(tmp_path: Path) -> None:
    """A planted port, socket and file: the look must find each."""
    with tempfile.TemporaryDirectory(prefix="mo-open-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        listen = (
            "import os, socket, sys, time; os.umask(0); a = socket.create_server(('127.0.0.1', 0)); b = socket.socket(socket.AF_UNIX);"
            f"b.bind({name!r} + '/door'); b.listen(); open({name!r} + '/told', 'w').write('planted'); print(1, flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", listen], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            seen = look(process.pid, folder)
            process.kill()
    assert seen.called == seen.doors
    assert sorted(door.split()[0] for door in seen.doors) == ["tcp", "unix"]
    assert seen.holding(["planted"]) == {
        path: ["planted"] for path in seen.read if path.endswith(("/told", f"/{process.pid}/cmdline"))
    }
    assert f"{name}/told" in seen.read
    assert os.geteuid() != NOBODY


@pytest.mark.slow
def test_the_run_ends_well_and_leaves_no_socket(held: tuple[Held, Seen]) -> None:
    run, seen = held
    assert "1 created" in run.finish().replace("2 created", "1 created")
    assert [door for door in seen.doors if Path(door.partition(" ")[2]).exists()] == []
