"""What a volunteer sees when something outside is broken: one sentence that names it, nothing half-done, a plain `up` mends it.

One deployment of three services (files, PHP on MariaDB, a process on PostgreSQL), in this order.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.deployment import Deployment, deployment, ran

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

SERVICES = ("main", "votes", "api")


@pytest.fixture(scope="module")
def site() -> Iterator[Deployment]:
    # On a disk that is almost full from the start; its own test makes it larger.
    with deployment() as made, made.sandbox.small_disk(1):
        made.build(*SERVICES)
        yield made


@pytest.fixture(scope="module")
def deployed(site: Deployment) -> Deployment:
    site.up()
    assert serving(site) == dict.fromkeys(SERVICES, 200)
    return site


def serving(site: Deployment) -> dict[str, int]:
    return {key: site.sandbox.get(key, site.services[key].health.path).status for key in SERVICES}


@contextmanager
def settings(site: Deployment, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """The settings file with a change in it, meanwhile."""
    path = site.sandbox.layout.settings
    text = path.read_text()
    loaded = yaml.safe_load(text)
    change(loaded)
    path.write_text(yaml.safe_dump(loaded, sort_keys=False))
    site.disconnect()
    try:
        yield
    finally:
        path.write_text(text)
        site.disconnect()


def refused(site: Deployment, *words: str, unchanged: bool = True, command: str = "up") -> str:
    """Runs a command that has to fail, in words that name the thing, without a traceback; ``unchanged``: with nothing done on the host."""
    before = site.listing() if unchanged else ""
    arguments = ("--skip-preview",) if command == "up" else ()
    confirm = () if command == "preview" else ("--yes",)
    done = site.run("bin/pulumi", command, *confirm, *arguments, "--stack", "sandbox", expect=None)
    assert done.returncode not in (0, -9), done.stdout[-3000:]
    said = done.stdout.split("Diagnostics:")[-1].split("\nOutputs:")[0]
    assert "Traceback" not in done.stdout, done.stdout[-6000:]
    for word in words:
        assert word in said, f"{word!r} is not in\n{said[-6000:]}"
    if unchanged:
        assert site.listing() == before
    return done.stdout


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("command", ["preview", "up"])
def test_a_host_that_does_not_answer_is_named_and_nothing_is_made(site: Deployment, command: str) -> None:
    port = closed_port()
    with settings(site, lambda s: s["host"].update(port=port)):
        refused(site, "sandbox", str(port), command=command)
    assert site.sandbox.github.secrets() == {}


def test_another_host_key_is_refused_before_anything_is_sent(site: Deployment, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    other = " ".join((tmp_path / "other.pub").read_text().split()[:2])
    with settings(site, lambda s: s["host"].update(hostKeys=[other])):
        refused(site, "host key")


def test_a_bare_host_is_told_what_it_lacks_for_which_service(site: Deployment) -> None:
    port = site.sandbox.layout.port("ssh-bare")
    with settings(site, lambda s: s["host"].update(port=port)):
        output = refused(site, "lacks", "rsync", command="preview")
        for service in ("votes", "api"):
            assert service in output


def test_too_little_space_on_the_host_is_told_before_anything_changes(site: Deployment) -> None:
    refused(site, "free on the host", "expected", "Nothing was changed")
    site.sandbox.resize_disk(500)


def test_a_wrong_password_of_an_administrator_is_named_and_not_shown(site: Deployment) -> None:
    def wrong(loaded: dict[str, Any]) -> None:
        loaded["secrets"].update(pleskAdminPassword="wr0ng-plesk", externalPostgresqlAdminPassword="wr0ng-postgresql")

    with settings(site, wrong):
        output = refused(site, "votes-database", "Access denied", "password authentication failed", unchanged=False)
    assert "wr0ng" not in output
    for service in ("votes", "api"):
        assert not (site.sandbox.root / site.services[service].path).is_symlink()


def test_a_read_only_root_is_one_sentence_and_the_sites_go_on(deployed: Deployment) -> None:
    site = deployed
    site.edit("website/index.html", "<!-- read-only -->\n")
    site.build("main")
    with site.sandbox.read_only_root():
        refused(site, "main", "permission to write to")
        assert serving(site) == dict.fromkeys(SERVICES, 200)
    site.up()
    assert "read-only" in site.sandbox.get("main").body


def test_a_database_that_is_down_fails_its_own_service_alone(deployed: Deployment) -> None:
    site = deployed
    good = site.live("votes")
    site.edit("services/votes/index.php", "// database down\n")
    site.edit("website/index.html", "<!-- goes on -->\n")
    site.build("votes", "main")
    with site.sandbox.database_down("mariadb-plesk"):
        refused(site, "votes", unchanged=False)
        assert site.live("votes") == good
        assert "goes on" in site.sandbox.get("main").body
    site.up()
    assert site.live("votes") == site.releases(SERVICES)["votes"]


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, ("401",)), (403, ("403",)), (422, ("422",)), (500, ("500",))],
    ids=["unauthorised", "forbidden", "refused", "broken"],
)
def test_what_github_refuses_for_good_is_said_and_mended_by_the_next_up(
    deployed: Deployment, status: int, words: tuple[str, ...]
) -> None:
    site = deployed
    with settings(site, lambda s: s["secrets"].update(smtpPassword=f"changed-{status}")):
        site.sandbox.github.control(fail={"status": status, "count": 50, "match": "PUT .*/secrets/"})
        try:
            refused(site, "github-", *words, unchanged=False)
        finally:
            site.sandbox.github.control(heal=True)
        site.up()
    assert serving(site) == dict.fromkeys(SERVICES, 200)


@pytest.mark.parametrize("status", [429, 503])
def test_what_github_refuses_for_a_moment_is_asked_again(deployed: Deployment, status: int) -> None:
    site = deployed
    with settings(site, lambda s: s["secrets"].update(smtpPassword=f"again-{status}")):
        site.sandbox.github.control(fail={"status": status, "count": 1, "match": "PUT .*/secrets/", "retry_after": 1})
        assert any(name.startswith("github-") for name in ran(site.up().stdout))


def test_an_empty_artefact_is_refused_and_the_old_release_serves(deployed: Deployment) -> None:
    site = deployed
    good = site.live("main")
    artefact = site.clone / "dist/main"
    kept = site.clone / "kept"
    shutil.copytree(artefact, kept, symlinks=True)
    manifest = artefact / "manifest.json"
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(document | {"files": []}))
    shutil.rmtree(artefact / "tree")
    (artefact / "tree").mkdir()
    try:
        refused(site, "main")
    finally:
        shutil.rmtree(artefact)
        kept.rename(artefact)
    assert site.live("main") == good
    site.up()
