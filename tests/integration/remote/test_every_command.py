"""The host program killed in place of each command that changes the host, one after the other: the next run ends well.

The account's PATH begins with a folder whose ``mv``, ``ln``, ``rm`` and the like count themselves, and kill their process group where
the count is the chosen one. ``MO_TEST_EVERY=1`` tries each (without it every third, to save time).
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import Remote, Service, Sshd
from .site import Site
from .test_interruption import leftovers

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

EVERY = int(os.environ.get("MO_TEST_EVERY", "3"))
COMMANDS = ("mv", "ln", "rm", "rmdir", "mkdir", "cp", "rsync", "tar", "chmod", "touch")
COUNTED = """#!/bin/sh
if [ -f {folder}/at ]; then
  n=$(cat {folder}/count) at=$(cat {folder}/at)
  n=$((n + 1))
  echo "$n" >{folder}/count
  [ "$n" -ne "$at" ] || kill -9 0
fi
exec {real} "$@"
"""


class Killer:
    """Kills the host's programs in place of their ``at``-th command; ``none`` of them without it."""

    def __init__(self, folder: Path) -> None:
        self._at, self._count = folder / "at", folder / "count"

    def arm(self, at: int) -> None:
        for path, number in ((self._count, 0), (self._at, at)):
            path.write_text(f"{number}\n")
            path.chmod(0o666)

    def disarm(self) -> int:
        """Gives how many commands there were."""
        self._at.unlink()
        return int(self._count.read_text())


@pytest.fixture(scope="module")
def killing(account: pwd.struct_passwd) -> Iterator[tuple[Sshd, Killer]]:
    folder = Path(tempfile.mkdtemp(prefix="mo-every-"))
    folder.chmod(0o777)
    (folder / "bin").mkdir()
    for name in COMMANDS:
        real = shutil.which(name)
        assert real, name
        (folder / "bin" / name).write_text(COUNTED.format(folder=folder, real=real))
        (folder / "bin" / name).chmod(0o755)
    server = Sshd(folder, account)
    server.start(environment={"PATH": f"{folder}/bin:/usr/local/bin:/usr/bin:/bin"})
    yield server, Killer(folder)
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def sshd(killing: tuple[Sshd, Killer]) -> Sshd:
    return killing[0]


@pytest.fixture
def killer(killing: tuple[Sshd, Killer]) -> Killer:
    return killing[1]


def _killed_everywhere(
    killer: Killer, remote: Remote, site: Site, attempt: Callable[[Service], tuple[str, dict[str, object]]]
) -> Iterator[Service]:
    """Each service after its step was killed, in place of the first, the fourth … of its commands, until one is not killed."""
    at = 1
    while True:
        service = Service(remote, site, f"s{at}")
        step, fields = attempt(service)
        killer.arm(at)
        child = remote.popen(step, **fields)
        _, err = child.communicate(timeout=120)
        count = killer.disarm()
        assert (child.returncode == 0) == (count < at), err.decode()
        if count < at:
            assert at > 3, "too few commands were counted for a step that changes the host"
            return
        yield service
        at += EVERY


def _found(service: Service) -> None:
    (service.path / "uploads").mkdir(parents=True)
    (service.path / "uploads/u").write_text("kept")
    (service.path / "index.html").write_text("old")
    service.remote.own(service.remote.root / "subdomains")


