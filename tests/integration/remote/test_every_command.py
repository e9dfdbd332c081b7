"""Staging, switching and removing killed in place of each command that changes the host, one after the other: the next run ends well."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import killing
from .conftest import Remote, Service, Sshd
from .databases import MariaDB, PostgreSQL
from .killing import EVERY, Killer
from .site import Site
from .test_data_interruption import killer, orders
from .test_interruption import leftovers
from .test_migrations import M1, M2, Data, server

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]
__all__ = ["killer", "orders", "server"]

WRAPPED = (
    "mv", "ln", "rm", "rmdir", "mkdir", "cp", "rsync", "tar", "chmod", "gzip", "mariadb", "mariadb-dump", "psql", "pg_dump",
    "pg_restore",
)  # fmt: skip
"""Every program by which a host program changes something."""


@pytest.fixture(scope="module")
def sshd(account: pwd.struct_passwd, orders: Path) -> Iterator[Sshd]:
    with killing.host(account, orders, WRAPPED) as server:
        yield server


def _killed_everywhere(
    killer: Killer, remote: Remote, site: Site, attempt: Callable[[Service], tuple[str, dict[str, object]]]
) -> Iterator[Service]:
    """Each service after its step was killed, in place of the first, the fourth … of its commands, until one is not killed."""
    tried: list[Service] = []

    def next_one(at: int) -> tuple[str, dict[str, object]]:
        tried.append(Service(remote, site, f"s{at}"))
        return attempt(tried[-1])

    calls = 0
    for call in killing.everywhere(killer, remote, next_one, 300):
        calls = call + EVERY - 1
        yield tried[-1]
    assert calls > 2, "too few commands were counted for a step that changes the host"


@pytest.mark.parametrize("then", ["again", "another", "adopted"])
@pytest.mark.parametrize("strategy", ["symlink", "in-place"])
def test_a_first_switch_over_found_content_killed_at_any_command_keeps_it(
    remote: Remote, site: Site, killer: Killer, strategy: str, then: str
) -> None:
    chosen: dict[str, tuple[str, str]] = {}

    def first(service: Service) -> tuple[str, dict[str, object]]:
        service.extra |= {"persistent": ["uploads"], "strategy": strategy}
        service.found()
        chosen["again"] = service.stage({"index.html": "new"}), "new"
        chosen["another"] = service.stage({"index.html": "newer"}), "newer"
        chosen["adopted"] = "adopted", "old"
        return "switch", service.request(chosen["again"][0])

    for service in _killed_everywhere(killer, remote, site, first):
        release, page = chosen[then]
        untouched = not service.path.is_symlink() and (service.path / "index.html").exists()
        if then == "adopted" and untouched and not (service.base / "releases/adopted.json").exists():
            # Killed before anything was changed: what was found is served still, and there is nothing to go back to.
            assert (service.path / "index.html").read_text() == "old"
            release, page = chosen["again"]
        service.switch(release)
        assert (service.path / "index.html").read_text() == page
        assert (service.path / "uploads/u").read_text() == "kept"
        assert leftovers(service) == []
        service.switch("adopted")
        assert (service.path / "index.html").read_text() == "old"
        assert (service.path / "uploads/u").read_text() == "kept"


@pytest.mark.parametrize("then", ["again", "another"])
def test_a_first_switch_in_place_killed_at_any_command_leaves_nothing_that_counts_as_found(
    remote: Remote, site: Site, killer: Killer, then: str
) -> None:
    releases: dict[str, str] = {}

    def first(service: Service) -> tuple[str, dict[str, object]]:
        service.extra |= {"persistent": ["uploads"], "strategy": "in-place"}
        releases["again"] = service.stage({"index.html": "again", "only/here": "x"})
        releases["another"] = service.stage({"index.html": "another"})
        return "switch", service.request(releases["again"])

    for service in _killed_everywhere(killer, remote, site, first):
        service.switch(releases[then])
        assert (service.path / "index.html").read_text() == then
        assert not (service.base / "releases/adopted").exists()
        assert leftovers(service) == []


@pytest.mark.parametrize("strategy", ["symlink", "in-place"])
def test_a_switch_killed_at_any_command_ends_well_and_serves_one_release_or_the_other(
    remote: Remote, site: Site, killer: Killer, strategy: str
) -> None:
    releases: dict[str, str] = {}

    def second(service: Service) -> tuple[str, dict[str, object]]:
        service.extra |= {"persistent": ["uploads"], "strategy": strategy}
        releases["one"] = service.deploy({"index.html": "one"})["live"]
        (service.path / "uploads/u").write_text("kept")
        (service.path / "undeclared").write_text("kept")
        releases["two"] = service.stage({"index.html": "two"})
        return "switch", service.request(releases["two"])

    for service in _killed_everywhere(killer, remote, site, second):
        assert (service.path / "index.html").read_text() in ("one", "two")
        assert service.switch(releases["two"])["live"] == releases["two"]
        assert (service.path / "index.html").read_text() == "two"
        assert leftovers(service) == []
        assert service.switch(releases["one"])["previous"] == releases["two"]
        assert (service.path / "uploads/u").read_text() == "kept"
        folders = (service.path, service.base)
        assert [file.read_text() for folder in folders for file in folder.rglob("undeclared") if file.is_file()][:1] == ["kept"]


@pytest.mark.parametrize("then", ["again", "another", "back"])
def test_a_change_from_in_place_to_links_killed_at_any_command_keeps_the_uploads(
    remote: Remote, site: Site, killer: Killer, then: str
) -> None:
    releases: dict[str, str] = {}

    def change(service: Service) -> tuple[str, dict[str, object]]:
        service.extra |= {"persistent": ["uploads"], "strategy": "in-place"}
        releases["back"] = service.deploy({"index.html": "back"})["live"]
        (service.path / "uploads/u").write_text("kept")
        service.extra["strategy"] = "symlink"
        releases["again"] = service.stage({"index.html": "again"})
        releases["another"] = service.stage({"index.html": "another"})
        return "switch", service.request(releases["again"])

    for service in _killed_everywhere(killer, remote, site, change):
        service.switch(releases[then])
        assert (service.path / "index.html").read_text() == then
        assert (service.path / "uploads/u").read_text() == "kept"
        assert leftovers(service) == []
        service.switch(releases["again"])
        assert (service.path / "uploads/u").read_text() == "kept"


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_switch_with_a_migration_killed_at_any_command_migrates_once_and_keeps_the_data(
    remote: Remote, site: Site, server: MariaDB | PostgreSQL, killer: Killer, mode: str
) -> None:
    made: dict[str, Data] = {}
    releases: dict[str, str] = {}

    def second(service: Service) -> tuple[str, dict[str, object]]:
        data = made[service.key] = Data(service, server, mode=mode)
        data.deploy("one", M1)
        releases["two"] = data.stage("two", M2)
        return "switch", service.request(releases["two"], **data.fields(sorted(M2)))

    for service in _killed_everywhere(killer, remote, site, second):
        data = made[service.key]
        assert service.switch(releases["two"], **data.fields(sorted(M2)))["live"] == releases["two"]
        assert data.query("SELECT id, what, extra FROM votes") == [(1, "semi;colon -- no comment", 7)]
        assert data.query("SELECT version FROM schema_version ORDER BY version") == [("0001_init",), ("0002_more",)]
        assert leftovers(service) == []
        whole = list((service.base / "snapshots").glob("*.json"))
        assert whole, "no snapshot of before the migration"


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
