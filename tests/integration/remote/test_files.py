"""``files`` compares what is live with what was deployed, by content, and writes nothing."""

from __future__ import annotations

import hashlib
import shutil
from typing import Any

import pytest

from .conftest import Service
from .test_facts import listing

pytestmark = pytest.mark.sandbox


def compared(service: Service, release: str | None, persistent: tuple[str, ...] = ()) -> dict[str, Any]:
    asked = {"service": service.key, "target": service.target, "release": release, "persistent": list(persistent)}
    known: dict[str, Any] = service.remote.run("files", services=[asked])["services"][service.key]
    return known


def test_a_release_as_deployed_differs_in_nothing(service: Service) -> None:
    live = service.deploy({"index.html": "one", "a b/it's.css": "x"})["live"]
    before = listing(service.remote)
    known = compared(service, live)
    assert (known["live"], known["manifest"], known["count"]) == (live, "here", 0)
    assert listing(service.remote) == before


def test_changed_added_and_missing_files_are_named(service: Service) -> None:
    live = service.deploy({"index.html": "one", "style.css": "x", "app.py": "y"})["live"]
    folder = service.base / "releases" / live
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    (folder / "index.html").write_text("0ne")
    (folder / "style.css").unlink()
    (folder / "shell\tof an attacker.php").write_text("<?php")
    (folder / "way out").symlink_to("/etc")
    # What Python makes of the release's own sources is no incident; of others it is.
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/app.cpython-311.pyc").write_text("x")
    (folder / "__pycache__/other.cpython-311.pyc").write_text("x")
    known = compared(service, live)
    assert known["changed"] == ["index.html"]
    assert known["missing"] == ["style.css"]
    assert known["added"] == ["__pycache__/other.cpython-311.pyc", "shell\tof an attacker.php", "way out"]
    assert known["count"] == 5


def test_what_belongs_to_the_running_site_is_left_out(service: Service) -> None:
    live = service.deploy({"index.html": "one"}, persistent=["uploads"])["live"]
    (service.base / "shared/uploads/photo.jpg").write_text("x")
    assert compared(service, live, ("uploads",))["count"] == 0


def test_without_a_manifest_here_the_host_s_own_is_taken_and_that_is_said(service: Service) -> None:
    live = service.deploy({"index.html": "one"})["live"]
    assert compared(service, None)["manifest"] == "host"
    (service.base / "releases" / f"{live}.json").unlink()
    known = compared(service, None)
    assert (known["live"], known["manifest"]) == (live, None)


@pytest.mark.parametrize("how", ["other", "damaged"])
def test_a_manifest_that_was_changed_on_the_host_with_the_files_hides_nothing(service: Service, how: str) -> None:
    live = service.deploy({"index.html": "one"})["live"]
    manifest = service.base / "releases" / f"{live}.json"
    good, evil = (hashlib.sha256(text).hexdigest() for text in (b"one", b"evil"))
    (service.path.resolve() / "index.html").write_text("evil")
    manifest.write_text(manifest.read_text().replace(good, evil) if how == "other" else "{")
    known = compared(service, None)  # no release of ours: the host's own list would count
    assert (known["manifest"], known["count"]) == ("host", 1)
    assert "the manifest of the release" in known["changed"][0]


def test_files_are_put_back_only_from_an_artefact_and_the_way_to_one_is_named(service: Service) -> None:
    live = service.deploy({"index.html": "one"})["live"]
    shutil.rmtree(service.remote.dist / "votes")
    sentence = service.remote.refused("mend", service="votes", release=live, target=service.target)
    assert f"build its commit {'0' * 12} here (bin/mo build votes)" in sentence
    assert "nothing was changed" in sentence


def test_a_service_that_is_not_there_is_not_compared(service: Service) -> None:
    assert compared(service, None) == {"live": None, "manifest": None, "changed": [], "added": [], "missing": [], "count": 0}
