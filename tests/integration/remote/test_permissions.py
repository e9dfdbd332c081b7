"""``permissions`` names wrong modes, mends them only where asked, and leaves alone what belongs to the running site."""

from __future__ import annotations

import os

import pytest

from .conftest import Service

pytestmark = pytest.mark.sandbox


def asked(service: Service, fix: bool) -> dict[str, object]:
    entry = {"service": service.key, "target": service.target, "persistent": ["uploads", "in place"]}
    return {"services": [entry], "fix": fix}


def test_wrong_modes_are_named_and_mended_where_asked_alone(service: Service) -> None:
    service.deploy({"index.html": "one", "bin/tool": "x", "in place/own.txt": "theirs"})
    service.remote.run("env", service=service.key, variables={"A": "1"})
    live = (service.remote.root / service.target).resolve()
    good = service.remote.run("permissions", **asked(service, False))
    assert (good["wrong"], good["count"]) == ([], 0)
    assert abs(good["skew"]) <= 5
    (live / "index.html").chmod(0o666)
    (live / "bin").chmod(0o777)
    (live / "bin/tool").chmod(0o775)
    (live / "in place/own.txt").chmod(0o600)
    (service.base / "secrets.env").chmod(0o644)
    (service.base / "log").chmod(0o755)
    (service.base / "log/x.log").touch(0o644)
    os.chown(service.base / "log/x.log", service.base.stat().st_uid, service.base.stat().st_gid)
    expected = {
        (f"{service.target}/index.html", "644"),
        (f"{service.target}/bin", "755"),
        (f"{service.target}/bin/tool", "755"),
        (".deploy/votes/secrets.env", "600"),
        (".deploy/votes/log", "700"),
        (".deploy/votes/log/x.log", "600"),
    }
    for fix in (False, True):
        told = service.remote.run("permissions", **asked(service, fix))
        assert {(one["path"], one["mode"]) for one in told["wrong"]} == expected
    assert service.remote.run("permissions", **asked(service, False))["wrong"] == []
    assert (live / "index.html").stat().st_mode & 0o777 == 0o644
    assert (live / "in place/own.txt").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("strategy", ["symlink", "in-place"])
def test_unusual_modes_in_persistent_paths_are_told_and_closed_where_asked_alone_and_nothing_is_opened(
    service: Service, strategy: str
) -> None:
    service.extra |= {"strategy": strategy, "persistent": ["uploads", "in place"]}
    service.deploy({"index.html": "one", "uploads/old": "x", "in place/settings.php": "secret"})
    place = service.base / "shared" if strategy == "symlink" else service.path
    (place / "uploads/old").chmod(0o664)
    (place / "uploads").chmod(0o777)
    (place / "in place/settings.php").chmod(0o600)
    at = place.relative_to(service.remote.root)
    opened = {"service": "votes", "what": "open", "count": 2, "paths": [f"{at}/uploads", f"{at}/uploads/old"]}
    closed = {"service": "votes", "what": "closed", "count": 1, "paths": [f"{at}/in place/settings.php"]}
    for fix in (False, True):
        told = service.remote.run("permissions", **asked(service, fix))
        own = [{**one, "paths": sorted(one["paths"])} for one in told["own"]]
        assert (told["wrong"], own) == ([], [opened, closed])
    service.remote.run("permissions", **asked(service, True), fix_own=True)
    assert [one["what"] for one in service.remote.run("permissions", **asked(service, False))["own"]] == ["closed"]
    modes = {name: (place / name).stat().st_mode & 0o777 for name in ("uploads/old", "uploads", "in place/settings.php")}
    assert modes == {"uploads/old": 0o644, "uploads": 0o755, "in place/settings.php": 0o600}


def test_an_empty_host_has_nothing_wrong_and_stays_empty(service: Service) -> None:
    assert service.remote.run("permissions", **asked(service, True))["wrong"] == []
    assert not (service.remote.root / ".deploy").exists()


def test_a_name_with_a_line_break_names_no_other_file(service: Service) -> None:
    service.deploy({"index.html": "one"})
    live = (service.remote.root / service.target).resolve()
    innocent = service.remote.root / "innocent"
    innocent.touch(0o600)
    folder = live / f"x\n{service.remote.root}"
    folder.mkdir(parents=True)
    (folder / "innocent").touch()
    (folder / "innocent").chmod(0o666)
    service.remote.run("permissions", **asked(service, True))
    assert innocent.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("strategy", ["symlink", "in-place"])
def test_changed_files_of_a_live_release_are_put_back_and_the_site_s_own_stay(service: Service, strategy: str) -> None:
    service.extra["strategy"] = strategy
    first = service.stage({"index.html": "one", "a/b.txt": "b"})
    service.switch(first, persistent=["uploads"])
    live = (service.remote.root / service.target).resolve()
    (live / "uploads").joinpath("mine.txt").write_text("mine")
    (live / "index.html").write_text("defaced")
    (live / "a/b.txt").unlink()
    (live / "shell.php").write_text("<?php")
    asked = {"service": service.key, "release": first, "target": service.target, "persistent": ["uploads"]}
    (note,) = service.remote.run("mend", **asked)["notes"]
    assert note.startswith("2 file(s) of no release are served no more and are kept in ")
    assert {path.name: path.read_text() for path in (service.base / "replaced").glob("*/*")} == {
        "index.html": "defaced", "shell.php": "<?php",
    }  # fmt: skip
    assert (live / "index.html").read_text() == "one"
    assert (live / "a/b.txt").read_text() == "b"
    assert not (live / "shell.php").exists()
    assert (live / "uploads/mine.txt").read_text() == "mine"
    told = service.remote.run("files", services=[{**asked}])["services"][service.key]
    assert (told["count"], told["live"]) == (0, first)
    assert "is live and not" in service.remote.refused("mend", **{**asked, "release": service.remote.artefact("votes", {"x": "y"})})
