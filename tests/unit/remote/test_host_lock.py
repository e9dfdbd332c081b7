"""The lock of host programs where the host has no ``flock``: a folder of numbered links."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HOST = Path(__file__).parents[3] / "components/remote/host"
NEEDED = ("mkdir", "ln", "rm", "readlink", "sleep", "cat", "rmdir", "mv", "date")

SECTION = """
. "$MO_TOOL/common"
. "$MO_TOOL/locks"
PATH=$MO_PATH
trap drop_lock EXIT
take_lock "$1" 60
echo "in $$" >>"$2"
sleep 0.02
echo "out $$" >>"$2"
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with what the lock needs and no ``flock``; ``ln`` is slow, so that all have looked before one takes over."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    (folder / "ln").unlink()
    (folder / "ln").write_text(f'#!/bin/sh\n{shutil.which("sleep")} 0.3\nexec {shutil.which("ln")} "$@"\n')
    (folder / "ln").chmod(0o755)
    return folder


def start(programs: Path, lock: Path, log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "MO_TOOL": str(HOST), "MO_PATH": str(programs), "HOME": "/nonexistent"}
    return subprocess.Popen(["sh", "-c", SECTION, "sh", str(lock), str(log)], env=environment, stdout=subprocess.PIPE)


def dead_process() -> int:
    """The id of a process that has ended."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


@pytest.mark.slow
def test_of_those_that_wait_for_a_dead_holder_one_at_a_time_takes_over(programs: Path, tmp_path: Path) -> None:
    lock, log = tmp_path / "lock", tmp_path / "log"
    (tmp_path / "lock.d").mkdir()
    (tmp_path / "lock.d/7").symlink_to(f"pid.{dead_process()}")
    waiting = [start(programs, lock, log) for _ in range(4)]
    for child in waiting:
        out, _ = child.communicate(timeout=60)
        assert child.returncode == 0, out
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len(lines) == 8
    for entered, left in zip(lines[::2], lines[1::2], strict=True):
        assert (entered[0], left[0]) == ("in", "out")
        assert entered[1] == left[1]


def test_a_living_holder_keeps_the_lock_and_a_free_one_is_taken_at_once(programs: Path, tmp_path: Path) -> None:
    lock, log = tmp_path / "lock", tmp_path / "log"
    (tmp_path / "lock.d").mkdir()
    held = tmp_path / "lock.d/3"
    held.symlink_to(f"pid.{os.getpid()}")
    environment = {**os.environ, "MO_TOOL": str(HOST), "MO_PATH": str(programs), "HOME": "/nonexistent"}
    impatient = SECTION.replace(" 60", " 2")
    done = subprocess.run(["sh", "-c", impatient, "sh", str(lock), str(log)], env=environment, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"another run has held" in done.stdout
    (tmp_path / "lock.d/3.free").touch()
    assert subprocess.run(["sh", "-c", impatient, "sh", str(lock), str(log)], env=environment, check=False).returncode == 0
    assert log.read_text().count("in ") == 1
    # Numbers do not pile up.
    assert sorted(os.listdir(tmp_path / "lock.d")) == ["3", "3.free", "4", "4.free"]
