"""The network goes between client and host, without a packet that says so: host programs end by themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.line import Line

from .conftest import Remote, Service
from .databases import MariaDB
from .site import Poller
from .test_facts import known
from .test_interruption import host_processes, leftovers
from .test_migrations import Data

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]
SILENCE = 3
"""Seconds of silence that these clients ask for; without a word it is 45."""
FIRST = {"0000_init": "CREATE TABLE total (n int);\nINSERT INTO total VALUES (0);"}
SLOW = {**FIRST, "0001_more": "UPDATE total SET n = n + 1;\nSELECT SLEEP(1);\nCREATE TABLE more (a int);"}


@pytest.fixture
def line(remote: Remote) -> Iterator[Line]:
    """The line on which the next clients reach the host."""
    made = Line(remote.sshd.port)
    remote.environment["MO_SILENCE"] = str(SILENCE)
    yield made
    made.close()


def until(what: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def switches(remote: Remote) -> list[int]:
    """The processes of the host's program ``switch``."""
    found = []
    for pid in host_processes(remote):
        with suppress(OSError):
            if b"/switch" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def cut_at(where: Service, line: Line, moment: Callable[[], object], **fields: object) -> subprocess.Popen[bytes]:
    """Starts a switch through the line, and cuts that at the moment."""
    remote = where.remote
    remote.write(port=line.port)
    child = remote.popen("switch", **fields)
    until(moment)
    line.cut()
    remote.write()
    return child


def over_after(service: Service, seconds: float) -> None:
    """Waits until the host's programs have ended by themselves; at most so long."""
    began = time.monotonic()
    until(lambda: not host_processes(service.remote), seconds)
    assert time.monotonic() - began < seconds


@pytest.mark.parametrize("phase", ["decide", "window", "migrate", "probe"])
def test_a_window_that_the_network_is_cut_in_opens_again_by_itself(
    service: Service, mariadb: MariaDB, line: Line, phase: str
) -> None:
    data = Data(service, mariadb, mode="offline")
    one = data.deploy("one", FIRST)["live"]
    two = data.stage("two", SLOW)
    site, base = service.site, service.base
    moments: dict[str, Callable[[], object]] = {
        "decide": lambda: switches(service.remote),
        "window": (base / "maintenance").exists,
        "migrate": lambda: mariadb.query("SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"),
        "probe": lambda: service.live == two,
    }
    if phase == "probe":
        site.delay = 1.0
    with Poller(site, service.domain) as poller:
        child = cut_at(service, line, moments[phase], **service.request(two, **data.fields(sorted(SLOW))))
        cut_off = time.monotonic()
        over_after(service, SILENCE + 25)
        site.delay = 0.0
        until(lambda: poller.asked and (not poller.failed or poller.failed[-1][0] < time.monotonic() - 0.2))
        assert all(moment < cut_off + SILENCE + 25 for moment, _ in poller.failed)
    assert service.live == one
    assert data.query("SELECT n FROM total") == [(0,)]
    assert data.query("SHOW TABLES LIKE 'more'") == []
    assert leftovers(service) == []
    child.kill()
    child.communicate()
    # Over another line the next run goes through at once, and says what became of that one.
    line.heal()
    again = service.remote.run("switch", **service.request(two, **data.fields(sorted(SLOW))))
    assert service.live == two
    assert data.query("SELECT n FROM total") == [(1,)]
    assert any("ended by itself" in note for note in again["left_alone"])


def test_a_release_that_nobody_could_look_at_goes_back_by_itself(service: Service, line: Line) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    two = service.stage({"index.html": "!500"})
    child = cut_at(service, line, lambda: service.live == two, **service.request(two, runtime="process"))
    over_after(service, SILENCE + 15)
    assert service.live == one
    assert leftovers(service) == []
    assert "put back at probe" in (service.remote.root / ".deploy/deployment.log").read_text()
    child.kill()
    child.communicate()


def test_a_client_that_looks_for_long_is_not_taken_for_gone(service: Service, line: Line) -> None:
    service.deploy({"index.html": "one"})
    service.site.delay = SILENCE * 1.5
    two = service.stage({"index.html": "two"})
    probe = {**service.request(two)["probe"], "timeout": 60, "successes": 1}
    assert service.switch(two, probe=probe)["live"] == two


