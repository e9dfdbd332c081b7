"""What an operator does by hand: commands in the live release, snapshots, restores, pruning."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from .conftest import Service
from .databases import MariaDB, PostgreSQL
from .test_down import asked as step_back
from .test_migrations import M1, M2, Data, server

pytestmark = pytest.mark.sandbox
__all__ = ["server"]


def test_a_command_runs_in_the_live_release(service: Service) -> None:
    service.deploy({"index.html": "one"})
    service.remote.run("env", service="votes", variables={"GREETING": "it's me"})
    result = service.remote.run(
        "exec",
        service="votes",
        target=service.target,
        command=["sh", "-c", 'cat index.html; echo; echo "@x ${#GREETING} $GREETING" "$1"; exit 3', "x", "a b"],
        secrets=True,
    )
    assert result["exit"] == 3
    # The command has the value; what leaves the host does not.
    assert result["output"] == "one\n@x 7 *** a b"


def test_snapshots_are_made_listed_pinned_restored_and_pruned(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server)
    data.deploy("one", M1)
    made = data.snapshot("make")["made"]
    second = data.deploy("two", M2)
    assert second["schema"] == "migrated"
    data.snapshot("pin", made)
    restored = data.snapshot("restore", made)
    assert restored["made"] not in (None, made)
    assert data.query("SELECT id, what FROM votes") == [(1, "semi;colon -- no comment")]
    assert data.query("SELECT version FROM schema_version") == [("0001_init",)]
    assert not (service.base / "maintenance").exists()
    listed = data.snapshot("list")["snapshots"]
    assert {s["name"] for s in listed} == {made, second["snapshot"], restored["made"]}
    assert [s["pinned"] for s in listed if s["name"] == made] == [True]
    assert {s["name"] for s in listed if s["verified"]} == {made}
    pruned = service.remote.run("prune", service="votes", target=service.target, keep=1, pinned=[], keep_snapshots=1)
    assert pruned["removed_snapshots"] == [second["snapshot"]]
    dump = service.base / "snapshots" / f"{made}.dump"
    dump.chmod(0o600)
    dump.write_bytes(dump.read_bytes()[:-10])
    assert "checksum" in service.remote.refused("snapshot", **data.asked("restore", made))
    assert data.query("SELECT version FROM schema_version") == [("0001_init",)]
    assert "no snapshot nowhere" in service.remote.refused("snapshot", **data.asked("restore", "nowhere"))


def test_a_switch_keeps_ten_snapshots(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb)
    data.deploy("one", M1)
    for n in range(12):
        name = f"2020010{n:02d}T000000Z-r0000000000000000"
        for kind in ("json", "dump", "sha256"):
            (service.base / "snapshots" / f"{name}.{kind}").write_text("{}")
    service.remote.own(service.base / "snapshots")
    newest = data.deploy("two", M2)["snapshot"]
    left = sorted(p.name for p in (service.base / "snapshots").glob("*.json"))
    assert len(left) == 10
    assert left[-1] == f"{newest}.json"
    assert len(list((service.base / "snapshots").iterdir())) == 30


def test_two_snapshots_of_one_second_are_two(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb)
    live = data.deploy("one", M1)["live"]
    there = {f"{datetime.now(UTC) + timedelta(seconds=n):%Y%m%dT%H%M%SZ}-restore-{live}" for n in range(4)}
    made = data.snapshot("make")["made"]
    for name in there:
        (service.base / "snapshots" / f"{name}.json").write_text("{}")
    service.remote.own(service.base / "snapshots")
    restored = data.snapshot("restore", made)["made"]
    assert restored not in there
    assert (service.base / "snapshots" / f"{restored}.dump").is_file()


def test_what_was_just_made_is_kept_though_the_clock_was_put_back(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb)
    data.deploy("one", M1)
    for n in range(12):
        for kind in ("json", "dump", "sha256"):
            (service.base / "snapshots" / f"209901{n + 10}T000000Z-r0000000000000000.{kind}").write_text("{}")
    service.remote.own(service.base / "snapshots")
    by_the_switch = data.deploy("two", M2)["snapshot"]
    assert (service.base / "snapshots" / f"{by_the_switch}.dump").is_file()
    by_hand = data.snapshot("make")["made"]
    assert (service.base / "snapshots" / f"{by_hand}.dump").is_file()


def test_prune_keeps_the_live_one_the_one_before_and_pinned_ones(service: Service) -> None:
    releases = [service.deploy({"index.html": f"v{n}"}, keep=50)["live"] for n in range(6)]
    removed = service.remote.run("prune", service="votes", target=service.target, keep=2, pinned=[releases[0]])["removed"]
    assert set(removed) == set(releases[1:4])
    assert service.live == releases[5]
    service.switch(releases[0])
    # What is live is never removed, however old.
    service.switch(releases[4])
    assert service.remote.run("prune", service="votes", target=service.target, keep=1, pinned=[])["removed"] == [releases[5]]
    assert (service.base / "releases" / releases[0]).is_dir()


def test_a_restore_that_was_cut_keeps_the_site_closed_until_one_is_whole(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = Data(service, server)
    data.deploy("one", M1)
    made = data.snapshot("make")["made"]
    # What a killed restore leaves: the window, the name of the snapshot that it made first, and half a database.
    (service.base / "restoring").write_text(made + "\n")
    (service.base / "maintenance").write_text("snapshot\n")
    service.remote.own(service.base)
    data.query("DROP TABLE votes")
    assert "restore of a snapshot was cut" in data.refused("two", M2)
    assert (service.base / "maintenance").exists()
    assert "half empty" in service.remote.refused("snapshot", **data.asked("make"))
    assert data.snapshot("restore", made)["made"] == made
    assert data.query("SELECT id FROM votes") == [(1,)]
    assert not (service.base / "maintenance").exists()
    assert data.deploy("two", M2)["schema"] == "migrated"


def test_a_restore_whose_site_cannot_be_closed_changes_nothing_unless_the_operator_says_so(
    service: Service, server: MariaDB | PostgreSQL
) -> None:
    data = Data(service, server)
    data.deploy("one", M1)
    made = data.snapshot("make")["made"]
    data.query("INSERT INTO votes VALUES (2, 'later')")
    data.snapshot("window")
    assert not (service.base / "maintenance").exists()
    closing = dict(service.site.services)
    service.site.services.clear()  # as a web server without the 503 rule
    for action in ("window", "restore"):
        sentence = service.remote.refused("snapshot", **data.asked(action, made))
        assert "answers 200 instead of 503" in sentence
        assert "nothing was changed" in sentence
        assert "--site-open" in sentence
        assert not (service.base / "maintenance").exists()
        assert not list(service.base.glob("probe-*"))
    assert data.query("SELECT id FROM votes ORDER BY id") == [(1,), (2,)]
    assert len(list((service.base / "snapshots").glob("*.json"))) == 1
    done = service.remote.run("snapshot", **data.asked("restore", made), site_open=True)
    assert data.query("SELECT id FROM votes") == [(1,)]
    assert any("the site was open meanwhile" in note and "is lost" in note for note in done["notes"])
    # Where it holds, the option closes the site all the same.
    service.site.services.update(closing)
    assert service.remote.run("snapshot", **data.asked("restore", made), site_open=True)["notes"] == []


def test_the_look_at_the_window_leaves_alone_what_another_program_has_closed(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb)
    data.deploy("one", M1)
    marker = service.base / "maintenance"
    marker.touch()
    service.remote.own(service.base)
    data.snapshot("window")
    assert marker.exists()
    marker.unlink()
    # With a journal, a marker says that nobody has written since: a snapshot would go over what others write.
    (service.base / "switching").write_text("j_phase='migrating'\n")
    service.site.services.clear()
    data.snapshot("window")
    assert not marker.exists()


def _fake(service: Service, name: str, size: int) -> None:
    folder = service.base / "snapshots"
    (folder / f"{name}.json").write_text(json.dumps({"name": name}))
    (folder / f"{name}.sha256").write_text("")
    (folder / f"{name}.dump").write_bytes(b"x" * size)
    service.remote.own(folder)


def test_snapshots_beyond_their_total_size_go_but_for_the_newest_and_pinned_ones(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb)
    data.deploy("one", M1)
    service.remote.write(snapshots={"keep": 10, "megabytes": 1})
    (service.base / "snapshots").mkdir(exist_ok=True)
    names = [f"2020010{n}T000000Z-r0000000000000000" for n in range(1, 5)]
    for name in names:
        _fake(service, name, 600_000)
    data.snapshot("pin", names[0])
    made = data.snapshot("make")["made"]
    # The new one and one of 600 kB fit into a megabyte; the pinned one does not count.
    assert {s["name"] for s in data.snapshot("list")["snapshots"]} == {made, names[3], names[0]}
    assert {p.stem for p in (service.base / "snapshots").glob("*.dump")} == {made, names[3], names[0]}
    newest = "29990101T000000Z-r0000000000000000"
    _fake(service, newest, 3_000_000)
    service.remote.run("prune", service="votes", target=service.target, keep=5, pinned=[])
    assert {p.stem for p in (service.base / "snapshots").glob("*.json")} == {newest, names[0]}


def test_a_snapshot_for_which_there_is_no_room_is_refused_before_anything_is_written(service: Service, mariadb: MariaDB) -> None:
    data = Data(service, mariadb)
    data.deploy("one", M1)
    before = data.snapshot("make")["made"]
    # As if the last one had taken ten thousand times what the database holds.
    manifest = service.base / "snapshots" / f"{before}.json"
    text = manifest.read_text()
    held = int(text.partition('"database_bytes":')[2].partition(",")[0])
    manifest.write_text(
        text.replace(f'"bytes":{text.partition(chr(34) + "bytes" + chr(34) + ":")[2].partition(",")[0]}', f'"bytes":{held << 40}')
    )
    sentence = service.remote.refused("snapshot", **data.asked("make"))
    assert "MB are free for a snapshot of a database" in sentence
    assert "nothing was changed" in sentence
    assert [path.name for path in (service.base / "snapshots").glob("*.dump*")] == [f"{before}.dump"]
    assert "MB are free for a snapshot" in data.refused("two", M2)
    assert data.query("SELECT version FROM schema_version") == [("0001_init",)]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"name": 7}', b"null\n\n\t@fail\tx\n", b"\xff\xfe\x00", b"[" * 100_000],
    ids=lambda content: repr(content[:12]),
)
def test_a_damaged_manifest_is_told_and_hides_no_other_snapshot(service: Service, mariadb: MariaDB, content: bytes) -> None:
    data = Data(service, mariadb)
    data.deploy("one", M1)
    made = data.snapshot("make")["made"]
    _fake(service, "20200101T000000Z-r0000000000000000", 10)
    (service.base / "snapshots" / "20200101T000000Z-r0000000000000000.json").write_bytes(content)
    damaged, whole = data.snapshot("list")["snapshots"]
    assert damaged == {"name": "20200101T000000Z-r0000000000000000", "damaged": True, "pinned": False, "verified": None}
    assert (whole["name"], whole["rows"]) == (made, {"schema_version": 1, "votes": 1})
    # Its checksum is not that of its dump: it is no way back.
    assert "checksum" in service.remote.refused("snapshot", **data.asked("restore", damaged["name"]))
    assert data.query("SELECT id FROM votes") == [(1,)]


@pytest.mark.parametrize("text", ["", "closed by Anna: data leak\n"], ids=["touched", "with words"])
def test_a_site_that_a_person_has_closed_is_opened_by_nothing_but_a_person(
    service: Service, server: MariaDB | PostgreSQL, text: str
) -> None:
    data = Data(service, server)
    data.deploy("one", M1)
    made = data.snapshot("make")["made"]
    marker = service.base / "maintenance"
    marker.write_text(text)
    service.remote.own(service.base)
    release = service.stage({"index.html": "two"})
    sentence = service.remote.refused("switch", **service.request(release, **data.fields(sorted(M1))))
    assert f"a person has closed the site ({marker} names no program)" in sentence
    assert "bin/mo maintenance off votes" in sentence
    assert marker.read_text() == text
    assert "a person has closed the site" in service.remote.refused("down", **step_back(data))
    assert marker.read_text() == text
    data.query("DELETE FROM votes")
    assert "so it stays" in data.snapshot("restore", made)["notes"][0]
    assert data.query("SELECT id FROM votes") == [(1,)]
    assert marker.read_text() == text
    marker.unlink()
    assert service.switch(release, **data.fields(sorted(M1)))["live"] == release


def test_a_site_that_a_person_has_closed_after_a_killed_switch_stays_closed(service: Service) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    two = service.stage({"index.html": "two"})
    (service.base / "switching").write_text(
        f"j_phase='begun' j_release='{two}' j_previous='{one}' j_snapshot='' j_offline='' j_kind='link'\n"
    )
    (service.base / "maintenance").touch()
    service.remote.own(service.base)
    assert "a person has closed the site" in service.remote.refused("switch", **service.request(two))
    assert (service.base / "maintenance").exists()


def test_a_site_that_a_person_closes_while_a_switch_is_at_work_stays_closed(service: Service) -> None:
    service.deploy({"index.html": "one"})
    marker = service.base / "maintenance"
    command = ["sh", "-c", f"touch '{marker}'"]
    release = service.stage({"index.html": "two"})
    restart = {"command": command, "budget": 2}
    sentence = service.remote.refused("switch", **service.request(release, restart=restart, runtime="process"))
    assert "503" in sentence
    assert marker.exists()
