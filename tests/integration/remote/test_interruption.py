"""Killed anywhere, with the host program left alive or killed too, the next run ends where an undisturbed one does."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import Remote, Service
from .databases import MariaDB, PostgreSQL
from .site import Poller
from .test_migrations import Data, Writer

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]


STEPS = (
    "CREATE TABLE t{n} (a int);\nINSERT INTO counted VALUES ({n});\n-- a comment; with 'one quote\n"
    "ALTER TABLE t{n} ADD COLUMN b int;\nUPDATE total SET n = n + 1;\nCREATE INDEX i{n} ON t{n} (b)"
)


def host_processes(remote: Remote) -> list[int]:
    """Processes on the test host that this test's root started: their command line or folder names it."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.stat(f"/proc/{entry}").st_uid != remote.sshd.account.pw_uid:
                continue
            line = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace")
            folder = os.readlink(f"/proc/{entry}/cwd")
        except OSError:
            continue
        if (str(remote.root) in line or folder.startswith(str(remote.root))) and "ssh" not in line.split("\0")[0]:
            found.append(int(entry))
    return found


def kill_all(remote: Remote) -> None:
    for pid in host_processes(remote):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def interrupt(remote: Remote, step: str, fields: dict[str, Any], after: float, host_too: bool) -> int:
    """Starts a step, kills it (and its ssh) after so many seconds; gives its exit code, 0 where it had ended by then."""
    child = remote.popen(step, **fields)
    try:
        child.wait(after)
    except subprocess.TimeoutExpired:
        # The client dies as under `kill -9`; its ssh sees the end of its input.
        child.kill()
        if host_too:
            kill_all(remote)
    child.communicate()
    return child.returncode


def leftovers(service: Service) -> list[str]:
    names = [
        p.name
        for pattern in ("maintenance", "probe-*", "switching", "migrating", "tmp/*", "incoming/*")
        for p in service.base.glob(pattern)
    ]
    return (
        names
        + [p.name for p in service.path.parent.iterdir() if p.name.endswith(".mo-new")]
        + [p.name for p in service.path.glob("mo-probe-*")]
    )


@pytest.mark.parametrize("host_too", [False, True], ids=["host-alive", "host-killed"])
@pytest.mark.parametrize("case", ["postgresql-online", "postgresql-offline", "mariadb-online", "mariadb-offline"])
def test_a_switch_killed_at_random_moments_is_completed_by_the_next_run(
    service: Service, case: str, host_too: bool, request: pytest.FixtureRequest
) -> None:
    engine, mode = case.split("-")
    server: MariaDB | PostgreSQL = request.getfixturevalue(engine)
    data = Data(service, server, mode=mode)
    chance = random.Random(f"{case}{host_too}")
    migrations = {"0000_init": "CREATE TABLE counted (n int);\nCREATE TABLE total (n int);\nINSERT INTO total VALUES (0);"}
    data.deploy("v0", migrations)
    took = 1.0
    with Poller(service.site, service.domain) as poller, Writer(data) as writer:
        for n in range(1, 4):
            migrations = {**migrations, f"{n:04d}_more": STEPS.format(n=n)}
            release = data.stage(f"v{n}", migrations)
            fields = service.request(release, **data.fields(sorted(migrations)))
            began = time.monotonic()
            code = interrupt(service.remote, "switch", fields, chance.uniform(0.05, took * 0.9), host_too)
            result = service.remote.run("switch", **fields)
            if code == 0:
                took = max(0.3, min(took, time.monotonic() - began))
            assert result["live"] == release == service.live
            assert leftovers(service) == []
            assert [row[0] for row in data.query("SELECT version FROM schema_version ORDER BY version")] == sorted(migrations)
    # Each statement once, however often the run was cut.
    assert data.query("SELECT n FROM counted ORDER BY n") == [(n,) for n in range(1, 4)]
    assert data.query("SELECT n FROM total") == [(3,)]
    assert writer.missing() == []
    assert {status for _, status in poller.failed} <= ({503} if mode == "offline" else set())
    assert poller.bodies <= {b"down", *(f"v{n}".encode() for n in range(6))}