def test_a_frozen_client_is_taken_for_gone_and_finds_its_program_ended(service: Service, line: Line) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    two = service.stage({"index.html": "two"})
    service.site.delay = 1.0
    child = service.remote.popen("switch", **service.request(two, runtime="process"))
    until(lambda: service.live == two)
    os.kill(child.pid, signal.SIGSTOP)
    over_after(service, SILENCE + 15)
    assert service.live == one
    os.kill(child.pid, signal.SIGCONT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert f"nothing was heard from the client for {SILENCE} s" in err.decode()
    # Told without being forgotten, until the next run has told it too.
    alone = [known(service, one).left_alone for _ in range(2)]
    assert alone[0] == alone[1]
    assert str(alone[0]).endswith(f"ended by itself in its step probe (switch): nothing was heard from the client for {SILENCE} s")
    service.site.delay = 0.0
    assert service.switch(two)["left_alone"] == [alone[0]]
    assert known(service, two).left_alone is None


def test_secrets_that_a_client_left_half_way_are_told_of_by_the_next_env(service: Service, line: Line) -> None:
    service.deploy({"index.html": "one"})
    asked = {"service": service.key, "target": service.target, "probe": service.request("r")["probe"]}
    service.remote.run("env", variables={"A": "1"}, **asked)
    service.site.delay = 1.0
    child = service.remote.popen("env", variables={"A": "2"}, **asked)
    until(lambda: "A='2'" in (service.base / "secrets.env").read_text())
    os.kill(child.pid, signal.SIGSTOP)
    over_after(service, SILENCE + 15)
    assert "A='1'" in (service.base / "secrets.env").read_text()
    os.kill(child.pid, signal.SIGCONT)
    child.communicate(timeout=60)
    service.site.delay = 0.0
    (note,) = service.remote.run("env", variables={"A": "2"}, **asked)["left_alone"]
    assert "ended by itself in its step probe (env)" in note


@pytest.mark.parametrize("text", ["", "cut", "\t\t", "\t" * 50 + "x" * 9000, "\x1b[2J\n\x00\xff"])
def test_a_damaged_note_of_a_run_that_was_left_alone_stops_nothing(service: Service, text: str) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    (service.base / "left-alone").write_text(text, encoding="latin-1")
    service.remote.own(service.base)
    assert "ended by itself" in str(known(service, one).left_alone)
    two = service.stage({"index.html": "two"})
    assert len(service.switch(two)["left_alone"]) == 1


def test_who_waits_for_a_service_says_for_whom_and_waits_no_longer_than_its_client(service: Service, line: Line) -> None:
    service.deploy({"index.html": "one"})
    two = service.stage({"index.html": "two"})
    service.site.delay = 5.0
    first = service.remote.popen("switch", **service.request(two, probe={**service.request(two)["probe"], "timeout": 60}))
    until(lambda: (service.base / "lock.by").read_text().split()[1] == "switch" and service.live == two)
    second = service.remote.popen("switch", **service.request(two))
    assert second.stderr
    said = second.stderr.readline().decode()
    assert said.startswith(f"… votes: switching to {two}: waiting on the host for lock: switch of ")
    assert "has held it for" in said
    # Frozen, it does not answer any more: its program must not go on alone once the lock is free.
    os.kill(second.pid, signal.SIGSTOP)
    until((service.base / "left-alone").exists)
    os.kill(second.pid, signal.SIGCONT)
    _, err = second.communicate(timeout=60)
    assert "while it waited for lock; nothing was changed" in err.decode()
    service.site.delay = 0.0
    _, err = first.communicate(timeout=60)
    assert first.returncode == 0, err


def test_a_program_whose_request_never_came_ends(remote: Remote) -> None:
    """Sent by hand: a connection on which the request stops in the middle."""
    remote.run("lock", action="show")
    tool = next((remote.root / ".deploy/.tool").iterdir())
    child = subprocess.Popen(
        ["sh", str(tool / "switch")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "MO_TOOL": str(tool)}
    )
    assert child.stdin
    child.stdin.write(b"q_service=votes\n")
    child.stdin.flush()
    began = time.monotonic()
    try:
        # Before its request is whole, it knows of no other limit than its own.
        assert child.wait(timeout=60) == 1
    finally:
        child.kill()
    assert time.monotonic() - began > 40
