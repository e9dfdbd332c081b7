"""The site's own files are there before a release is asked for the first time, and stay the site's whatever happens then."""

from __future__ import annotations

import os
from typing import Any

import pytest

from .conftest import Service
from .databases import MariaDB
from .site import Poller
from .test_migrations import Data

pytestmark = pytest.mark.sandbox
PERSISTENT = ["wp-config.php", "wp-content/uploads"]


@pytest.fixture
def grown(service: Service) -> Service:
    """A site that cannot boot without a file that is not in its release."""
    (service.path / "wp-content/uploads").mkdir(parents=True)
    (service.path / "wp-content/uploads/photo").write_text("photo")
    (service.path / "wp-config.php").write_text("settings")
    (service.path / "index.html").write_text("old")
    service.remote.own(service.remote.root)
    service.extra["persistent"] = PERSISTENT
    return service


def asked(service: Service, release: str, path: str, **more: object) -> dict[str, Any]:
    request = service.request(release, **more)
    request["probe"] |= {"path": path, "contains": "settings" if path.endswith("php") else "photo"}
    return request


@pytest.mark.parametrize("path", ["/wp-config.php", "/wp-content/uploads/photo"])
def test_the_first_candidate_has_the_site_s_own_files(grown: Service, path: str) -> None:
    release = grown.stage({"index.html": "new"})
    with Poller(grown.site, grown.domain, path) as poller:
        done = grown.remote.run("switch", **asked(grown, release, path))
    assert "candidate" in [step["name"] for step in done["steps"]]
    assert [status for _, status in poller.failed] == [] or done["gap_ms"] > 0
    for name, text in (("wp-config.php", "settings"), ("wp-content/uploads/photo", "photo")):
        assert (grown.path / name).read_text() == text
        assert (grown.base / "shared" / name).read_text() == text
    assert not (grown.base / "shared/wp-config.php").is_symlink()
    assert not (grown.base / "shared/wp-content/uploads").is_symlink()
    back = grown.switch("adopted")
    assert back["previous"] == release
    assert (grown.path / "wp-config.php").read_text() == "settings"


def test_a_first_release_that_fails_leaves_them_where_they_were(grown: Service) -> None:
    release = grown.stage({"index.html": "!500"})
    grown.remote.refused("switch", **grown.request(release))
    assert not grown.path.is_symlink()
    for name, text in (("wp-config.php", "settings"), ("wp-content/uploads/photo", "photo")):
        assert not (grown.path / name).is_symlink()
        assert (grown.path / name).read_text() == text
    assert not os.path.lexists(grown.base / "shared/wp-config.php")
    assert not os.path.lexists(grown.base / "shared/wp-content/uploads")


def test_what_a_killed_first_switch_lent_stops_no_later_one(grown: Service) -> None:
    release = grown.stage({"index.html": "new"})
    shared = grown.base / "shared"
    (shared / "wp-content").mkdir(parents=True)
    (shared / "wp-config.php").symlink_to(f"../../../{grown.target}/wp-config.php")
    (shared / "wp-content/uploads").symlink_to(f"../../../../{grown.target}/wp-content/uploads")
    grown.remote.own(shared)
    grown.switch(release)
    assert (shared / "wp-config.php").read_text() == "settings"
    assert not (shared / "wp-config.php").is_symlink()


def test_a_migration_has_them_too(grown: Service, mariadb: MariaDB) -> None:
    data = Data(grown, mariadb, "command", commands=[["grep", "-q", "settings", "wp-config.php"]])
    data.schema = None
    release = data.stage("new", {})
    done = grown.switch(release, **data.fields([]))
    assert done["migrations"] == ["grep -q settings wp-config.php"]
