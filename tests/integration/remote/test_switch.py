"""``switch`` makes a release live by one rename, and a bad one never serves anybody."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from .conftest import Remote, Service
from .site import Poller, Site

pytestmark = pytest.mark.sandbox


def test_first_second_and_back_again(service: Service) -> None:
    first = service.deploy({"index.html": "one", "same": "same"})
    assert first["previous"] is None
    assert first["live"] == service.live
    assert os.readlink(service.path).startswith("../../.deploy/votes/releases/")
    one = first["live"]
    with Poller(service.site, service.domain) as poller:
        second = service.deploy({"index.html": "two", "same": "same"})
        assert second["previous"] == one
        assert second["gap_ms"] == 0
        assert [step["name"] for step in second["steps"]] == ["facts", "prepare", "candidate", "rename", "probe", "prune"]
        same = service.switch(second["live"])
        assert same["changed"] is False
        assert same["at"] == second["at"]
        assert same["previous"] == one
        back = service.switch(one)
        assert back["previous"] == second["live"]
    assert poller.failed == []
    assert poller.bodies == {b"one", b"two"}
    releases = service.base / "releases"
    assert (releases / one / "same").stat().st_ino == (releases / second["live"] / "same").stat().st_ino
    assert (releases / one / "index.html").stat().st_ino != (releases / second["live"] / "index.html").stat().st_ino


def test_twenty_two_services_at_once_take_one_login_and_none_is_refused(remote: Remote, site: Site) -> None:
    services = [Service(remote, site, f"s{n}") for n in range(22)]
    releases = [remote.artefact(service.key, {"index.html": service.key}) for service in services]
    before, log = remote.sshd.logins, len(remote.sshd.log.read_text())
    for step in ("stage", "switch"):
        children = []
        for service, release in zip(services, releases, strict=True):
            fields = (
                service.request(release)
                if step == "switch"
                else {"service": service.key, "release": release, "target": service.target}
            )
            children.append(remote.popen(step, **fields))
        # The heartbeat of the stack's lock has a channel of its own, besides the eight.
        beats = [remote.run("lock", action="show") for _ in range(5)]
        assert [beat["holder"] for beat in beats] == [None] * 5
        for child in children:
            _, err = child.communicate(timeout=300)
            assert child.returncode == 0, err
    assert [service.live for service in services] == releases
    assert remote.sshd.logins - before == 1
    said = remote.sshd.log.read_text()[log:]
    assert not [line for line in said.splitlines() if "refused" in line or "drop connection" in line or "no more sessions" in line]


def test_the_lock_s_heartbeat_waits_for_no_step_that_holds_the_channels(remote: Remote) -> None:
    asked = {"id": "a" * 16, "ttl": 180, "owner": {}}
    assert remote.run("lock", action="take", **asked)["done"]
    (master,) = remote.control.glob("*.s")
    with contextlib.ExitStack() as held:
        for n in range(8):
            slot = held.enter_context(open(f"{str(master).removesuffix('.s')}.{n}", "ab"))
            fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
        waits = remote.popen("exec", service="votes", target="votes", command=["true"])
        assert remote.run("lock", action="renew", **asked)["done"]
        with pytest.raises(subprocess.TimeoutExpired):
            waits.communicate(timeout=2)
    waits.communicate(timeout=60)


def test_a_bad_release_serves_nobody_where_php_remembers_where_a_link_led(service: Service) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    bad = service.stage({"index.html": "!500"})
    service.site.remembers_links = True
    with Poller(service.site, service.domain) as poller:
        assert "before it went live" in service.remote.refused("switch", **service.request(bad))
    assert service.live == one
    assert poller.failed == []
    assert not [name for name in os.listdir(service.path) if name.startswith("mo-probe")]


@pytest.mark.parametrize("page", ["!500", "!404", "!hang"])
def test_a_bad_release_serves_nobody_and_the_old_one_stays(service: Service, page: str) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    bad = service.stage({"index.html": page})
    with Poller(service.site, service.domain) as poller:
        sentence = service.remote.refused("switch", **service.request(bad))
    assert f"{one} stays live" in sentence
    assert "before it went live" in sentence
    assert service.live == one
    assert poller.failed == []
    assert poller.bodies == {b"one"}
    usual = {"history", "incoming", "live", "lock", "log", "releases", "shared", "snapshots", "stage.lock", "target", "tmp"}
    assert {name.removesuffix(".d").removesuffix(".by") for name in os.listdir(service.base)} <= usual
    assert not [name for name in os.listdir(service.path) if name.startswith("mo-probe")]


def test_a_release_that_only_fails_when_live_is_put_back(service: Service) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    bad = service.stage({"index.html": "two"})
    probe = service.request(bad)["probe"] | {"contains": "one", "timeout": 1}
    service.site.redirects["/mo-none"] = "/"
    sentence = service.remote.refused("switch", **service.request(bad, probe=probe, runtime="process"))
    assert "without the expected text" in sentence
    assert service.live == one


def test_found_content_is_adopted_with_its_uploads(service: Service) -> None:
    (service.path / "uploads/a b").mkdir(parents=True)
    (service.path / "uploads/a b/it's.txt").write_text("kept")
    (service.path / "index.html").write_text("old")
    service.remote.own(service.remote.root)
    service.extra["persistent"] = ["uploads", "sites/default/files"]
    result = service.deploy({"index.html": "new"})
    assert result["previous"] == "adopted"
    assert result["gap_ms"] < 1000
    assert (service.path / "uploads/a b/it's.txt").read_text() == "kept"
    assert (service.path / "sites/default/files").is_dir()
    back = service.switch("adopted")
    assert back["previous"] == result["live"]
    assert (service.path / "index.html").read_text() == "old"
    assert (service.path / "uploads/a b/it's.txt").read_text() == "kept"
    for n in range(10):
        service.deploy({"index.html": f"v{n}"}, keep=2)
        assert (service.path / "uploads/a b/it's.txt").read_text() == "kept"
    assert len([p for p in (service.base / "releases").iterdir() if p.is_dir()]) <= 3


def test_files_that_would_disappear_stop_the_switch_and_are_named(service: Service) -> None:
    service.path.mkdir(parents=True)
    (service.path / "index.html").write_text("old")
    (service.path / "important letter.pdf").write_text("x")
    service.remote.own(service.remote.root)
    release = service.stage({"index.html": "new"})
    sentence = service.remote.refused("switch", **service.request(release))
    assert "important letter.pdf" in sentence
    assert not service.path.is_symlink()
    assert service.switch(release, adopt="replace")["previous"] == "adopted"


def test_a_first_release_that_fails_leaves_the_found_content(service: Service) -> None:
    service.path.mkdir(parents=True)
    (service.path / "index.html").write_text("old")
    service.remote.own(service.remote.root)
    release = service.stage({"index.html": "!500"})
    with Poller(service.site, service.domain) as poller:
        sentence = service.remote.refused("switch", **service.request(release))
    assert f"what was found at {service.path} stays live" in sentence
    assert poller.failed == []
    assert (service.path / "index.html").read_text() == "old"


def test_in_place_switches_and_puts_back(service: Service) -> None:
    service.extra |= {"strategy": "in-place", "persistent": ["uploads"]}
    (service.path / "uploads").mkdir(parents=True)
    (service.path / "uploads/u").write_text("u")
    (service.path / "index.html").write_text("old")
    service.remote.own(service.remote.root)
    one = service.deploy({"index.html": "one", "gone": "x"})
    assert one["previous"] == "adopted"
    two = service.deploy({"index.html": "two"})
    assert two["previous"] == one["live"]
    assert sorted(p.name for p in service.path.iterdir()) == ["index.html", "release.json", "uploads"]
    bad = service.stage({"index.html": "!500"})
    assert "stays live" in service.remote.refused("switch", **service.request(bad))
    assert (service.path / "index.html").read_text() == "two"
    assert (service.path / "uploads/u").read_text() == "u"


def _kept(service: Service) -> dict[str, str]:
    """What is kept of files that no release holds, by their path at the site."""
    found = [
        (file, file.relative_to(service.base / "replaced")) for file in (service.base / "replaced").rglob("*") if file.is_file()
    ]
    return {str(Path(*path.parts[1:])): file.read_text() for file, path in found}


def test_in_place_files_of_the_site_at_undeclared_paths_are_kept_and_told(
    service: Service,
) -> None:
    service.extra |= {"strategy": "in-place", "persistent": ["uploads"], "keep": 2}
    one = service.deploy({"index.html": "one", "app.py": "x", "config.php": "default"})["live"]
    (service.path / "uploads/photo.jpg").write_text("photo")
    (service.path / "generated").mkdir()
    (service.path / "generated/invoice 17.pdf").write_text("invoice")
    (service.path / "config.php").write_text("of the site")
    (service.path / "__pycache__").mkdir()
    (service.path / "__pycache__/app.cpython-313.pyc").write_text("compiled")
    service.remote.own(service.path)
    bad = service.stage({"index.html": "!500"})
    before = {str(path): path.read_text() for path in service.path.rglob("*") if path.is_file()}
    assert "stays live" in service.remote.refused("switch", **service.request(bad))
    assert {str(path): path.read_text() for path in service.path.rglob("*") if path.is_file()} == before
    assert not (service.base / "replaced").exists()
    two = service.deploy({"index.html": "two", "config.php": "default"})
    (note,) = two["notes"]
    assert note.startswith("2 file(s) of no release are served no more and are kept in ")
    assert "config.php, generated/invoice 17.pdf" in note
    assert _kept(service) == {"config.php": "of the site", "generated/invoice 17.pdf": "invoice"}
    assert (service.base / "replaced").stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in service.path.iterdir()) == ["config.php", "index.html", "release.json", "uploads"]
    # A checkout whose catalogue does not name the uploads.
    three = service.deploy({"index.html": "three", "config.php": "default"}, persistent=[])
    assert "uploads/photo.jpg" in three["notes"][0]
    assert _kept(service)["uploads/photo.jpg"] == "photo"
    assert not (service.base / "releases" / one).exists()
    assert "generated/invoice 17.pdf" not in _kept(service), "it went with the release that it lay beside"
    assert service.deploy({"index.html": "four"}, persistent=[])["notes"] == []


def test_in_place_a_first_release_that_fails_is_served_to_nobody_and_what_the_site_wrote_meanwhile_is_kept(
    service: Service,
) -> None:
    service.extra |= {"strategy": "in-place", "persistent": ["uploads"]}
    for page in ("!500", "!404"):
        bad = service.stage({"index.html": page, "data/x": "x", "uploads/.keep": ""})
        sentence = service.remote.refused("switch", **service.request(bad))
        assert sentence.endswith("; nothing is live")
        assert not service.path.exists()
        assert {"live", "switching", "replaced"} & set(os.listdir(service.base)) == set()
    asked = {"services": [{"service": "votes", "target": service.target, "release": None, "database": None, "migrate": None}]}
    assert service.remote.run("facts", **asked)["services"]["votes"]["live"] is None
    restart = {"command": ["sh", "-c", f"echo mine > '{service.path}/uploads/u'; exit 1"], "budget": 1}
    sentence = service.remote.refused("switch", **service.request(bad, runtime="process", restart=restart))
    assert "1 file(s) of no release are served no more and are kept in " in sentence
    assert _kept(service) == {"uploads/u": "mine\n"}
    good = service.deploy({"index.html": "one"})
    assert (good["previous"], good["notes"]) == (None, [])


def test_from_in_place_to_links_and_where_that_fails_back_the_uploads_stay(service: Service) -> None:
    service.extra |= {"strategy": "in-place", "persistent": ["uploads"]}
    one = service.deploy({"index.html": "one"})["live"]
    (service.path / "uploads/u").write_text("kept")
    service.extra["strategy"] = "symlink"
    two = service.stage({"index.html": "two"})
    service.remote.refused(
        "switch", **service.request(two, runtime="process", restart={"command": ["no-such-program"], "budget": 1})
    )
    assert (service.path / "index.html").read_text() == "one"
    assert (service.path / "uploads/u").read_text() == "kept"
    assert service.switch(two)["previous"] == one
    assert (service.path / "index.html").read_text() == "two"
    assert (service.path / "uploads/u").read_text() == "kept"


def test_what_the_site_wrote_where_a_path_becomes_persistent_stays_and_is_never_deleted(service: Service) -> None:
    one = service.deploy({"index.html": "one", "uploads/seed": "s"})["live"]
    (service.path / "uploads/u").write_text("written")
    service.extra["persistent"] = ["uploads"]
    service.deploy({"index.html": "two", "uploads/seed": "s"})
    assert (service.path / "uploads/u").read_text() == "written"
    (service.base / "releases" / one / "uploads/late").write_text("late")
    service.switch(one)
    assert (service.path / "uploads/u").read_text() == "written"
    assert (service.base / f"shared/uploads.of-{one}/late").read_text() == "late"


@pytest.mark.parametrize("persistent", ["uploads", "a [b] 'c'/uploads", "state.txt"])
def test_what_is_written_during_the_deploy_in_which_a_path_becomes_persistent_comes_along(
    service: Service, persistent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = persistent.endswith("uploads")
    name = f"{persistent}/old" if folder else persistent
    one = service.deploy({"index.html": "one", name: "seed", **({f"{persistent}/.keep": "one"} if folder else {})})["live"]
    former = service.base / "releases" / one
    (former / name).write_text("before")
    answer, asked = service.site.answer, 0

    def busy(request: BaseHTTPRequestHandler) -> None:
        """Each time that the site is asked, somebody has just uploaded something, and written the same file anew."""
        nonlocal asked
        asked += 1
        if service.live == one or asked % 2:  # requests that were under way at the rename end later
            if folder:
                (former / persistent / f"new {asked}").write_text("uploaded")
            (former / name).write_text(f"written {asked}")
            os.utime(former / name, (time.time() + asked, time.time() + asked))
        answer(request)

    monkeypatch.setattr(service.site, "answer", busy)
    kept = {f"{persistent}/.keep": "two"} if folder else {}
    result = service.deploy({"index.html": "two", **kept}, persistent=[persistent])
    assert (result["notes"], asked > 2) == ([], True)
    assert (service.path / name).read_text() == (former / name).read_text()
    if folder:
        there = {path.name for path in (service.path / persistent).iterdir()}
        assert there == {path.name for path in (former / persistent).iterdir()}
    (service.path / name).write_text("of the new one")
    service.deploy({"index.html": "three"}, persistent=[persistent])
    assert (service.path / name).read_text() == "of the new one"


def test_where_a_path_becomes_persistent_and_nobody_wrote_there_the_new_release_s_files_are_the_seed(service: Service) -> None:
    service.deploy({"index.html": "one", "settings/a.ini": "1", "settings/b.ini": "1"})
    service.extra["persistent"] = ["settings"]
    service.deploy({"index.html": "two", "settings/a.ini": "2"})
    assert (service.path / "settings/a.ini").read_text() == "2"
    assert not (service.path / "settings/b.ini").exists()


def test_found_files_at_a_path_that_becomes_persistent_later_are_never_deleted(service: Service) -> None:
    (service.path / "media").mkdir(parents=True)
    (service.path / "media/found").write_text("found")
    (service.path / "index.html").write_text("old")
    service.remote.own(service.remote.root)
    service.deploy({"index.html": "one"}, adopt="replace")
    service.extra["persistent"] = ["media"]
    service.deploy({"index.html": "two"})
    (service.path / "media/new").write_text("new")
    assert service.switch("adopted")["live"] == "adopted"
    assert (service.path / "media/new").read_text() == "new"
    assert (service.base / "shared/media.of-adopted/found").read_text() == "found"


@pytest.mark.parametrize("kind", ["itself", "above"])
def test_a_found_link_at_a_persistent_path_is_refused_before_anything_changes(service: Service, kind: str) -> None:
    elsewhere = service.remote.root / "elsewhere"
    (elsewhere / "uploads").mkdir(parents=True)
    (elsewhere / "uploads/u").write_text("kept")
    service.path.mkdir(parents=True)
    (service.path / "files").symlink_to(elsewhere / "uploads" if kind == "itself" else elsewhere)
    service.remote.own(service.remote.root)
    service.extra["persistent"] = ["files" if kind == "itself" else "files/uploads"]
    release = service.stage({"index.html": "one"})
    for _ in range(2):
        sentence = service.remote.refused("switch", **service.request(release, adopt="replace"))
        assert f"{service.path}/files is a link" in sentence
        assert (elsewhere / "uploads/u").read_text() == "kept"
        assert not service.path.is_symlink()


@pytest.mark.parametrize("was", ["a file", "a link"])
def test_in_place_a_persistent_path_takes_the_place_of_what_a_release_had_above_it(service: Service, was: str) -> None:
    service.extra |= {"strategy": "in-place", "persistent": []}
    service.deploy({"index.html": "one", "data": "x", "assets/x": "x"})
    if was == "a link":
        (service.path / "data").unlink()
        (service.path / "data").symlink_to("assets")
    service.extra["persistent"] = ["data/uploads"]
    service.deploy({"index.html": "two", "data/uploads/seed": "s", "data/y": "y", "assets/x": "x"})
    assert (service.path / "data/uploads/seed").read_text() == "s"
    assert not (service.path / "assets/uploads").exists()


def test_a_way_back_tells_of_changed_files_but_not_of_what_the_site_wrote_where_it_may(service: Service) -> None:
    service.extra["persistent"] = ["state"]
    one = service.deploy({"index.html": "one", "state/page.html": "seed", "a b.txt": "x"})["live"]
    (service.path / "state/page.html").write_text("written since")
    service.deploy({"index.html": "two", "state/page.html": "seed"})
    assert service.switch(one)["notes"] == []
    two = service.deploy({"index.html": "three"})["live"]
    (service.base / "releases" / one / "a b.txt").write_text("changed")
    (note,) = service.switch(one)["notes"]
    assert note == f"files of {one} were changed on the host since it was staged: ./a b.txt "
    assert service.switch(two)["notes"] == []


@pytest.mark.parametrize("strategy", ["symlink", "in-place"])
def test_a_missing_persistent_path_is_made_and_takes_what_the_release_brings(service: Service, strategy: str) -> None:
    service.extra |= {"strategy": strategy, "persistent": ["uploads", "var/with files"]}
    service.deploy({"index.html": "one", "var/with files/.htaccess": "deny"})
    assert (service.path / "var/with files/.htaccess").read_text() == "deny"
    (service.path / "uploads/u").write_text("kept")
    (service.path / "var/with files/.htaccess").write_text("mine")
    service.deploy({"index.html": "two", "var/with files/.htaccess": "deny"})
    assert (service.path / "uploads/u").read_text() == "kept"
    assert (service.path / "var/with files/.htaccess").read_text() == "mine"


def test_a_release_behind_somebody_else_s_daemon_goes_live_and_files_alone_are_named(service: Service) -> None:
    daemon = {"path": "/api/health", "contains": '"database"'}
    probe = service.request("r0123456789abcdef")["probe"] | {"daemon": daemon, "timeout": 2}
    one = service.deploy({"index.html": "one"}, runtime="external", probe=probe)
    assert one["files_only"]
    # The domain leads to the daemon from now on, which sends every other path to its login.
    behind = service.remote.folder / "daemon"
    (behind / "api").mkdir(parents=True)
    (behind / "api/health").write_text('{"database": "ok"}')
    (behind / "login").write_text("<html>")
    service.site.directories[service.domain] = behind
    service.site.redirects |= dict.fromkeys(("/", "/release.json"), "/login")
    two = service.deploy({"index.html": "two"}, runtime="external", probe=probe)
    assert (two["files_only"], service.live) == (False, two["live"])
    asked = service.remote.run("health", service="votes", release=two["live"], probe=probe)
    assert (asked["status"], asked["files_only"]) == (200, False)
    (behind / "api/health").write_text("!503")
    three = service.stage({"index.html": "three"})
    sentence = service.remote.refused("switch", **service.request(three, runtime="external", probe=probe))
    assert "/api/health answers 503" in sentence
    assert service.live == two["live"]


def test_restarts_with_the_program_and_says_where_an_external_daemon_cannot_be(service: Service) -> None:
    marker = service.remote.folder / "restarted"
    marker.touch()
    marker.chmod(0o666)
    one = service.deploy(
        {"index.html": "one"}, runtime="process", restart={"command": ["sh", "-c", f"echo x >> '{marker}'"], "budget": 2}
    )
    assert marker.read_text() == "x\n"
    two = service.stage({"index.html": "two"})
    sentence = service.remote.refused(
        "switch", **service.request(two, runtime="process", restart={"command": ["no-such-program"], "budget": 1})
    )
    assert "no-such-program" in sentence
    assert service.live == one["live"]
    missing = {"command": ["no-such-program"], "otherwise": [["nor-this-one", "x"]], "budget": 1}
    sentence = service.remote.refused("switch", **service.request(two, runtime="process", restart=missing))
    assert "the host has no program no-such-program, nor-this-one; expected one for the restart" in sentence
    assert marker.read_text() == "x\n"
    result = service.switch(two, runtime="external", restart={"command": ["no-such-program", "x"], "budget": 1})
    assert "the daemon was not restarted: the host has no program no-such-program" in result["notes"][0]


def test_the_first_restart_whose_program_the_host_has_is_run(service: Service) -> None:
    marker = service.remote.folder / "restarted"
    marker.touch()
    marker.chmod(0o666)
    others = [["nor-this-one"], ["sh", "-c", f"echo 'with blanks' >> '{marker}'"], ["sh", "-c", "exit 1"]]
    service.deploy({"index.html": "one"}, runtime="process", restart={"command": ["no-such"], "otherwise": others, "budget": 2})
    assert marker.read_text() == "with blanks\n"


def test_a_program_that_the_service_needs_and_the_host_lacks_is_named_before_anything_is_changed(service: Service) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    two = service.stage({"index.html": "two"})
    sentence = service.remote.refused("switch", **service.request(two, programs=[["sh"], ["no-such-program", "nor-this-one"]]))
    assert "the host has no program no-such-program or nor-this-one, which the service needs; nothing was changed" in sentence
    assert service.live == one
    assert not (service.base / "switching").exists()
    assert service.switch(two, programs=[["sh"], ["no-such-program", "ls"]])["live"] == two


def test_health_asks_from_outside_and_refuses_what_must_stay_hidden(service: Service) -> None:
    release = service.deploy({"index.html": "one"})["live"]
    probe = service.request(release)["probe"]
    assert service.remote.run("health", service="votes", release=release, probe=probe)["status"] == 200
    assert "instead of r0000000000000000" in service.remote.refused(
        "health", service="votes", release="r0000000000000000", probe=probe
    )
    service.site.redirects["/r"] = "https://elsewhere.example/"
    assert "elsewhere.example" in service.remote.refused(
        "health", service="votes", release=release, probe=probe | {"path": "/r", "timeout": 1}
    )
    service.site.redirects["/r"] = "/"
    service.remote.run("health", service="votes", release=release, probe=probe | {"path": "/r"})
    service.site.obeys = False
    (service.base / "releases" / release / ".env").write_text("DB_PASS='x'\n")
    sentence = service.remote.refused("health", service="votes", release=release, probe=probe)
    assert "/.env is served" in sentence
    # Several in one process: each its own answer, whatever becomes of the others.
    several = [
        {"service": "votes", "release": release, "probe": probe},
        {"service": "docs", "release": None, "probe": probe | {"path": "/nothing-here", "timeout": 1}},
        {"service": "main", "release": None, "probe": probe | {"domain": "127.0.0.1:1", "timeout": 1}},
    ]
    told = service.remote.run("health", services=several)["services"]
    assert "/.env is served" in told["votes"]["problem"]
    assert "docs: " in told["docs"]["problem"]
    (service.base / "releases" / release / ".env").unlink()
    told = service.remote.run("health", services=several)["services"]
    assert (told["votes"]["status"], told["votes"]["release"], "problem" in told["docs"]) == (200, release, True)
    told = service.remote.run("health", services=[{"service": "docs"}, several[0]])["services"]
    assert told["docs"]["problem"] == "docs: it could not be asked (KeyError; docs/host-protocol.md)."
    assert told["votes"]["status"] == 200
    assert "health" in service.remote.refused("health", services=[7])
    # What a site says drives no terminal.
    (service.base / "releases" / release / "release.json").write_text('{"release": "\\u001b]0;x\\u0007\\n2"}')
    told = service.remote.run("health", services=[several[0] | {"probe": probe | {"timeout": 1}}])["services"]
    assert told["votes"]["problem"].isprintable()
    assert "]0;x" in told["votes"]["problem"]


def test_a_way_back_to_a_release_that_was_written_into_says_so(service: Service) -> None:
    one = service.deploy({"index.html": "one", "data.json": "{}"})["live"]
    service.deploy({"index.html": "two"})
    (service.base / "releases" / one / "data.json").write_text("changed")
    back = service.switch(one)
    assert back["live"] == one
    assert "data.json" in back["notes"][0]


def test_a_process_is_restarted_where_its_secrets_have_changed(service: Service) -> None:
    marker = service.remote.folder / "restarted"
    marker.touch()
    marker.chmod(0o666)
    more = {"runtime": "process", "restart": {"command": ["sh", "-c", f"echo x >> '{marker}'"], "budget": 2}}
    service.remote.run("env", service="votes", variables={"A": "1"})
    release = service.deploy({"index.html": "one"}, **more)["live"]
    service.switch(release, **more)
    assert marker.read_text() == "x\n"
    service.remote.run("env", service="votes", variables={"A": "2"})
    service.switch(release, **more)
    assert marker.read_text() == "x\nx\n"


def test_a_server_that_serves_the_secrets_by_a_path_that_leads_up_stops_the_switch(service: Service) -> None:
    service.remote.run("env", service="votes", variables={"KEY": "kanarie"})
    release = service.stage({"index.html": "one"})
    service.site.walks_up = True
    sentence = service.remote.refused("switch", **service.request(release))
    assert "/../../secrets.env is served to everybody" in sentence
    assert "kanarie" not in sentence
    assert service.live is None


def test_a_persistent_path_below_a_link_of_the_release_removes_nothing_that_is_shared(service: Service) -> None:
    one = service.deploy({"index.html": "one", "files/a/seed": "s"}, persistent=["files"])["live"]
    (service.path / "files" / "a" / "upload").write_text("mine")
    service.deploy({"index.html": "two"}, persistent=["files/a"])
    # The way back to a release whose whole folder was linked, with the catalogue of today.
    service.switch(one, persistent=["files/a"])
    assert (service.base / "shared" / "files" / "a" / "upload").read_text() == "mine"
    assert (service.path / "files" / "a" / "upload").read_text() == "mine"


def test_in_place_never_writes_into_a_release_through_its_link(service: Service) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    two = service.stage({"index.html": "two"})
    sentence = service.remote.refused("switch", **service.request(two, strategy="in-place"))
    assert "in-place would write into that release" in sentence
    assert (service.base / "releases" / str(one) / "index.html").read_text() == "one"
