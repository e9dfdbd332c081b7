"""``stage`` makes a virtual environment once for all releases that ask for it, and ``prune`` keeps it while one of them is there."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from .conftest import Remote, Service

pytestmark = pytest.mark.sandbox

# Stands for pip: says in the environment who installed what into it. Real pip installs in the tests of the whole sandbox.
PIP = """
import os, pathlib, sys, time
time.sleep(0.5)
with open(os.path.join(sys.prefix, "installed"), "a") as file:
    print(sorted(os.listdir("wheels")), file=file)
sys.exit("no such wheel" if pathlib.Path("requirements.txt").read_text() == "missing==1" else 0)
"""


def files(requirements: str = "own==1", wheel: bytes = b"1", page: str = "") -> dict[str, str | bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("pip/__main__.py"), PIP)
    return {
        "requirements.txt": requirements,
        "wheels/pip-0-py3-none-any.whl": packed.getvalue(),
        "wheels/own-1-py3-none-any.whl": wheel,
        "index.html": page,
    }


def fields(remote: Remote, service: str, content: dict[str, str | bytes], strategy: str = "symlink") -> dict[str, object]:
    return {
        "service": service, "release": remote.artefact(service, content), "target": f"subdomains/{service}/httpdocs",
        "strategy": strategy, "hard_links": True, "dependencies": "venv", "keep": 5,
    }  # fmt: skip


def environment(remote: Remote, service: str, release: object) -> Path:
    return (remote.root / ".deploy" / service / "releases" / str(release) / ".venv").resolve(strict=True)


def test_two_services_that_ask_at_once_for_the_same_environment_share_one(remote: Remote) -> None:
    wanted = [fields(remote, "api", files()), fields(remote, "api_stg", files(page="another"))]
    under_way = [remote.popen("stage", **each) for each in wanted]
    for child in under_way:
        _, said = child.communicate(timeout=60)
        assert child.returncode == 0, said.decode()
    first, second = (environment(remote, str(each["service"]), each["release"]) for each in wanted)
    assert first == second
    assert first.parent == remote.root / ".deploy/.venvs"
    assert (first / "installed").read_text().count("\n") == 1
    assert subprocess.run([first / "bin/python", "-c", ""], check=False).returncode == 0


@pytest.mark.parametrize("other", [files(requirements="own==2"), files(wheel=b"of the same name")], ids=["requirements", "wheel"])
def test_other_requirements_or_a_wheel_of_other_bytes_get_an_environment_of_their_own(
    remote: Remote, other: dict[str, str | bytes]
) -> None:
    one, two = fields(remote, "api", files()), fields(remote, "api_stg", other)
    remote.run("stage", **one)
    remote.run("stage", **two)
    assert environment(remote, "api", one["release"]) != environment(remote, "api_stg", two["release"])


def test_an_environment_that_could_not_be_made_is_named_and_made_anew(remote: Remote) -> None:
    sentence = remote.refused("stage", **fields(remote, "api", files(requirements="missing==1")))
    assert "the dependencies in requirements.txt could not be installed: no such wheel" in sentence
    (begun,) = (place for place in (remote.root / ".deploy/.venvs").iterdir() if place.is_dir())
    refused = json.loads((remote.dist / "api/manifest.json").read_text())["release"]
    assert not (remote.root / f".deploy/api/releases/{refused}").exists()
    remote.refused("stage", **fields(remote, "api_stg", files(requirements="missing==1")))
    assert (begun / "installed").read_text().count("\n") == 1


def test_a_day_old_environment_goes_once_no_release_of_any_service_links_to_it(remote: Remote) -> None:
    one, two = fields(remote, "api", files()), fields(remote, "api_stg", files())
    old = time.time() - 3 * 86_400
    for each in (one, two):
        remote.run("stage", **each)
    place = environment(remote, "api", one["release"])

    def prune(key: str) -> None:
        os.utime(place, (old, old))
        remote.run(
            "prune", service=key, target=f"subdomains/{key}/httpdocs", keep=5, pinned=[], keep_snapshots=10, snapshot_mb=2000
        )  # fmt: skip

    prune("api")
    assert place.is_dir()
    for each in (one, two):
        assert place.is_dir()
        release = remote.root / f".deploy/{each['service']}/releases/{each['release']}"
        subprocess.run(["rm", "-rf", str(release)], check=True)
        prune("votes")
    assert not [left for left in (remote.root / ".deploy/.venvs").iterdir() if not left.name.endswith((".lock", ".lock.by"))]


def test_an_environment_that_is_being_linked_is_not_pruned(remote: Remote) -> None:
    one = fields(remote, "api", files())
    remote.run("stage", **one)
    place = environment(remote, "api", one["release"])
    shutil.rmtree(remote.root / ".deploy/api")
    os.utime(place, (time.time() - 3 * 86_400,) * 2)
    with (place.with_name(f"{place.name}.lock")).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        remote.run("prune", service="votes", target="a/b", keep=5, pinned=[])
        assert (place / "finished").is_file()
    remote.run("prune", service="votes", target="a/b", keep=5, pinned=[])
    assert not place.exists()


@pytest.mark.parametrize("lost", ["bin/python", "."], ids=["its Python", "all of it"])
def test_a_staged_release_that_has_lost_its_environment_gets_it_again(remote: Remote, lost: str) -> None:
    one = fields(remote, "api", files())
    remote.run("stage", **one)
    place = environment(remote, "api", one["release"])
    if lost == ".":
        shutil.rmtree(place)
    else:
        (place / lost).unlink()
        (place / lost).symlink_to("/usr/bin/python2.7")
    again = remote.run("stage", **one)
    assert again["uploaded"] is False
    assert environment(remote, "api", one["release"]) == place
    assert subprocess.run([place / "bin/python", "-c", ""], check=False).returncode == 0


def test_a_removed_service_leaves_no_environment_that_nobody_else_has(remote: Remote) -> None:
    one, two = fields(remote, "api", files()), fields(remote, "api_stg", files())
    for each in (one, two):
        remote.run("stage", **each)
    place = environment(remote, "api", one["release"])
    request = {"action": "drop", "keep": None, "database": None}
    remote.run("remove", service="api", target=one["target"], **request)
    assert place.is_dir()
    remote.run("remove", service="api_stg", target=two["target"], **request)
    assert not place.exists()


@pytest.mark.parametrize("earlier", [False, True], ids=["shared", "of an earlier version"])
def test_a_site_in_place_leads_to_the_environment_of_its_release(remote: Remote, service: Service, earlier: bool) -> None:
    service.extra = {"strategy": "in-place"}
    wanted = fields(remote, service.key, files(), "in-place")
    remote.run("stage", **wanted)
    release = str(wanted["release"])
    place = environment(remote, service.key, release)
    if earlier:
        former = service.base / "venvs" / place.name
        former.parent.mkdir()
        place.rename(former)
        link = service.base / "releases" / release / ".venv"
        link.unlink()
        link.symlink_to(f"../../venvs/{place.name}")
        remote.own(service.base)
        place = former
    service.switch(release)
    assert (service.path / ".venv").resolve(strict=True) == place
