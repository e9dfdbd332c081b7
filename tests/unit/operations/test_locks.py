"""A killed update's lock is known for what it is; anybody else's is respected."""

from __future__ import annotations

import os
import subprocess

import pytest

from operations import locks

TEXT = (
    "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with `pulumi "
    "cancel`.\n  file:///x/locks/dev/1.json?no_tmp_dir=true: created by root@{host} (pid {pid}) at 2026-11-23T14:34:52Z\n"
)


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_a_lock_of_a_process_that_is_gone_is_stale(gone: int) -> None:
    assert locks.are_stale(TEXT.format(host="here", pid=gone), "here")


def test_a_lock_of_a_killed_process_whose_parent_has_not_taken_note_is_stale() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert locks.are_stale(TEXT.format(host="here", pid=child.pid), "here")
    child.wait()


def test_a_number_that_no_process_can_have_is_stale() -> None:
    assert locks.are_stale(TEXT.format(host="here", pid=10**30), "here")


def test_a_lock_of_a_running_process_is_not(gone: int) -> None:
    assert not locks.are_stale(TEXT.format(host="here", pid=os.getpid()), "here")
    both = TEXT.format(host="here", pid=gone) + TEXT.format(host="here", pid=os.getpid())
    assert not locks.are_stale(both, "here")
    assert not locks.are_stale(TEXT.format(host="here", pid=1), "here")


def test_another_machines_lock_is_never_stale(gone: int) -> None:
    assert not locks.are_stale(TEXT.format(host="there", pid=gone), "here")


@pytest.mark.parametrize("text", ["", "[409] Conflict: Another update is currently in progress.", "created by root (pid x)"])
def test_a_lock_without_an_owner_is_never_stale(text: str) -> None:
    assert not locks.are_stale(text, "here")
    assert locks.owners(text) == []


def test_the_owner_is_named(gone: int) -> None:
    assert locks.owners(TEXT.format(host="there", pid=7)) == ["created by root@there (pid 7) at 2026-11-23T14:34:52Z"]


def test_another_users_process_that_cannot_be_looked_at_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)  # and /proc does not show it, as with hidepid
    assert not locks.are_stale(TEXT.format(host="here", pid=2**31 - 1), "here")
