"""What a volunteer sees when something outside is broken: one sentence that names it, nothing half-done, a plain `up` mends it.

One deployment of three services (files, PHP on MariaDB, a process on PostgreSQL), in this order.
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.deployment import Deployment, deployment

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

SDK_END = re.compile(r"Program failed with an unhandled exception:\n *Traceback.*?ResourceRegistrationFailed: [^\n]*\n", re.DOTALL)
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
    # After a resource's failure the SDK's program ends by an exception of its own, with either engine; the failure itself was said before.
    own = SDK_END.sub("", done.stdout)
    said = own.split("Diagnostics:")[-1].split("\nOutputs:")[0]
    assert "Traceback" not in own, own[-6000:]
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
    for service in SERVICES:
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
