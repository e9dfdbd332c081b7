"""Two cannot deploy at once: the lock's host program itself, on real files, under hosts' shells, with a clock of the test's."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.remote.client import lock as steps
from components.remote.client.channel import Reply, encode
from components.remote.client.failure import Failure
from operations.deployment import lock as locks
from operations.deployment import owner as owners
from operations.deployment.lock import HostLock
from operations.deployment.owner import Owner
from operations.problem import Problem

PROGRAMS = Path(__file__).resolve().parents[3] / "components/remote/host"
SHELLS = [["dash"], ["busybox", "sh"]]
ANNA = Owner("anna", "laptop", 7, "boot", "1")
CI = Owner("bert", "runner", 8, "boot", "1", "https://github.com/acme/site/actions/runs/7")


class Host:
    """A host without SSH: its programs run here. ``now`` is its clock."""

    def __init__(self, root: Path, shell: list[str]) -> None:
        self.root, self.shell = root / "host", shell
        self.bin = root / "home" / "bin"
        self.bin.mkdir(parents=True)
        self.root.mkdir()
        self.set_clock(1_000_000)

    def set_clock(self, now: int) -> None:
        date = self.bin / "date"
        date.write_text(f"#!/bin/sh\necho {now}\n")
        date.chmod(0o755)

    @property
    def file(self) -> Path:
        return self.root / ".deploy/.operations/production"

    def call(self, program: str, fields: Mapping[str, str], what: str) -> Reply:
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.bin.parent), "MO_TOOL": str(PROGRAMS)}
        done = subprocess.run(
            [*self.shell, str(PROGRAMS / program)],
            input=encode({"root": str(self.root), **fields}) + b".\n",
            capture_output=True,
            env=environment,
            check=False,
        )
        reply = Reply()
        for line in done.stdout.decode().splitlines():
            reply.take(line)
        if reply.failure:
            raise Failure(f"{what}: {reply.failure}")
        assert reply.facts[-1][0] == "end", (done.stdout, done.stderr)
        return reply


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    if shutil.which(request.param[0]) is None:
        pytest.skip(f"{request.param[0]} is not installed here")
    made = Host(tmp_path, request.param)
    monkeypatch.setattr(steps, "Host", lambda _connection, for_lock: made)
    monkeypatch.setattr(steps, "connections", SimpleNamespace(load=lambda _stack: None))
    return made


def ask(request: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return steps.run({"stack": "production", **request})
    except Failure as failure:
        raise Problem(str(failure)) from None


def taken(who: Owner, purpose: str = "deploy votes", asks: Callable[[Mapping[str, Any]], Mapping[str, Any]] = ask) -> HostLock:
    return HostLock(asks, purpose, who=who, beat=3600)


def test_a_second_holder_is_refused_and_told_of_the_first(host: Host) -> None:
    with taken(CI):
        with pytest.raises(
            Problem, match=r"bert@runner \(https://github.com/acme/site/actions/runs/7\), deploy votes, since 0 s"
        ) as told:
            taken(ANNA).__enter__()
        assert "it expires 3 min from now" in str(told.value)
        assert "bin/mo unlock" in str(told.value)
    with taken(ANNA) as own:
        assert own.words is None


def test_of_many_at_once_one_gets_it(host: Host) -> None:
    gate = threading.Barrier(4)

    def one(number: int) -> bool:
        gate.wait(30)
        try:
            taken(Owner(f"user{number}", "laptop", 7, "boot", "1")).__enter__()
        except Problem:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(one, range(4))) == 1


def test_a_heartbeat_keeps_it_and_its_absence_lets_it_expire(host: Host) -> None:
    with taken(ANNA) as own:
        host.set_clock(1_000_170)
        own.renew()
        host.set_clock(1_000_340)
        with pytest.raises(Problem, match=r"since 5 min, last sign of life 2 min ago"):
            taken(CI).__enter__()
        host.set_clock(1_000_350)
        with taken(CI) as other:
            assert other.words is not None
            assert "The expired lock of anna@laptop (pid 7), deploy votes" in other.words
            own.renew()
            with pytest.raises(Problem, match=r"has lost its lock to bert@runner"):
                own.check()
            # The one that lost it does not release it either.
            own.__exit__(None, None, None)
            assert (found := locks.holder(ask)) is not None
            assert found.id == other.id


def test_a_late_heartbeat_finds_its_own_lock_where_nobody_took_it(host: Host) -> None:
    with taken(ANNA) as own:
        host.set_clock(1_090_000)
        own.renew()
        own.check()
        with pytest.raises(Problem, match="anna@laptop"):
            taken(CI).__enter__()


def test_a_dead_process_of_this_machine_is_followed_at_once(host: Host) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    here = owners.here({})
    taken(Owner("anna", here.machine, child.pid, here.boot, "1")).__enter__()
    with taken(here) as own:
        assert own.words is not None
        assert own.words.endswith("was taken over: its process is gone.")


def test_a_clock_that_was_put_back_does_not_hold_the_lock_for_ever(host: Host) -> None:
    taken(ANNA).__enter__()
    host.set_clock(900_000)
    with taken(CI) as own:
        assert own.words is not None


@pytest.mark.parametrize("content", ["", "\n", "0123", "0123456789abcdef x 180 5\n{}\n", "zz 1000000 180 1000000\n{}\n", "\0\0"])
def test_a_damaged_file_holds_nothing(host: Host, content: str) -> None:
    host.file.parent.mkdir(parents=True)
    host.file.write_text(content)
    with taken(ANNA) as own:
        assert own.words is None


def test_what_a_holder_says_of_itself_cannot_drive_a_terminal(host: Host) -> None:
    host.file.parent.mkdir(parents=True)
    host.file.write_text('0123456789abcdef 1000000 180 1000000\n{"user":"\\u001b[31mx","purpose":["a"],"pid":"7"}\n')
    found = locks.holder(ask)
    assert found is not None
    assert "\x1b" not in str(found)
    assert str(found).startswith("[31mx@an unknown machine")


def test_it_is_taken_away_from_the_one_that_was_named_alone(host: Host) -> None:
    taken(ANNA).__enter__()
    known = locks.holder(ask)
    assert known is not None
    host.set_clock(1_001_000)
    with taken(CI):
        assert not locks.release(ask, known)
        (other,) = [locks.holder(ask)]
        assert other is not None
        assert locks.release(ask, other)
        assert locks.holder(ask) is None


def test_one_that_was_taken_away_is_missed_at_once_where_the_host_is_asked(host: Host) -> None:
    with taken(ANNA) as own:
        known = locks.holder(ask)
        assert known is not None
        own.check(ask=True)
        assert locks.release(ask, known)
        own.check()
        with pytest.raises(Problem, match=r"somebody has taken it away \(bin/mo unlock\)") as told:
            own.check(ask=True)
        assert "sign of life" not in str(told.value)


def test_a_host_out_of_reach_does_not_end_a_run_by_its_heartbeat(host: Host) -> None:
    def out_of_reach(request: Mapping[str, Any]) -> Mapping[str, Any]:
        if request["action"] == "renew":
            raise Problem("no route to host")
        return ask(request)

    with taken(ANNA, asks=out_of_reach) as own:
        own.renew()
        own.check(ask=True)


def test_a_root_that_cannot_be_written_is_one_sentence(host: Host) -> None:
    (host.root / ".deploy").write_text("")
    with pytest.raises(Problem, match=r"cannot write .*\.operations"):
        taken(ANNA).__enter__()


@pytest.mark.parametrize(
    "request_",
    [
        {"action": "steal"},
        {"action": "take", "id": "x"},
        {"action": "take", "id": "0" * 16, "instead": "$(reboot)"},
        {"action": "show", "stack": "../x"},
        {"action": "take", "id": "0" * 16, "owner": {"user": "x" * 5000}},
    ],
    ids=["action", "id", "instead", "stack", "owner"],
)
def test_a_request_of_wrong_shape_is_refused(host: Host, request_: Mapping[str, Any]) -> None:
    with pytest.raises(Problem):
        ask(request_)
    assert not host.file.exists()


def test_each_run_has_a_higher_generation_than_those_before_and_gives_it_to_what_it_starts(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(locks.VARIABLE, raising=False)
    number = host.file.parent / ".generation-production"
    with taken(ANNA) as own:
        first = int(number.read_text())
        assert first == 1_000_000
        assert os.environ[locks.VARIABLE] == f"production {first} {own.id}"
        own.renew()
        assert int(number.read_text()) == first
        assert ask({"action": "enter"})["generation"] is None
    assert locks.VARIABLE not in os.environ
    # What that run has left running is followed by its own end.
    assert int(number.read_text()) == first + 1
    assert ask({"action": "enter"})["generation"] == first + 2
    host.set_clock(900_000)
    with taken(CI):
        assert int(number.read_text()) == first + 3
    number.unlink()
    host.set_clock(2_000_000)
    assert ask({"action": "enter"})["generation"] == 2_000_000
    # The file is lost, and the clock is put back: who has changed a service must be followed all the same.
    number.unlink()
    (host.root / ".deploy/votes").mkdir()
    (host.root / ".deploy/votes/generation").write_text("2000007\n")
    host.set_clock(900_000)
    assert ask({"action": "enter"})["generation"] == 2_000_008


def test_a_run_that_finds_its_lock_lost_stops_what_it_has_started(host: Host) -> None:
    stopped = threading.Event()
    own = HostLock(ask, "deploy votes", who=ANNA, beat=0.05)
    own.on_lost = stopped.set
    with own:
        assert not stopped.wait(0.3)
        host.file.unlink()
        assert stopped.wait(30)
        with pytest.raises(Problem, match="has lost its lock"):
            own.check()
