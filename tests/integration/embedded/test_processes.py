"""The engine as a process: interrupted on a terminal, killed, asked twice at once. What is made stays known, no secret is in clear."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.embedded.stack import PATIENCE, START, Stack

WAITING = """
from pulumi_command import local
import pulumi
slow = local.Command("slow", create="touch begun; while [ ! -e go ]; do sleep 0.1; done; echo made")
after = local.Command("after", create="touch after", opts=pulumi.ResourceOptions(depends_on=[slow]))
"""

# Each kind of secret has a text of its own.
SECRETS = """
import pulumi
from pulumi_command import local
from pulumi_mysql import Provider
from pulumi_random import RandomPassword

config = pulumi.Config()
pin, door = config.require_secret("pin"), config.require_secret_object("door")
generated = RandomPassword("generated", length=24, special=False)
first = local.Command("first", create="cat > /dev/null; printf %s-%s canary stdout", stdin=pin, environment={"DOOR": door["code"]},
                      delete="true", opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout"]))
second = local.Command("second", create="cat >> made", delete="true", logging=local.Logging.NONE,
                       stdin=pulumi.Output.secret("canary-made\\n"), opts=pulumi.ResourceOptions(depends_on=[first]))
third = local.Command("third", create="echo third >> made", environment={"LIST": generated.result},
                      delete="echo gone >> made", opts=pulumi.ResourceOptions(depends_on=[second]))
server = Provider("server", endpoint="127.0.0.1:1", username="u", password=pulumi.Output.secret("canary-provider"))
group = pulumi.ComponentResource("demo:a:Group", "group", {"deep": {"list": [pulumi.Output.secret("canary-component")]}})
group.register_outputs({"told": pulumi.Output.secret("canary-registered")})
pulumi.export("open", "seen")
pulumi.export("hidden", {"nested": [pulumi.Output.secret("canary-output")]})
pulumi.export("generated", generated.result)
"""
CANARIES = (
    "canary-config", "canary-object", "canary-stdout", "canary-made", "canary-provider", "canary-component", "canary-registered",
    "canary-output",
)  # fmt: skip


class Terminal:
    """A command on a terminal of its own, whose keys are ours."""

    def __init__(self, stack: Stack, *words: str) -> None:
        self.text = ""
        self.pid, self._keys = pty.fork()
        if self.pid == 0:
            os.chdir(stack.folder)
            os.execve(sys.executable, [sys.executable, "-c", START, *words], stack.environment)

    def press(self, key: bytes) -> None:
        os.write(self._keys, key)

    def read(self, *, until: str | Path | None) -> None:
        """Reads what is printed until a text or a file is there, or (``None``) to the end."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if isinstance(until, Path) and until.exists():
                return
            if select.select([self._keys], [], [], 0.05)[0]:
                try:
                    piece = os.read(self._keys, 65536)
                except OSError:  # the other end is closed
                    piece = b""
                if not piece:
                    assert until is None, self.text
                    return
                self.text += piece.decode(errors="replace")
                if isinstance(until, str) and until in self.text:
                    return
        pytest.fail(f"{until!r} did not come: {self.text[-2000:]}")

    def end(self) -> int:
        """Reads to the end: the exit code, negative for a signal."""
        self.read(until=None)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._keys)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Stack, Terminal]]:
    """An ``up`` on a terminal in the midst of its first command, which ends when the file ``go`` is there."""
    stack = Stack(tmp_path, WAITING)
    terminal = Terminal(stack, "up", "--yes", "--skip-preview")
    terminal.read(until=tmp_path / "begun")
    yield stack, terminal
    (tmp_path / "go").touch()  # also ends a command that the engine left behind
    terminal.close()


@pytest.mark.slow
def test_control_c_lets_what_runs_finish_and_begins_nothing_more(held: tuple[Stack, Terminal], tmp_path: Path) -> None:
    stack, terminal = held
    second = stack.run("up", "--yes", "--skip-preview")
    assert second.returncode == 1
    assert re.search(rf"locked by 1 lock\(s\).*\(pid {terminal.pid}\)", second.stderr, re.DOTALL)
    assert "stale" not in second.stderr
    terminal.press(b"\x03")
    terminal.read(until="^C received; cancelling.")
    (tmp_path / "go").touch()
    assert terminal.end() == 1
    assert stack.state() == (["slow"], [])
    assert not (tmp_path / "after").exists()
    assert "creating" not in stack.good("preview", "--diff")
    stack.good("up", "--yes", "--skip-preview")  # no lock is left
    assert stack.state() == (["slow", "after"], [])


@pytest.mark.slow
def test_control_c_twice_ends_at_once_with_the_state_intact(held: tuple[Stack, Terminal], tmp_path: Path) -> None:
    stack, terminal = held
    terminal.press(b"\x03")
    terminal.read(until="^C received; cancelling.")
    terminal.press(b"\x03")
    assert terminal.end() == 1
    assert "terminated; what had been done is in the state" in terminal.text
    assert stack.state() == ([], [("creating", "slow")])
    refused = stack.run("up", "--yes", "--skip-preview")
    assert refused.returncode == 1
    assert "the lock is stale, `pulumi cancel` clears it" in refused.stderr
    stack.good("cancel", "--yes")
    (tmp_path / "go").touch()
    assert "with 1 pending operations" in stack.good("up", "--yes", "--skip-preview")
    assert stack.state() == (["slow", "after"], [("creating", "slow")])


@pytest.mark.slow
def test_killed_runs_lose_nothing_and_leave_no_secret_in_clear(tmp_path: Path) -> None:
    stack = Stack(tmp_path, SECRETS)
    stack.good("config", "set", "--secret", "pin", "canary-config")
    stack.good("config", "set", "--secret", "--path", "door.code", "canary-object")

    def clear() -> list[str]:
        ours = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "made" and "__main__" not in path.name]
        texts = {path: path.read_bytes() for path in ours}
        return [f"{canary} in {path}" for canary in CANARIES for path, text in texts.items() if canary.encode() in text]

    made: list[str] = []
    for kill_after in (6, 9, 12):
        killed = stack.run("up", "--yes", "--skip-preview", kill_after=kill_after)
        assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
        assert not clear()
        names, pending = stack.state()
        assert {*made} <= {*names}
        assert len({*names}) == len(names)
        begun = [name for kind, name in pending if kind == "creating"]
        lines = (tmp_path / "made").read_text().splitlines() if (tmp_path / "made").exists() else []
        for name, line in (("second", "canary-made"), ("third", "third")):
            assert lines.count(line) == 0 or name in names + begun, f"{name} is made, and not in the state"
        made = names
        stack.good("cancel", "--yes")
        assert stack.state() == (names, pending)
    stack.good("up", "--yes", "--skip-preview")
    assert sorted(stack.state()[0]) == ["first", "second", "third"]
    stack.good("up", "--yes", "--skip-preview", "--expect-no-changes")
    generated = stack.good("stack", "output", "generated", "--show-secrets").strip()
    assert len(generated) == 24
    texts = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert any(b"ciphertext" in text for text in texts)
    assert not any(generated.encode() in text for text in texts)
    assert not clear()
    assert stack.run("destroy", "--yes", "--skip-preview", kill_after=3).returncode == -signal.SIGKILL
    stack.good("cancel", "--yes")
    stack.good("destroy", "--yes", "--skip-preview")
    assert stack.state()[0] == []
    assert not clear()