@pytest.mark.parametrize("then", ["again", "another", "adopted"])
@pytest.mark.parametrize("strategy", ["symlink", "in-place"])
def test_a_first_switch_over_found_content_killed_at_any_command_keeps_it(
    remote: Remote, site: Site, killer: Killer, strategy: str, then: str
) -> None:
    chosen: dict[str, tuple[str, str]] = {}

    def first(service: Service) -> tuple[str, dict[str, object]]:
        service.extra |= {"persistent": ["uploads"], "strategy": strategy}
        _found(service)
        chosen["again"] = service.stage({"index.html": "new"}), "new"
        chosen["another"] = service.stage({"index.html": "newer"}), "newer"
        chosen["adopted"] = "adopted", "old"
        return "switch", service.request(chosen["again"][0])

    for service in _killed_everywhere(killer, remote, site, first):
        release, page = chosen[then]
        if then == "adopted" and not (service.base / "releases/adopted").exists():
            # Killed before the first switch had begun: what was found is served still, and there is nothing to go back to.
            assert (service.path / "index.html").read_text() == "old"
            release, page = chosen["again"]
        service.switch(release)
        assert (service.path / "index.html").read_text() == page
        assert (service.path / "uploads/u").read_text() == "kept"
        assert leftovers(service) == []
        service.switch("adopted")
        assert (service.path / "index.html").read_text() == "old"
        assert (service.path / "uploads/u").read_text() == "kept"


@pytest.mark.parametrize("strategy", ["symlink", "in-place"])
def test_a_switch_killed_at_any_command_ends_well_and_serves_one_release_or_the_other(
    remote: Remote, site: Site, killer: Killer, strategy: str
) -> None:
    releases: dict[str, str] = {}

    def second(service: Service) -> tuple[str, dict[str, object]]:
        service.extra |= {"persistent": ["uploads"], "strategy": strategy}
        releases["one"] = service.deploy({"index.html": "one"})["live"]
        (service.path / "uploads/u").write_text("kept")
        releases["two"] = service.stage({"index.html": "two"})
        return "switch", service.request(releases["two"])

    for service in _killed_everywhere(killer, remote, site, second):
        assert (service.path / "index.html").read_text() in ("one", "two")
        assert service.switch(releases["two"])["live"] == releases["two"]
        assert (service.path / "index.html").read_text() == "two"
        assert leftovers(service) == []
        assert service.switch(releases["one"])["previous"] == releases["two"]
        assert (service.path / "uploads/u").read_text() == "kept"


def test_a_stage_killed_at_any_command_is_completed_by_the_next_run(remote: Remote, site: Site, killer: Killer) -> None:
    fields: dict[str, object] = {}
    files: dict[str, str | bytes] = {"index.html": "two", "a/b": "same", "c": "new"}

    def stage(service: Service) -> tuple[str, dict[str, object]]:
        service.deploy({"index.html": "one", "a/b": "same"})
        fields.update(
            service=service.key, release=remote.artefact(service.key, files), target=service.target, strategy="symlink", hard_links=True,
            dependencies=None, keep=5,
        )  # fmt: skip
        return "stage", fields

    for service in _killed_everywhere(killer, remote, site, stage):
        remote.run("stage", **fields)
        release = str(fields["release"])
        place = service.base / "releases" / release
        assert {
            str(p.relative_to(place)): p.read_text() for p in place.rglob("*") if p.is_file() and p.name != "release.json"
        } == files
        assert os.listdir(service.base / "incoming") == []
        service.switch(release)
        assert (service.path / "index.html").read_text() == "two"
        assert (service.path / "a/b").read_text() == "same"


@pytest.mark.parametrize("strategy", ["symlink", "in-place"])
def test_a_removal_killed_at_any_command_goes_on_and_keeps_what_belonged_to_the_site(
    remote: Remote, site: Site, killer: Killer, strategy: str
) -> None:
    def remove(service: Service) -> tuple[str, dict[str, object]]:
        service.extra |= {"persistent": ["uploads"], "strategy": strategy}
        service.deploy({"index.html": "one"})
        (service.path / "uploads/u").write_text("kept")
        return "remove", {"service": service.key, "action": "drop", "target": None, "keep": None}

    for service in _killed_everywhere(killer, remote, site, remove):
        remote.run("remove", service=service.key, action="drop", target=None, keep=None)
        assert not service.base.exists()
        assert not service.path.is_symlink()
        kept = [path.read_text() for path in remote.root.rglob("u")]
        assert kept == ["kept"], strategy
        shutil.rmtree(remote.root / ".deploy/.removed", ignore_errors=True)
        shutil.rmtree(service.path, ignore_errors=True)
