"""A state whose disk is full: one sentence that names the file, nothing more begun, nothing lost once there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.embedded.stack import Stack

PROGRAM = """
import pulumi
from pulumi_command import local

before = None
for n in range(8):
    before = local.Command(f"c{n}", create=f"echo c{n} >> made; head -c 40000 /dev/zero | tr '\\\\0' x", delete="true",
                           logging=local.Logging.NONE, opts=pulumi.ResourceOptions(depends_on=[before] if before else []))
"""
MADE = [f"c{number}" for number in range(8)]
KIB = 1024


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack whose state directory is a file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    made = Stack(tmp_path, PROGRAM)
    state = tmp_path / "state"
    kept = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "state", str(state)], check=True)
    try:
        for path, content in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield made
    finally:
        subprocess.run(["umount", str(state)], check=True)


def fill(stack: Stack, leaving: int) -> Path:
    """A file that leaves so many bytes of the state's disk."""
    space = os.statvfs(stack.folder / "state")
    ballast = stack.folder / "state/ballast"
    ballast.write_bytes(b"\0" * (space.f_bavail * space.f_frsize - leaving))
    return ballast


def errors(text: str) -> set[str]:
    """What is said of it, which the display may show in several places."""
    return {line.partition("error: ")[2].strip() for line in text.splitlines() if "cannot be written" in line}


@pytest.mark.slow
def test_a_full_disk_stops_the_run_with_one_sentence_and_what_was_recorded_stays(stack: Stack) -> None:
    ballast = fill(stack, 150 * KIB)
    full = stack.run("up", "--yes", "--skip-preview")
    printed = full.stdout + full.stderr
    assert full.returncode == 1
    assert "Traceback" not in printed
    (sentence,) = errors(printed)
    assert "the state's journal" in sentence
    assert "No space left on device" in sentence
    made = (stack.folder / "made").read_text().split()
    assert 0 < len(made) < 8
    ballast.unlink()
    stack.good("cancel", "--yes")
    names, pending = stack.state()
    # The one whose end found no room is known to have begun; each other one is in the state.
    assert [*names, *[name for kind, name in pending if kind == "creating"]] == made
    assert len(pending) == 1


@pytest.mark.slow
@pytest.mark.parametrize("command", ["up --yes --skip-preview", "cancel --yes", "stack tag set a b"])
def test_a_disk_that_is_full_from_the_beginning_is_one_sentence_and_changes_nothing(stack: Stack, command: str) -> None:
    stack.good("stack", "export")
    fill(stack, 0)
    full = stack.run(*command.split())
    if command.startswith("cancel"):
        assert full.returncode == 0, "there is nothing to write"
        return
    assert full.returncode == 1
    lines = (full.stdout + full.stderr).strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "cannot be written: No space left on device" in lines[0]
    assert not (stack.folder / "made").exists()


@pytest.mark.slow
def test_a_disk_that_fills_while_the_state_is_saved_keeps_the_journal(stack: Stack) -> None:
    """The checkpoint needs as much again as the journal that it comes from."""
    ballast = fill(stack, 500 * KIB)
    full = stack.run("up", "--yes", "--skip-preview")
    assert full.returncode == 1
    assert len(errors(full.stdout + full.stderr)) == 1
    assert "Traceback" not in full.stdout + full.stderr
    assert (stack.folder / "made").read_text().split() == MADE
    ballast.unlink()
    (stack.folder / "state/.pulumi/stacks/held/dev.json.bak").unlink()
    assert stack.state() == (MADE, []), "the journal has it all"
