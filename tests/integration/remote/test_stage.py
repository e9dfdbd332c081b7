"""``stage`` brings exactly the artefact, once, and touches nothing live."""

from __future__ import annotations

import base64
import hashlib
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


def other_machine(remote: Remote, place: Path) -> None:
    """Another clone: its own folder of artefacts, with nothing in it."""
    place.mkdir()
    remote.dist = place


def test_a_release_that_lies_finished_on_the_host_needs_no_artefact(remote: Remote, tmp_path: Path) -> None:
    release = remote.artefact("votes", {"index.html": "hello", "ä b.txt": "umlaut"})
    stage(remote, release)
    other_machine(remote, tmp_path / "dist")
    result = stage(remote, release)
    assert (result["uploaded"], result["sent"], result["files"], result["bytes"]) == (False, 0, 2, 11)
    # Nor does one whose artefact is damaged here.
    folder = remote.dist / "votes"
    folder.mkdir(parents=True)
    for text in ("", "{", json.dumps({"release": release}), "[]"):
        (folder / "manifest.json").write_text(text)
        assert stage(remote, release)["uploaded"] is False
    again = remote.artefact("docs", {"index.html": "hello"})
    (remote.dist / "docs/tree/index.html").unlink()
    assert "is in the manifest but not in" in remote.refused("stage", service="docs", release=again, target="a/b")


def test_a_release_that_nobody_has_is_named_with_the_ways_out(remote: Remote) -> None:
    sentence = remote.refused("stage", service="votes", release="r0123456789abcdef", target="a/b")
    assert "neither on test-host (finished) nor in dist/" in sentence
    assert "bin/mo build votes" in sentence
    assert not (remote.root / ".deploy/votes").exists()


@pytest.mark.parametrize("what", ["file", "manifest", "sums", "both"])
def test_a_release_that_was_changed_on_the_host_is_not_taken_from_there(remote: Remote, tmp_path: Path, what: str) -> None:
    release = remote.artefact("votes", {"index.html": "hello"})
    stage(remote, release)
    releases = remote.root / ".deploy/votes/releases"
    evil = hashlib.sha256(b"evil!").hexdigest()
    manifest, sums = releases / f"{release}.json", releases / f"{release}.sums"
    good = hashlib.sha256(b"hello").hexdigest()
    if what in ("manifest", "both"):
        manifest.write_text(manifest.read_text().replace(good, evil))
    if what in ("sums", "both"):
        sums.write_text(sums.read_text().replace(good, evil))
    if what != "manifest":
        (releases / release / "index.html").write_text("evil!")
    other_machine(remote, tmp_path / "dist")
    sentence = remote.refused("stage", service="votes", release=release, target="subdomains/votes/httpdocs")
    assert release in sentence
    assert "build its commit again" in sentence


@pytest.mark.parametrize("text", ["", "{}", "null", "[" * 100_000, '{"release": 1, "files": [{"path": "x"}]}', "\x00\xff"])
def test_a_manifest_on_the_host_that_is_none_is_one_sentence(remote: Remote, tmp_path: Path, text: str) -> None:
    release = remote.artefact("votes", {"index.html": "hello"})
    stage(remote, release)
    (remote.root / f".deploy/votes/releases/{release}.json").write_text(text, "latin-1")
    other_machine(remote, tmp_path / "dist")
    sentence = remote.refused("stage", service="votes", release=release, target="subdomains/votes/httpdocs")
    assert "is no manifest" in sentence


def test_the_attestation_of_its_manifest_lies_beside_a_release(remote: Remote, tmp_path: Path) -> None:
    release = remote.artefact("votes", {"index.html": "hello"})
    manifest = (remote.dist / "votes/manifest.json").read_bytes()
    statement = json.dumps({"subject": [{"digest": {"sha256": hashlib.sha256(manifest).hexdigest()}}]})
    envelope = json.dumps({"payload": base64.b64encode(statement.encode()).decode(), "signatures": []}, indent=1) + "\n"
    (remote.dist / "SLSA-attestation.json").write_text(envelope)
    stage(remote, release)
    assert (remote.root / f".deploy/votes/releases/{release}.attestation").read_text() == envelope
    # One of another build says nothing of it.
    other = remote.artefact("docs", {"index.html": "hello"})
    stage(remote, other, "docs")
    assert not (remote.root / f".deploy/docs/releases/{other}.attestation").exists()
    asked = [{"service": "votes", "target": "subdomains/votes/httpdocs", "release": release, "database": None, "migrate": None}]
    known = remote.run("facts", services=asked, programs=[])["services"]["votes"]
    assert known["attestation"] is None, "this machine has it"
    other_machine(remote, tmp_path / "dist")
    known = remote.run("facts", services=asked, programs=[])["services"]["votes"]
    assert (known["attestation"], known["digest"]) == (envelope, hashlib.sha256(manifest + b"\n").hexdigest())
