"""The promises of a deploy, seen from outside: one deployment, taken through its first weeks. The tests run in this order."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.deployment import Deployment, deployment, ran
from tests.e2e.poller import Poller

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.xdist_group("e2e-deploy")]

RESTART = 0.05
"""Seconds beyond a process's declared budget that a poller may need to notice."""


@dataclass
class First:
    """The first deploy, and what a poller saw of it."""

    output: str
    poller: Poller
    logins: int


@pytest.fixture(scope="module")
def site() -> Iterator[Deployment]:
    with deployment() as made:
        made.build()
        yield made


@pytest.fixture(scope="module")
def first(site: Deployment) -> First:
    # What stood there before, by hand: a page at every path that the web server serves from files.
    for key, service in site.services.items():
        if service.runtime == "process":
            continue
        artefact = {f.path for f in _manifest_files(site, key)}
        page = "index.php" if "index.php" in artefact else "index.html"
        site.sandbox.ssh(f"printf 'old site of {key}' > {site.sandbox.root}/{service.path}/{page}")
    before = site.sandbox.logins()
    with Poller(site) as poller:
        time.sleep(1)
        output = site.up().stdout
        time.sleep(0.5)
    return First(output, poller, site.sandbox.logins() - before)


def _manifest_files(site: Deployment, key: str) -> list[_Path]:
    document = json.loads((site.clone / "dist" / key / "manifest.json").read_text())
    return [_Path(f["path"]) for f in document["files"]]


@dataclass(frozen=True)
class _Path:
    path: str


def undeclared(site: Deployment, poller: Poller, *, first: bool = False) -> list[str]:
    """The outages that nothing has declared: beyond a first switch's gap, a process's restart budget, an offline migration's 503."""
    found = []
    for key, spans in poller.failures().items():
        service = site.services[key]
        restart, migrate = service.steps.restart, service.steps.migrate
        for begin, end, status in spans:
            if first and end - begin < 1.0:
                continue
            if restart and service.runtime == "process" and end - begin <= restart.budget + RESTART:
                continue
            if migrate and migrate.mode == "offline" and status == 503:
                continue
            found.append(f"{key}: {status} for {end - begin:.2f} s")
    return found


def test_the_first_deploy_ends_with_every_service_answering(site: Deployment, first: First) -> None:
    assert site.statuses() == dict.fromkeys(site.services, 200)
    assert {key: site.live(key) for key in site.services} == site.releases()


def test_a_full_deploy_needs_at_most_three_logins_and_none_is_refused(site: Deployment, first: First) -> None:
    assert first.logins <= 3
    log = (site.sandbox.layout.logs / "sshd.log").read_text(errors="replace")
    assert not re.search(r"drop connection|exceeded MaxStartups|refused", log)


def test_visitors_of_the_first_deploy_see_no_undeclared_failure(site: Deployment, first: First) -> None:
    assert undeclared(site, first.poller, first=True) == []


def test_a_second_up_changes_nothing_and_logs_in_once(site: Deployment, first: First) -> None:
    site.disconnect()
    before = site.sandbox.logins()
    output = site.up("--expect-no-changes").stdout
    assert ran(output) == set()
    assert site.sandbox.logins() - before == 1


def test_a_changed_file_is_named_by_the_preview_which_changes_nothing(site: Deployment, first: First) -> None:
    site.edit("website/index.html", "<!-- a change -->\n")
    site.build("main")
    listing = site.listing()
    shown = site.preview()
    assert site.listing() == listing
    assert re.search(r"~ index\.html \(\d+ B\)", shown)
    assert re.search(r"files: 1 changed of \d+", shown)
    touched = {m[1] for m in re.finditer(r"^ *[+~-]+ +\S+:Command (\S+) (?:create|update|replace|delete)", shown, re.MULTILINE)}
    assert touched == {"main-stage", "main-switch", "main-health"}


def test_only_the_changed_service_s_resources_run(site: Deployment, first: First) -> None:
    with Poller(site) as poller:
        output = site.up().stdout
    assert {name for name in ran(output) if not name.startswith("gate")} <= {
        "main-release", "main-stage", "main-switch", "main-health",
    }  # fmt: skip
    assert "main-switch" in ran(output)
    assert "a change" in site.sandbox.get("main").body
    assert undeclared(site, poller) == []


def test_a_new_key_another_folder_and_a_changed_host_program_run_nothing_again(site: Deployment, first: First) -> None:
    layout = site.sandbox.layout
    new_key = layout.directory / "ssh" / "id_new"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(new_key)], check=True)
    authorized = layout.home / ".ssh" / "authorized_keys"
    authorized.write_text(authorized.read_text() + new_key.with_suffix(".pub").read_text())
    settings = layout.settings.read_text()
    layout.settings.write_text(settings.replace(str(layout.key), str(new_key)))
    program = site.clone / "components/remote/host/switch"
    program.write_text(program.read_text() + "\n# changed\n")
    moved = site.clone.with_name("moved")
    site.clone.rename(moved)
    original, site.clone = site.clone, moved
    try:
        site.disconnect()
        # No service runs again; the new key is written to the GitHub environment, whose workflows log in with it.
        assert ran(site.up().stdout) == {"github-ssh-private-key"}
    finally:
        moved.rename(original)
        site.clone = original
        layout.settings.write_text(settings)
        site.run("git", "checkout", "-q", "--", "components")
    site.up()


