"""Histories of two operators on one host, in small what Jepsen does: a schedule drawn from a seed freezes, kills and cuts them off,
restarts the host's sshd and fills its disk, and whatever came of that is held against what must be true of every history."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pymysql

from tests.line import Line

from .conftest import PROJECT, RUN, Remote, Service
from .databases import MariaDB
from .site import Site
from .test_interruption import host_processes, leftovers
from .test_migrations import PASSWORD, Data, Writer

SILENCE, TTL, BEAT = 3, 3, 0.7
"""Seconds: of silence that ends a host program, until a lock expires, between heartbeats. Without a word they are 45, 180, 30."""
PATIENCE = 25.0
CLOSED = 40.0
"""How long a site may be closed, with these numbers, on a machine that is busy with other things."""
SETTLED = 90.0
"""How long everything may take to come to rest after the last fault is over."""
WHO = ("anna", "bert")
KINDS = ("deploy", "freeze", "thaw", "kill", "cut", "heal", "sshd", "fill", "free", "wait")


@dataclass(frozen=True)
class Action:
    """``after`` so many seconds, ``kind`` happens to ``who``."""

    after: float
    kind: str
    who: str

    def __str__(self) -> str:
        return f"{self.after:.2f} s {self.kind} {self.who}"


def drawn(seed: int) -> list[Action]:
    """The schedule of a seed: a deploy of each operator somewhere in it, and faults round them."""
    chance = random.Random(seed)
    actions = [Action(0.0, "deploy", "anna")]
    weights = (3, 4, 3, 2, 4, 3, 1, 2, 2, 2)
    for _ in range(chance.randint(4, 9)):
        kind = chance.choices(KINDS, weights)[0]
        actions.append(Action(round(chance.uniform(0.05, 1.8), 2), kind, chance.choice(WHO)))
    actions.append(Action(round(chance.uniform(0.1, TTL + 1.0), 2), "deploy", "bert"))
    return actions


def frozen(seed: int) -> list[Action]:
    """Anna is frozen at some moment of her deployment, her lock expires, Bert deploys, and she wakes up."""
    chance = random.Random(seed)
    return [
        Action(0.0, "deploy", "anna"), Action(round(chance.uniform(0.2, 4.0), 2), "freeze", "anna"),
        Action(0.1, "deploy", "bert"), Action(round(TTL + chance.uniform(2.0, 8.0), 2), "thaw", "anna"),
    ]  # fmt: skip


def cut_off(seed: int) -> list[Action]:
    """Anna is cut off at some moment of her deployment."""
    chance = random.Random(seed)
    return [Action(0.0, "deploy", "anna"), Action(round(chance.uniform(0.5, 4.0), 2), "cut", "anna"), Action(6.0, "wait", "anna")]


class Requests(Writer):
    """Writes as requests of the application do: each has its connection, of the service's own account, before it looks whether the site is
    closed. That look and the write may lie far apart on a busy machine: it is the drain that has to wait for what has begun."""

    def _write(self) -> None:
        n, marker = 0, self.data.service.base / "maintenance"
        while not self._stop.is_set():
            n += 1
            with suppress(pymysql.MySQLError):
                link = pymysql.connect(
                    host="127.0.0.1", port=self.data.server.port, user=f"svc_{self.data.service.key}", password=PASSWORD,
                    database=self.data.name, autocommit=True,
                )  # fmt: skip
                with link, link.cursor() as cursor:
                    if not marker.exists():
                        cursor.execute("INSERT INTO written VALUES (%s)", (n,))
                        self.acknowledged.append(n)
            time.sleep(0.02)


class World:
    """The host with its two services (``docs``: files; ``votes``: MariaDB, every migration offline) and all that is watched.

    Use as a context. ``run``: the client's launcher, another one where a fault was planted in it."""

    def __init__(self, remote: Remote, site: Site, mariadb: MariaDB, run: Path = RUN, settled: float = SETTLED) -> None:
        self.remote, self.site, self.run, self.settled = remote, site, run, settled
        self.docs, self.votes = Service(remote, site, "docs"), Service(remote, site, "votes")
        self.history = remote.folder / "history.jsonl"
        self.samples: list[tuple[float, str, str | None]] = []
        self.closed: list[tuple[float, float]] = []
        self._deploys = 0
        self._migrations: dict[str, str] = {"0000_init": "CREATE TABLE counted (n int);"}
        self._running: dict[str, int] = {}
        self._over = threading.Event()
        self._held = ExitStack()
        self._mariadb = mariadb
        self._filler = remote.root / "filler"

    def __enter__(self) -> Self:
        held, remote = self._held, self.remote
        held.enter_context(_small_disk(remote))
        remote.environment["MO_SILENCE"] = str(SILENCE)
        self.data = Data(self.votes, self._mariadb, mode="offline")
        self.docs.deploy({"index.html": "before"})
        self.data.deploy("before", self._migrations)
        self.lines = {who: Line(remote.sshd.port) for who in WHO}
        self._places = {who: self._place(who, line.port) for who, line in self.lines.items()}
        self._places["clara"] = self._place("clara", remote.sshd.port)
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.remote.operators"], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )  # fmt: skip
        self.writer = held.enter_context(Requests(self.data))
        for watch in (self._sample, self._poll):
            threading.Thread(target=watch, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for pid in self._running.values():
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self._over.set()
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        self._zygote.wait()
        for line in self.lines.values():
            line.close()
        for place in self._places.values():
            for path in Path(place["MO_RUN_DIR"]).glob("*.s"):
                subprocess.run(["ssh", "-F", "/dev/null", "-S", str(path), "-O", "exit", "x"], check=False, capture_output=True)
            shutil.rmtree(place["MO_RUN_DIR"], ignore_errors=True)
        for pid in host_processes(self.remote):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._held.close()

    # -- operators

    def _place(self, who: str, port: int) -> dict[str, str]:
        """A clone's own folders: state, artefacts, SSH master."""
        state, dist = self.remote.folder / f"state-{who}", self.remote.folder / f"dist-{who}"
        state.mkdir()
        dist.mkdir()
        connection = json.loads((self.remote.state / "connection.json").read_text())
        (state / "connection.json").write_text(json.dumps({**connection, "port": port}))
        control = tempfile.mkdtemp(prefix="mo-h-")
        return {"MO_STATE_DIR": str(state), "MO_DIST_DIR": str(dist), "MO_RUN_DIR": control, "MO_SILENCE": str(SILENCE)}

    def _build(self, who: str) -> list[tuple[str, dict[str, Any]]]:
        """The requests of a deployment of both services, with artefacts that only this one has."""
        self._deploys += 1
        page = f"deploy {self._deploys} of {who}"
        name = f"{self._deploys:04d}_more"
        self._migrations = {
            **self._migrations,
            name: f"CREATE TABLE t{self._deploys} (a int);\nINSERT INTO counted VALUES ({self._deploys});\nSELECT SLEEP(0.3);",
        }
        before, self.remote.dist = self.remote.dist, Path(self._places[who]["MO_DIST_DIR"])
        try:
            docs = self.remote.artefact("docs", {"index.html": page})
            files: dict[str, str | bytes] = {"index.html": page}
            files |= {f"migrations/{key}.sql": text for key, text in self._migrations.items()}
            votes = self.remote.artefact("votes", files)
        finally:
            self.remote.dist = before
        requests: list[tuple[str, dict[str, Any]]] = []
        for service, release, more in ((self.votes, votes, self.data.fields(sorted(self._migrations))), (self.docs, docs, {})):
            requests.append(("stage", {"service": service.key, "release": release, "target": service.target, "hard_links": True}))
            requests.append(("switch", service.request(release, **more)))
        return [requests[0], requests[2], requests[1], requests[3]]

    def deploy(self, who: str) -> None:
        """Starts a deployment, unless one of this operator runs."""
        if self.runs(who):
            return
        order = {
            "environment": self._places[who], "run": str(self.run), "requests": self._build(who), "log": str(self.history), "ttl": TTL,
            "beat": BEAT, "patience": PATIENCE,
        }  # fmt: skip
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.write(json.dumps(order) + "\n")
        self._zygote.stdin.flush()
        self._running[who] = int(self._zygote.stdout.readline())

    def runs(self, who: str) -> bool:
        """Whether an operator's process is there."""
        return who in self._running and Path(f"/proc/{self._running[who]}").exists()

    def _signal(self, who: str, number: signal.Signals) -> None:
        if self.runs(who):
            with suppress(ProcessLookupError):
                os.killpg(self._running[who], number)

    # -- faults

    def act(self, action: Action) -> None:
        """One action of a schedule, now."""
        who = action.who
        deeds: dict[str, Callable[[], object]] = {
            "deploy": lambda: self.deploy(who), "freeze": lambda: self._signal(who, signal.SIGSTOP),
            "thaw": lambda: self._signal(who, signal.SIGCONT), "kill": lambda: self._signal(who, signal.SIGKILL),
            "cut": self.lines[who].cut, "heal": self.lines[who].heal, "sshd": self._restart_sshd, "fill": self._fill,
            "free": lambda: self._filler.unlink(missing_ok=True), "wait": lambda: None,
        }  # fmt: skip
        deeds[action.kind]()

    def _restart_sshd(self) -> None:
        """As after a restart of the host's sshd, its sessions too."""
        sshd = self.remote.sshd
        assert sshd.process is not None
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError, IndexError, ProcessLookupError):
                    if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == sshd.process.pid:
                        os.kill(int(entry.name), signal.SIGKILL)
        sshd.stop()
        sshd.start()

    def _fill(self) -> None:
        if self.remote.root.is_mount():
            with suppress(OSError), self._filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"0" * 65536)

    # -- what is watched

    def _sample(self) -> None:
        """Every change of what is live."""
        last: dict[str, str | None] = {}
        while not self._over.wait(0.01):
            for service in (self.docs, self.votes):
                now = service.live
                if last.get(service.key, "") != now:
                    last[service.key] = now
                    self.samples.append((time.monotonic(), service.key, now))

    def _poll(self) -> None:
        """From when to when the site with the migrations was closed."""
        since: float | None = None
        while not self._over.wait(0.05):
            link = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=10)
            link.request("GET", "/", headers={"Host": self.votes.domain})
            status = link.getresponse().status
            link.close()
            now = time.monotonic()
            if status == 503:
                since = since or now
                self.closed = [*(one for one in self.closed if one[0] != since), (since, now)]
            else:
                since = None

    def events(self) -> list[dict[str, Any]]:
        """What the operators have told, in the order of time."""
        lines = self.history.read_text().splitlines() if self.history.exists() else []
        return sorted((json.loads(line) for line in lines), key=lambda event: event["at"])

    def server_ended(self) -> bool:
        """Whether the database server has ended by itself; it runs again then."""
        if self._mariadb.process.poll() is None:
            return False
        self._mariadb.restart()
        return True

    # -- one history

    def violations(self, schedule: Sequence[Action]) -> list[str]:
        """Carries the schedule out and gives what must not be true of it."""
        self.samples.clear()
        self.closed.clear()
        started = time.monotonic()
        first = len(self.events())
        # What is live when it begins has to be in the samples of this history.
        self.samples += [(started, service.key, service.live) for service in (self.docs, self.votes)]
        for action in schedule:
            time.sleep(action.after)
            self.act(action)
        for who in WHO:
            self._signal(who, signal.SIGCONT)
            self.lines[who].heal()
        self._filler.unlink(missing_ok=True)
        found = []
        if not _within(self.settled, lambda: not any(map(self.runs, WHO))):
            found.append(f"after {self.settled:.0f} s without a fault an operator still runs")
        if not _within(self.settled, lambda: not host_processes(self.remote)):
            found.append("host programs wait that nobody will ever answer")
            for pid in host_processes(self.remote):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        found += self._overwritten(self.events()[first:])
        found += [f"the site was closed for {end - since:.0f} s" for since, end in self.closed if end - since > CLOSED]
        return [*found, *self._recovered()]

    def _overwritten(self, events: Sequence[dict[str, Any]]) -> list[str]:
        """Releases that went live over those of a later run, once that one had been told that they are live."""
        of = {event["release"]: event["generation"] for event in events if event["event"] in ("done", "failed")}
        last = 0
        for event in events:
            # Of a run that was killed no end is told; its switch was asked for after its lock was taken.
            last = event["generation"] if event["event"] == "took" else last
            if event["event"] == "asked":
                of.setdefault(event["release"], last)
        found = []
        for event in events:
            if event["event"] != "done" or event["step"] != "switch":
                continue
            for at, service, release in self.samples:
                if service == event["service"] and at > event["at"] and of.get(str(release), 0) < event["generation"]:
                    mine, its = of.get(str(release), 0), event["generation"]
                    found.append(f"{service}: {release} of generation {mine} went live over {event['release']} of {its}")
        return found

    def _recovered(self) -> list[str]:
        """What is wrong after one deployment from a fresh clone, which has to go through."""
        first = len(self.events())
        self.deploy("clara")
        _within(self.settled, lambda: not self.runs("clara"))
        events = self.events()[first:]
        wanted = {e["service"]: e["release"] for e in events if e["event"] == "done" and e["step"] == "switch"}
        found = [f"the next deployment: {e['why']}" for e in events if e["event"] in ("failed", "broke")]
        found += [
            f"{s.key} is not what the next deployment made live" for s in (self.docs, self.votes) if s.live != wanted.get(s.key)
        ]
        found += [f"{s.key}: {', '.join(left)} stay" for s in (self.docs, self.votes) if (left := leftovers(s))]
        if missing := self.writer.missing():
            found.append(f"{len(missing)} acknowledged rows are missing, {missing[:5]} …")
        twice = self.data.query("SELECT n FROM counted GROUP BY n HAVING COUNT(*) > 1")
        return [*found, *(f"the migration of deploy {n} was applied twice" for (n,) in twice)]


def shrunk(schedule: Sequence[Action], fails: Callable[[Sequence[Action]], bool]) -> list[Action]:
    """A shorter schedule that ``fails`` too: without each action in turn."""
    kept = list(schedule)
    for action in list(kept):
        without = [one for one in kept if one is not action]
        if len(without) > 1 and fails(without):
            kept = without
    return kept


def _within(seconds: float, what: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def _small_disk(remote: Remote) -> Iterator[None]:
    """The host's root on a file system of its own, so that it can be filled; only root may do that, for others the disk is never full."""
    if os.geteuid() != 0:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "mo-histories", str(remote.root)], check=True)
    remote.own(remote.root)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(remote.root)], check=True)


def planted(folder: Path, program: str, text: str, instead: str) -> Path:
    """A copy of the client and its host programs with a fault in ``program``; gives its launcher."""
    shutil.copytree(RUN.parent, folder / "components/remote")
    path = folder / "components/remote" / program
    before = path.read_text()
    assert text in before, program
    path.write_text(before.replace(text, instead))
    return folder / "components/remote/run"
