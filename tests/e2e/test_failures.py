"""One failure is one failure: of three independent services one fails at each step in turn, and the other two get their new releases.

One deployment, in this order; on the Pulumi CLI too, where there is one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.deployment import QUICK, Deployment, deployment
from tests.pulumi_cli import real_cli

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.xdist_group("e2e-failures")]

BAD, OTHERS = "support", ("newsletter", "consent")
SERVICES = (BAD, *OTHERS)
DEPLOY = ("bin/mo", "deploy", "--yes", *QUICK, *(word for key in SERVICES for word in ("--only", key)))
PAGE = "declare(strict_types=1);\n"


@pytest.fixture(scope="module", params=["embedded", pytest.param("cli", marks=pytest.mark.pulumi_cli)])
def site(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    if request.param == "cli" and real_cli() is None:
        pytest.skip("there is no Pulumi CLI")
    with deployment() as made:
        made.engine = request.param
        made.require_few_gates()
        yield made


def folder(site: Deployment) -> Path:
    return site.sandbox.root / ".deploy" / BAD


@contextmanager
def page(site: Deployment, code: str) -> Iterator[None]:
    """Code at the beginning of the bad service's page."""
    place = site.clone / f"sandbox/monorepo/services/{BAD}/index.php"
    text = place.read_text()
    assert text.count(PAGE) == 1
    place.write_text(text.replace(PAGE, PAGE + code + "\n"))
    yield
    place.write_text(text)


@contextmanager
def closed_to_writing(place: Path) -> Iterator[None]:
    mode = place.stat().st_mode
    place.chmod(0o555)
    yield
    place.chmod(mode)


@contextmanager
def present(place: Path, text: str) -> Iterator[None]:
    place.write_text(text)
    yield
    place.unlink()


@contextmanager
def new_secrets(site: Deployment) -> Iterator[None]:
    """An SMTP password that changes the secrets file of the bad service and of another, where the bad one's cannot be written."""
    path = site.sandbox.layout.settings
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    loaded["secrets"]["smtpPassword"] = "another one"
    path.write_text(yaml.safe_dump(loaded, sort_keys=False))
    with closed_to_writing(folder(site)):
        yield


def migration(site: Deployment) -> Path:
    return site.clone / f"sandbox/monorepo/services/{BAD}/migrations/0009_bad.sql"


FAILING = "http_response_code(500); exit;"
# While it is activated the page responds well, and no longer once that is over.
ONLY_MEANWHILE = f"if (!is_file(dirname((string) realpath(__DIR__), 2) . '/switching')) {{ {FAILING} }}"
FAULTS: dict[str, tuple[str, Callable[[Deployment], Any]]] = {
    "stage": ("stage", lambda site: closed_to_writing(folder(site) / "releases")),
    "env": ("secrets", new_secrets),
    "migrate": ("switch", lambda site: present(migration(site), "ALTER TABLE no_such_table ADD COLUMN x int;\n")),
    "switch": ("switch", lambda site: present(folder(site) / "restoring", "a snapshot\n")),
    "probe": ("switch", lambda site: page(site, FAILING)),
    "health": ("health", lambda site: page(site, ONLY_MEANWHILE)),
}


def exported(site: Deployment) -> dict[str, Any]:
    """The services of the output ``monitoring``, as ``bin/mo export`` reads it."""
    out = site.clone / "exported"
    site.run("bin/mo", "export", "--out", str(out))
    told = json.loads(site.run("bin/pulumi", "stack", "output", "monitoring", "--json", "--stack", "sandbox").stdout)
    return {entry["key"]: entry for entry in told["services"]}


def test_a_first_deployment_says_what_is_live_and_what_is_not(site: Deployment) -> None:
    with page(site, FAILING):
        site.build(*SERVICES)
        output = site.run(*DEPLOY, expect=1).stdout
    assert output.splitlines()[-1] == f"✗ Live: {', '.join(OTHERS)}. Not live: {BAD} (switch failed)."
    assert "back" not in output.split("✗ support: ")[-1]
    assert {key: site.live(key) for key in OTHERS} == site.releases(OTHERS)
    status = site.run("bin/mo", "status", expect=1).stdout
    assert f"✗ {BAD}: its release" in status
    told = exported(site)
    assert (told[BAD]["failed"], told[BAD]["release"]) == (True, None)
    assert {key: (told[key]["failed"], told[key]["release"]) for key in OTHERS} == {
        key: (False, release) for key, release in site.releases(OTHERS).items()
    }
    site.build(BAD)
    assert site.run(*DEPLOY).stdout.splitlines()[-1].startswith("✓ Live: ")
    site.run("bin/mo", "status")


@pytest.mark.parametrize("step", FAULTS)
def test_a_service_that_fails_takes_no_other_with_it(site: Deployment, step: str) -> None:
    former = {key: site.live(key) for key in SERVICES}
    for key in SERVICES:
        site.edit(f"services/{key}/index.php", f"// before {step}\n")
    failed, fault = FAULTS[step]
    # What the build is to see, and what the host is to: one or the other, and both are there all the while.
    with fault(site):
        site.build(*SERVICES)
        wanted = site.releases(SERVICES)
        output = site.run(*DEPLOY, expect=1).stdout
        report = site.report()
    assert all(wanted[key] != former[key] for key in SERVICES)
    assert {key: site.live(key) for key in SERVICES} == {**wanted, BAD: former[BAD]}
    lost = f"Rolled back: {BAD} (health failed)" if step == "health" else f"Not live: {BAD} ({failed} failed)"
    assert output.splitlines()[-1] == f"✗ Live: {', '.join(OTHERS)}. {lost}."
    (up,) = (phase for phase in report["phases"] if phase["name"] == "up")
    (failure,) = up["failures"]
    assert (failure["service"], failure["because"], failure["step"]) == (BAD, "failed", failed)
    assert failure["error"]
    told = exported(site)
    assert {key: told[key]["release"] for key in SERVICES} == {**wanted, BAD: former[BAD]}
    assert [key for key in SERVICES if told[key]["failed"]] == ([] if step == "health" else [BAD])


def test_the_next_deployment_settles_it(site: Deployment) -> None:
    site.edit(f"services/{BAD}/index.php", "// repaired\n")
    site.build(*SERVICES)
    assert site.run(*DEPLOY).stdout.splitlines()[-1] == f"✓ Live: {BAD}."
    site.run("bin/mo", "status")
