"""Two operators, two clones, one host: one is frozen in the middle of a deployment, or the network between one and the host goes.

By commands alone, with the time limits that hold in production."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import processes
from tests.e2e.deployment import QUICK, Deployment, deployment, other_clone
from tests.line import CAN_CUT_WIRES, Line, Wire

EVERY = os.environ.get("MO_TEST_EVERY") == "1"
pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.xdist_group("e2e-two-operators"),
    pytest.mark.skipif(not EVERY, reason="a minute for each phase, with production's limits: make test-thorough"),
]

SERVICES = ("main", "crm", "api")
SOURCES = {"crm": "crm.menschlichkeit-oesterreich.at/index.php", "api": "api.menschlichkeit-oesterreich.at/app/main.py"}
OPEN = 90.0
"""Seconds after which a site has to answer again, whatever has become of its operator."""


@pytest.fixture(scope="module")
def site() -> Iterator[Deployment]:
    with deployment() as made:
        made.require_few_gates()
        made.build(*SERVICES)
        made.run("bin/mo", "deploy", "--yes", *QUICK)
        yield made


def until(what: Callable[[], object], seconds: float = 180.0, command: subprocess.Popen[bytes] | None = None) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came to that"
        assert command is None or command.poll() is None, f"the command ended with {command.poll() if command else None} before"
        time.sleep(0.01)


@contextmanager
def by_line(site: Deployment, kind: type[Line] | type[Wire]) -> Iterator[Line | Wire]:
    """The stack's SSH goes over a line that can be cut, as long as the context lasts."""
    path = site.sandbox.layout.settings
    text = path.read_text()
    loaded = yaml.safe_load(text)
    line = kind(int(loaded["host"]["port"]))
    loaded["host"]["port"] = line.port
    path.write_text(yaml.safe_dump(loaded, sort_keys=False))
    site.disconnect()  # two masters cannot both have the SOCKS port
    try:
        yield line
    finally:
        path.write_text(text)
        line.close()
        site.disconnect()


def ends(child: subprocess.Popen[bytes]) -> int:
    try:
        return child.wait(300)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)


def changed(site: Deployment, service: str) -> str:
    """Another release of a service, built; its id. The CRM's page names each in a comment."""
    mark = uuid.uuid4().hex
    site.edit(SOURCES[service], {"crm": f"echo '<!-- of {mark} -->';\n", "api": f"# of {mark}\n"}[service])
    site.build(service)
    return site.releases([service])[service]


VERSIONS = "sandbox/monorepo/api.menschlichkeit-oesterreich.at/alembic/versions"
VERSION = """from alembic import op

revision = "{new}"
down_revision = "{head}"


def upgrade() -> None:
    op.execute("SELECT pg_sleep(2)")
    op.execute("CREATE TABLE {new} (id int)")


def downgrade() -> None:
    op.execute("DROP TABLE {new}")
"""


def add_version(site: Deployment, name: str) -> None:
    """The API's next release comes with another migration, after those that it has."""
    folder = site.clone / VERSIONS
    head = max(path.stem for path in folder.glob("0*.py"))
    (folder / f"{name}.py").write_text(VERSION.format(new=name, head=head))
    site.run("git", "add", f"{VERSIONS}/{name}.py")  # the build takes what git knows


def runs(site: Deployment, service: str) -> str:
    """What of the service's code visitors get: the CRM's marks, the release that the API's process names."""
    health = site.services[service].health
    body = site.sandbox.get(service, health.path if service == "crm" else str(health.release_path)).body
    return " ".join(re.findall(r"<!-- of (\w+) -->", body)) if service == "crm" else str(json.loads(body)["release"])


PACKETS: type[Line] | type[Wire] = Wire if CAN_CUT_WIRES else Line
CASES: list[tuple[str, str, type[Line] | type[Wire]]] = [
    ("crm", "migrate", Line), ("crm", "window", Line), ("crm", "snapshot", Line), ("crm", "probe", PACKETS),
    ("api", "migrate", Line), ("api", "restart", Line), ("api", "probe", PACKETS),
]  # fmt: skip