def test_a_migration_cut_between_its_statements_goes_on_where_it_stopped(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb)
    first = {"0001_init": "CREATE TABLE total (n int);\nINSERT INTO total VALUES (0);"}
    data.deploy("one", first)
    body = (
        "UPDATE total SET n = n + 1;\nDELIMITER $$\nCREATE PROCEDURE p() BEGIN SELECT 'a;b'; SELECT 2; END$$\nDELIMITER ;\n"
        "CREATE TABLE t (a int);\nSELECT SLEEP(3);\nUPDATE total SET n = n + 10;\nALTER TABLE t ADD COLUMN b int"
    )
    migrations = {**first, "0002_long": body}
    release = data.stage("two", migrations)
    fields = service.request(release, **data.fields(sorted(migrations)))
    child = service.remote.popen("switch", **fields)
    for _ in range(400):
        if mariadb.query("SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"):
            break
        time.sleep(0.02)
    child.kill()
    kill_all(service.remote)
    child.communicate()
    assert (service.base / "migrating").exists()
    result = service.remote.run("switch", **fields)
    assert result["migrations"] == ["0002_long"]
    assert "statement 4" in result["recovered"]
    assert data.query("SELECT n FROM total") == [(11,)]
    assert [row[0] for row in data.query("SHOW COLUMNS FROM t")] == ["a", "b"]
    assert data.query("SHOW TABLES LIKE '_mo_progress'") == []
    assert leftovers(service) == []


@pytest.mark.parametrize("host_too", [False, True], ids=["host-alive", "host-killed"])
def test_a_first_switch_over_found_content_killed_at_random_moments_keeps_the_uploads(
    remote: Remote, service: Service, host_too: bool
) -> None:
    chance = random.Random(7)
    service.extra["persistent"] = ["uploads"]
    for n in range(3):
        one = Service(remote, service.site, f"s{n}")
        one.extra["persistent"] = ["uploads"]
        one.found()
        release = one.stage({"index.html": "new"})
        interrupt(remote, "switch", one.request(release), chance.uniform(0.02, 0.5), host_too)
        one.switch(release)
        assert one.live == release
        assert (one.path / "uploads/u").read_text() == "kept"
        assert leftovers(one) == []
        assert one.switch("adopted")["live"] == "adopted"
        assert (one.path / "uploads/u").read_text() == "kept"
        assert (one.path / "index.html").read_text() == "old"


def as_killed_at(service: Service, release: str, moment: str) -> None:
    """Takes a first switch over a found site back, step by step, to how the host stood at that moment of its two renames."""
    adopted, shared = service.base / "releases/adopted", service.base / "shared/uploads"
    (service.base / "live").unlink()
    (service.base / "history").unlink()
    (service.base / "switching").write_text(
        f"j_phase='renamed' j_release='{release}' j_previous='adopted' j_snapshot='' j_offline='' j_kind='directory'\n"
    )
    adopted.with_suffix(".json").rename(adopted.with_suffix(".json.new"))
    if moment != "adopted linked":
        (adopted / "uploads").unlink()
    if moment in ("target gone", "uploads taken"):
        service.path.unlink()
    if moment == "target gone":
        shared.rename(adopted / "uploads")
    service.remote.own(service.base)


@pytest.mark.parametrize("wanted", ["the same release", "another release", "adopted"])
@pytest.mark.parametrize("moment", ["target gone", "uploads taken", "new release linked", "adopted linked"])
def test_a_first_switch_killed_at_its_two_renames_keeps_what_was_found_as_a_release(
    service: Service, moment: str, wanted: str
) -> None:
    service.extra["persistent"] = ["uploads"]
    service.found()
    release = service.stage({"index.html": "new"})
    other = service.stage({"index.html": "newer"})
    service.switch(release)
    as_killed_at(service, release, moment)
    chosen = {"the same release": release, "another release": other, "adopted": "adopted"}[wanted]
    service.switch(chosen)
    assert service.live == chosen
    assert (service.path / "uploads/u").read_text() == "kept"
    assert leftovers(service) == []
    assert service.switch("adopted")["live"] == "adopted"
    assert (service.path / "uploads/u").read_text() == "kept"
    assert (service.path / "index.html").read_text() == "old"
    assert service.switch(other)["previous"] == "adopted"
    assert (service.path / "uploads/u").read_text() == "kept"


@pytest.mark.parametrize("way", ["in place", "removed", "bad release"])
def test_what_was_found_outlives_whatever_follows_a_first_switch_killed_between_its_renames(service: Service, way: str) -> None:
    service.extra["persistent"] = ["uploads"]
    service.found()
    (service.path / "mine.txt").write_text("precious")
    release, bad = service.stage({"index.html": "new"}), service.stage({"index.html": "!500"})
    service.switch(release, adopt="replace")
    as_killed_at(service, release, "target gone")
    if way == "in place":
        assert "in-place would write into that release" in service.remote.refused(
            "switch", **service.request(release, strategy="in-place")
        )
    elif way == "removed":
        service.remote.run("remove", service="votes", action="drop", target=None, keep=None)
    else:
        service.remote.refused("switch", **service.request(bad))
        assert (service.path / "index.html").read_text() == "old"
    assert [path.read_text() for path in service.remote.root.rglob("mine.txt")] == ["precious"]
    assert "kept" in {path.read_text() for path in service.remote.root.rglob("u")}


