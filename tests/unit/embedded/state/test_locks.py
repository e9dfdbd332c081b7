"""Whose lock may be taken over: only that of a process that runs no more."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from embedded.state import locks


def lock(folder: Path, pid: object, hostname: str | None = None) -> Path:
    place = folder / "1.json"
    value = {"pid": pid, "username": "u", "hostname": hostname or os.uname().nodename, "timestamp": "2026-11-26T21:16:29Z"}
    place.write_text(json.dumps(value))
    return place


def test_a_killed_process_whose_parent_has_not_taken_note_holds_nothing(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    place = lock(tmp_path, child.pid)
    assert not locks.is_alive(place)
    with pytest.raises(locks.LockedError, match="That process is gone: the lock is stale"), locks.Lock(tmp_path):
        pass
    child.wait()
    assert not locks.is_alive(place)


def test_a_running_process_and_one_of_another_machine_hold_theirs(tmp_path: Path) -> None:
    assert locks.is_alive(lock(tmp_path, os.getpid()))
    assert locks.is_alive(lock(tmp_path, 10**30, "elsewhere"))


@pytest.mark.parametrize("pid", [10**30, "x", None, []])
def test_a_number_that_no_process_can_have_holds_nothing(tmp_path: Path, pid: object) -> None:
    assert not locks.is_alive(lock(tmp_path, pid))


def test_another_users_process_that_cannot_be_looked_at_holds_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)  # and /proc does not show it, as with hidepid
    assert locks.is_alive(lock(tmp_path, 2**31 - 1))