def test_a_commit_that_touches_no_service_changes_the_gate_alone(site: Deployment, first: First) -> None:
    (site.clone / "sandbox/monorepo/NOTES.txt").write_text("nothing that is deployed\n")
    site.run("git", "add", "-A")
    site.run("git", "-c", "user.name=t", "-c", "user.email=t@example.test", "commit", "-q", "-m", "Notes")
    site.build()
    assert {name for name in ran(site.up().stdout) if not name.startswith("gate")} == set()


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("<?php throw new RuntimeException('broken release');", "a PHP error"),
        ("<?php http_response_code(418); exit('teapot');", "a wrong status"),
        ("<?php sleep(60);", "no answer in time"),
    ],
    ids=["error", "status", "hang"],
)
def test_a_release_whose_probe_fails_leaves_the_old_one_serving(site: Deployment, first: First, damage: str, what: str) -> None:
    good = site.live("consent")
    page = site.clone / "sandbox/monorepo/services/consent/index.php"
    text = page.read_text()
    page.write_text(damage + "\n?>\n" + text)
    site.build("consent")
    try:
        with Poller(site) as poller:
            output = site.up(expect=None)
    finally:
        page.write_text(text)
        site.build("consent")
    assert output.returncode != 0, f"{what} must fail the deploy"
    assert "consent" in output.stdout
    assert site.live("consent") == good
    assert undeclared(site, poller) == []
    site.up()


def test_one_service_s_failure_leaves_the_others_finished(site: Deployment, first: First) -> None:
    broken = site.clone / "sandbox/monorepo/services/votes/index.php"
    text = broken.read_text()
    broken.write_text("<?php http_response_code(500); exit;\n?>\n" + text)
    site.edit("services/docs/index.html", "<!-- finished -->\n")
    site.build("votes", "docs")
    output = site.up(expect=None)
    broken.write_text(text)
    assert output.returncode != 0
    assert "finished" in site.sandbox.get("docs").body
    assert site.sandbox.get("votes").status == 200
    assert re.search(r"votes-switch", output.stdout)
    site.build("votes")
    site.up()


def test_content_that_would_be_hidden_stops_the_deploy_and_is_named(site: Deployment, first: First) -> None:
    # As if somebody had replaced the link by a folder with a file of his own.
    link = site.sandbox.root / site.services["docs"].path
    target = os.readlink(link)
    site.sandbox.ssh(f"rm {link} && mkdir {link} && echo precious > {link}/minutes-of-1999.txt")
    site.edit("services/docs/index.html", "<!-- again -->\n")
    site.build("docs")
    try:
        output = site.up(expect=None)
        assert output.returncode != 0
        assert "minutes-of-1999.txt" in output.stdout
        assert (link / "minutes-of-1999.txt").read_text() == "precious\n"
    finally:
        site.sandbox.ssh(f"rm -r {link} && ln -s {target} {link}")
    site.up()
    assert site.sandbox.get("docs").status == 200


def test_uploads_survive_ten_deploys_and_the_retention(site: Deployment, first: First) -> None:
    root = site.sandbox.root
    upload = root / site.services["support"].path / "attachments"
    site.sandbox.ssh(f"echo kept > {upload}/letter.txt")
    for number in range(10):
        (site.clone / "sandbox/monorepo/services/support/VERSION").write_text(f"{number}\n")
        site.build("support")
        site.up()
    assert (upload / "letter.txt").read_text() == "kept\n"
    finished = list((root / ".deploy/support/releases").glob("r*.json"))
    assert 2 <= len(finished) <= 7, "the default keeps five"
    assert site.sandbox.get("support").status == 200


def test_a_killed_engine_loses_nothing_and_the_next_up_completes(site: Deployment, first: First) -> None:
    seed = int(os.environ.get("MO_TEST_SEED", "20261121"))
    chance = random.Random(seed)
    for number in range(int(os.environ.get("MO_TEST_KILLS", "3"))):
        for key in site.services:
            source = site.clone / "sandbox/monorepo" / site.services[key].source
            if source.is_dir() and (source / "index.php").exists():
                (source / "KILL").write_text(f"{number}\n")
        site.build()
        engine = site.start("bin/pulumi", "up", "--yes", "--skip-preview", "--stack", "sandbox")
        time.sleep(chance.uniform(0.5, 8.0))
        os.kill(engine.pid, signal.SIGKILL)
        engine.wait()
        done = site.up(expect=None)
        if done.returncode:
            # The killed engine's lock: seen and said, removed by hand, as with the CLI.
            assert "locked" in done.stdout, done.stdout[-3000:]
            site.run("bin/pulumi", "cancel", "--yes", "--stack", "sandbox")
            site.up()
        assert site.statuses() == dict.fromkeys(site.services, 200)
        assert {key: site.live(key) for key in site.services} == site.releases()
    assert ran(site.up("--expect-no-changes").stdout) == set()