@pytest.mark.parametrize("host_too", [False, True], ids=["host-alive", "host-killed"])
def test_a_stage_killed_at_random_moments_is_completed_by_the_next_run(remote: Remote, host_too: bool) -> None:
    chance = random.Random(3)
    for n in range(3):
        files: dict[str, str | bytes] = {f"d{i}/f{i}": chance.randbytes(20_000) for i in range(100)}
        release = remote.artefact("votes", files)
        fields = {"service": "votes", "release": release, "target": "a/b", "hard_links": True, "dependencies": None}
        interrupt(remote, "stage", fields, chance.uniform(0.02, 0.4), host_too)
        remote.run("stage", **fields)
        place = remote.root / ".deploy/votes/releases" / release
        assert {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("f*")} == files, n
        assert os.listdir(remote.root / ".deploy/votes/incoming") == []


def test_two_switches_at_once_wait_for_each_other(service: Service) -> None:
    service.deploy({"index.html": "one"})
    release = service.stage({"index.html": "two"})
    children = [service.remote.popen("switch", **service.request(release)) for _ in range(4)]
    for child in children:
        _, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
    assert service.live == release
    assert leftovers(service) == []


@pytest.mark.parametrize("phase", ["renamed", "restoring"])
def test_a_switch_killed_after_its_window_had_ended_restores_nothing_over_what_was_written_since(
    service: Service, mariadb: MariaDB, phase: str
) -> None:
    data = Data(service, mariadb, mode="offline")
    one = data.deploy("one", {"0000_init": "CREATE TABLE total (n int);\nINSERT INTO total VALUES (0);"})["live"]
    migrations = {
        "0000_init": "CREATE TABLE total (n int);\nINSERT INTO total VALUES (0);",
        "0001_more": "CREATE TABLE more (a int);",
    }
    two = data.deploy("two", migrations)
    # The journal as it stands between the end of the window and its own removal.
    (service.base / "switching").write_text(
        f"j_phase='{phase}' j_release='{two['live']}' j_previous='{one}' j_snapshot='{two['snapshot']}' j_offline='yes' j_kind='link'\n"
    )
    service.remote.own(service.base / "switching")
    data.query("UPDATE total SET n = 5")
    three = data.deploy("three", migrations)
    assert three["previous"] == two["live"]
    assert data.query("SELECT n FROM total") == [(5,)]
    assert leftovers(service) == []


def test_the_look_at_a_window_that_a_killed_run_left_open_ends_with_nothing_of_that_run_left(
    service: Service, mariadb: MariaDB
) -> None:
    data = Data(service, mariadb, mode="offline")
    first = {"0000_init": "CREATE TABLE total (n int);"}
    one = data.deploy("one", first)["live"]
    more = first | {"0001_more": "CREATE TABLE more (a int);"}
    two = data.deploy("two", more)
    (service.base / "switching").write_text(
        f"j_phase='renamed' j_release='{two['live']}' j_previous='{one}' j_snapshot='{two['snapshot']}' j_offline='yes' j_kind='link'\n"
    )
    (service.base / "maintenance").touch()
    (service.base / f"probe-{'0' * 32}").touch()
    service.remote.own(service.base)
    again = service.remote.run("switch", **service.request(two["live"], **data.fields(sorted(more))))
    assert again["live"] == two["live"] == service.live
    assert leftovers(service) == []


@pytest.mark.parametrize("written", [True, False], ids=["copied", "half-copied"])
def test_an_in_place_switch_that_was_killed_has_its_code_put_back_with_its_data(
    service: Service, mariadb: MariaDB, written: bool
) -> None:
    service.extra["strategy"] = "in-place"
    data = Data(service, mariadb, mode="offline")
    first = {"0000_init": "CREATE TABLE total (n int);\nINSERT INTO total VALUES (0);"}
    one = data.deploy("one", first)["live"]
    live = (service.base / "live").read_text()
    more = first | {"0001_more": "CREATE TABLE more (a int);"}
    two = data.deploy("two", more)
    # As a kill leaves it after the copy, before the look at the site: the window is open, nobody has seen the release.
    (service.base / "switching").write_text(
        f"j_phase='renamed' j_release='{two['live']}' j_previous='{one}' j_snapshot='{two['snapshot']}' j_offline='yes' "
        "j_kind='directory'\n"
    )
    (service.base / "maintenance").touch()
    if not written:
        (service.base / "live").write_text(live)
    service.remote.own(service.base)
    # Another release follows, and is refused: what stands is what stood before the killed run, code and data.
    assert "was edited" in data.refused("three", {"0000_init": "SELECT 1;"})
    assert (service.path / "index.html").read_text() == "one"
    assert data.query("SHOW TABLES LIKE 'more'") == []
    assert (service.base / "live").read_text().split()[:2] == ["in-place", one]
    assert data.deploy("four", more)["previous"] == one
    assert (service.path / "index.html").read_text() == "four"
    assert leftovers(service) == []
