"""``stage`` brings exactly the artefact, once, and touches nothing live."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import Remote

pytestmark = pytest.mark.sandbox


def stage(remote: Remote, release: str, service: str = "votes", **more: object) -> dict[str, object]:
    return remote.run(
        "stage",
        service=service,
        release=release,
        **{
            "target": "subdomains/votes/httpdocs",
            "strategy": "symlink",
            "hard_links": True,
            "dependencies": None,
            "keep": 5,
            **more,
        },
    )


def test_stages_files_with_awkward_names_and_right_modes(remote: Remote) -> None:
    files: dict[str, str | bytes] = {
        "index.html": "hello",
        'a dir/it\'s "quoted" $x `y`.txt': "x",
        "ä/ü.txt": "u",
        "-n": "dash",
        "bin/run.sh": "#!/bin/sh\n",
        "empty": "",
    }
    release = remote.artefact("votes", files, executable=("bin/run.sh",))
    result = stage(remote, release)
    assert result["uploaded"] is True
    assert result["files"] == len(files)
    place = remote.root / ".deploy/votes/releases" / release
    found = {str(p.relative_to(place)) for p in place.rglob("*") if p.is_file()}
    assert found == {*files, "release.json"}
    assert oct((place / "index.html").stat().st_mode & 0o7777) == "0o644"
    assert oct((place / "bin/run.sh").stat().st_mode & 0o7777) == "0o755"
    assert all(oct(p.stat().st_mode & 0o7777) == "0o755" for p in place.rglob("*") if p.is_dir())
    assert json.loads((place / "release.json").read_text())["release"] == release
    assert json.loads(Path(f"{place}.json").read_text())["release"] == release
    assert not (remote.root / "subdomains").exists()
    again = stage(remote, release)
    assert again["uploaded"] is False


def test_a_staged_release_that_somebody_has_changed_is_brought_again(remote: Remote) -> None:
    release = remote.artefact("votes", {"index.html": "hello", "b": "b"})
    stage(remote, release)
    place = remote.root / ".deploy/votes/releases" / release
    with (place / "index.html").open("a") as file:
        file.write("<!-- changed -->")
    (place / "b").unlink()
    assert stage(remote, release)["uploaded"] is True
    assert ((place / "index.html").read_text(), (place / "b").read_text()) == ("hello", "b")
    assert stage(remote, release)["uploaded"] is False
    # What has been live may have been written into by its service: that is told by the switch, and not thrown away here.
    (remote.root / ".deploy/votes/history").write_text(f"{release} 2026-11-21T09:30:00Z\n")
    (place / "b").write_text("written by the service")
    assert stage(remote, release)["uploaded"] is False
    assert (place / "b").read_text() == "written by the service"


def test_refuses_an_empty_artefact(remote: Remote) -> None:
    release = remote.artefact("votes", {})
    assert "is empty" in remote.refused("stage", service="votes", release=release, target="a/b")


def test_refuses_a_tree_that_differs_from_its_manifest(remote: Remote) -> None:
    release = remote.artefact("votes", {"index.html": "hello"})
    (remote.dist / "votes/tree/index.html").write_text("hallo")
    sentence = remote.refused("stage", service="votes", release=release, target="a/b")
    assert "index.html" in sentence
    assert "digest" in sentence
    assert not (remote.root / f".deploy/votes/releases/{release}.json").exists()


def test_a_release_without_its_mark_is_finished_by_the_next_run(remote: Remote) -> None:
    release = remote.artefact("votes", {"index.html": "hello", "b": "b"})
    stage(remote, release)
    place = remote.root / ".deploy/votes/releases" / release
    Path(f"{place}.json").unlink()
    (place / "b").unlink()
    (remote.root / ".deploy/votes/incoming/r0000000000000000").mkdir()
    remote.own(remote.root)
    assert stage(remote, release)["uploaded"] is True
    assert (place / "b").read_text() == "b"
    assert os.listdir(remote.root / ".deploy/votes/incoming") == []
