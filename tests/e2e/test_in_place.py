"""A host whose web server follows no symbolic links (``mo:host`` ``strategy: in-place``): every service in a directory of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.deployment import QUICK, Deployment, deployment

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.xdist_group("e2e-in-place")]


@pytest.fixture(scope="module")
def site() -> Iterator[Deployment]:
    with deployment() as made:
        file = made.sandbox.layout.settings
        settings = yaml.safe_load(file.read_text())
        settings["host"]["strategy"] = "in-place"
        file.write_text(yaml.safe_dump(settings, sort_keys=False))
        made.require_few_gates()
        made.build()
        made.run("bin/mo", "deploy", "--yes", *QUICK)
        yield made


def test_every_service_answers_from_a_directory_of_its_own(site: Deployment) -> None:
    assert site.statuses() == dict.fromkeys(site.services, 200)
    assert [key for key, service in site.services.items() if (site.sandbox.root / service.path).is_symlink()] == []
    assert "The host is what the last update left." in site.run("bin/mo", "drift").stdout


def test_what_drifted_there_is_mended_there(site: Deployment) -> None:
    folder = site.sandbox.root / site.services["docs"].path
    right = (folder / "index.html").read_text()
    site.sandbox.ssh(f"echo defaced > {folder}/index.html; echo x > {folder}/extra.html")
    found = site.run("bin/mo", "drift", "--json", expect=7).stdout
    assert {drift["service"] for drift in json.loads(found)} == {"docs"}
    site.run("bin/mo", "drift", "--mend", "--yes")
    assert (folder / "index.html").read_text() == right
    assert not (folder / "extra.html").exists()
    site.run("bin/mo", "drift")


def test_a_change_goes_live_and_back_again_and_uploads_stay(site: Deployment) -> None:
    support = site.sandbox.root / site.services["support"].path
    site.sandbox.ssh(f"echo kept > {support}/attachments/letter.txt")
    before = site.releases()
    site.edit("shared/web/site.css", "/* another */\n")
    site.build()
    site.run("bin/mo", "deploy", "--yes", *QUICK)
    changed = {key for key, release in site.releases().items() if release != before[key]}
    assert {"support", "docs"} <= changed
    assert json.loads((support / "release.json").read_text())["release"] == site.releases()["support"]
    site.run("bin/mo", "rollback", "--yes", "--reason", "the way back in place")
    assert json.loads((support / "release.json").read_text())["release"] == before["support"]
    assert (support / "attachments/letter.txt").read_text() == "kept\n"
    assert site.statuses() == dict.fromkeys(site.services, 200)
    site.run("bin/mo", "drift")