@pytest.mark.parametrize(("service", "phase", "kind"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_site_answers_again_by_itself_when_the_network_goes(
    site: Deployment, service: str, phase: str, kind: type[Line] | type[Wire]
) -> None:
    former, ran = site.live(service), runs(site, service)
    if (service, phase) == ("api", "migrate"):
        add_version(site, "m0003_cut")
    new = changed(site, service)
    base = site.sandbox.root / ".deploy" / service
    health = site.services[service].health.path

    def journal() -> str:
        with suppress(OSError):
            return (base / "switching").read_text()
        return ""

    moments: dict[str, Callable[[], object]] = {
        "window": (base / "maintenance").exists,
        "snapshot": lambda: list((base / "snapshots").glob("*.part")),
        "migrate": lambda: "j_phase='migrating'" in journal(),
        "restart": lambda: list((base / "log").glob(f"*{new}-restart.log")),
        "probe": lambda: site.live(service) == new,
    }
    with by_line(site, kind) as line:
        child = site.start("bin/mo", "deploy", "--yes", "--only", service, *QUICK)
        until(moments[phase], command=child)
        line.cut()
        cut = time.monotonic()
        until(lambda: "j_phase" not in journal() and not (base / "maintenance").exists(), OPEN)
        until(lambda: site.sandbox.get(service, health).status == 200, OPEN)
        took = time.monotonic() - cut
        assert took < OPEN
        print(f"{service}, cut at {phase}: open again after {took:.0f} s")
        assert ends(child) != 0
    assert site.live(service) in (former, new)
    # What answers is the code of what is live, whatever the one that failed has left in PHP's caches or as a process.
    assert (runs(site, service) == ran) == (site.live(service) == former)
    log = (site.sandbox.root / ".deploy/deployment.log").read_text()
    told = site.run("bin/mo", "status", expect=None).stdout
    said = site.run("bin/mo", "deploy", "--yes", "--only", service, *QUICK).stdout
    assert site.live(service) == new
    if f"{new} put back" in log or f"{new} stopped" in log:
        assert "ended by itself" in " ".join(told.split())
        assert "ended by itself" in " ".join(said.split())
        assert "ended by itself" not in site.run("bin/mo", "status").stdout


def frozen(tree: int, number: signal.Signals) -> list[int]:
    """Signals a process with all that it has started, whatever session it is in."""
    pids = [tree, *processes.descendants([tree])]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return pids


def own_backend(site: Deployment, folder: Path) -> dict[str, str]:
    """A copy of the stack's backend, as it is now, for another person, who shares neither its state nor its locks."""
    told = dict(re.findall(r"(PULUMI_\w+)='?([^'\n]*)'?", (site.sandbox.layout.directory / "env").read_text()))
    shutil.copytree(told["PULUMI_BACKEND_URL"].removeprefix("file://"), folder / "backend")
    return {**told, "PULUMI_BACKEND_URL": f"file://{folder}/backend"}


@pytest.mark.parametrize("backends", ["one", "two"])
def test_who_wakes_up_late_puts_nothing_over_a_later_deployment(site: Deployment, backends: str, tmp_path: Path) -> None:
    late = {key: changed(site, key) for key in ("crm", "api")}
    held = site.sandbox.root / ".deploy/.operations/sandbox"
    with other_clone(site, **(own_backend(site, tmp_path) if backends == "two" else {})) as other:
        later = {key: changed(other, key) for key in ("crm", "api")}
        child = site.start("bin/mo", "deploy", "--yes", *QUICK)
        try:
            until(lambda: _phase(site) == "up" and _touched(site, ("crm", "api")), command=child)
            frozen(child.pid, signal.SIGSTOP)
            assert held.exists()
            other.run("bin/mo", "unlock", "--yes")
            if backends == "one":
                other.run("bin/pulumi", "cancel", "--yes", "--stack", "sandbox")
            other.run("bin/mo", "deploy", "--yes", *QUICK, expect=None)
            assert {key: site.live(key) for key in later} == later
        finally:
            frozen(child.pid, signal.SIGCONT)
        assert ends(child) != 0
        assert {key: site.live(key) for key in later} == later
        status: dict[str, Any] = json.loads(other.run("bin/mo", "status", "--json", expect=None).stdout)
        rows = {row["service"]: row for row in status["services"]}
        assert {key: rows[key]["release"] for key in later} == later
        assert set(late.values()).isdisjoint(later.values())


def _phase(site: Deployment) -> str:
    """The phase that the last run of this clone is in."""
    runs = sorted((site.clone / ".mo/sandbox/runs").glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    lines = [json.loads(line) for line in runs[-1].read_text().splitlines()] if runs else []
    return str(next((line["phase"] for line in reversed(lines) if line["event"] == "start"), ""))


def _touched(site: Deployment, services: tuple[str, ...]) -> bool:
    """Whether a switch of one of them is at work."""
    return any(
        Path(f"{site.sandbox.root}/.deploy/{key}/lock.by").read_text().split()[1:2] == ["switch"]
        and time.time() - float(Path(f"{site.sandbox.root}/.deploy/{key}/lock.by").read_text().split()[0]) < 5
        for key in services
    )
