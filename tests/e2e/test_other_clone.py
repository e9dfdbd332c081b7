"""Another person, on another machine, with a fresh clone: what only needs what the host holds works there too.

One deployment of four services by a first clone, three times; then, in this order, a second clone that never built anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.deployment import QUICK, Deployment, deployment, other_clone
from tests.e2e.test_automatic_rollback import hurt, trouble
from tests.e2e.test_rollback import SERVICES, another, at, killed, lines_of, shown

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.xdist_group("e2e-other-clone")]

REASON = ("--reason", "seen from another machine")


@pytest.fixture(scope="module")
def site() -> Iterator[Deployment]:
    with deployment() as made:
        made.require_few_gates()
        made.build(*SERVICES)
        made.run("bin/mo", "deploy", "--yes", *QUICK)
        yield made


@pytest.fixture(scope="module")
def weeks(site: Deployment) -> list[dict[str, str]]:
    """The releases after each of three deploys; the last one brought a migration."""
    found = [shown(site)]
    another(site)
    site.run("bin/mo", "deploy", "--yes", *QUICK)
    found.append(shown(site))
    folder = site.clone / "sandbox/monorepo/services/support/migrations"
    (folder / f"{len(list(folder.glob('*.sql'))) + 1:04}_other.sql").write_text("ALTER TABLE tickets ADD COLUMN other TINYINT;\n")
    another(site)
    site.run("bin/mo", "deploy", "--yes", *QUICK)
    return [*found, shown(site)]


@pytest.fixture(scope="module")
def other(site: Deployment, weeks: list[dict[str, str]]) -> Iterator[Deployment]:
    with other_clone(site) as made:
        yield made


def mo(site: Deployment, *arguments: str, expect: int | None = 0) -> str:
    return site.run("bin/mo", *arguments, expect=expect).stdout


def told(site: Deployment, *arguments: str, expect: int | None = 0) -> Any:
    return json.loads(mo(site, *arguments, "--json", expect=expect))


def phase(site: Deployment, name: str) -> dict[str, Any]:
    """A phase of the last run."""
    (found,) = [one for one in site.report()["phases"] if one["name"] == name]
    return dict(found)


def test_status_and_drift_know_all(other: Deployment, weeks: list[dict[str, str]]) -> None:
    assert not (other.clone / "dist").exists()
    rows = {row["service"]: row for row in told(other, "status")["services"]}
    assert {key: rows[key]["release"] for key in SERVICES} == weeks[2]
    assert {rows[key]["problem"] for key in SERVICES} == {None}
    assert told(other, "drift") == []


def test_a_rollback_of_one_service_moves_that_one_alone(other: Deployment, weeks: list[dict[str, str]]) -> None:
    """Every other step's input is the same byte for byte, whichever machine makes it: none of them runs."""
    mo(other, "rollback", "--yes", "--only", "votes", *REASON)
    assert set(phase(other, "rollback")["details"]["services"]) == {"votes"}
    assert shown(other) == {**weeks[2], "votes": weeks[1]["votes"]}


def test_a_rollback_goes_to_each_earlier_update_and_forward_again(other: Deployment, weeks: list[dict[str, str]]) -> None:
    text = mo(other, "rollback", "--yes", "--to", "2", *REASON)
    assert shown(other) == weeks[1]
    assert "support: its database stays ahead of this release by 0" in text
    mo(other, "rollback", "--yes", "--to", "1", *REASON)
    assert shown(other) == weeks[0]
    mo(other, "rollback", "--yes", "--to", "3", *REASON)
    assert shown(other) == weeks[2]
    stages = {key: one["results"]["stage"] for key, one in phase(other, "rollback")["details"]["services"].items()}
    assert {key: (one["uploaded"], one["sent"]) for key, one in stages.items()} == dict.fromkeys(SERVICES, (False, 0))
    assert not (other.clone / "dist").exists()


def test_one_service_is_deployed_and_the_others_need_nothing(other: Deployment, weeks: list[dict[str, str]]) -> None:
    other.edit("website/index.html", "<!-- by another person -->\n")
    other.build("main")
    assert [one.name for one in (other.clone / "dist").iterdir() if (one / "tree").is_dir()] == ["main"]
    mo(other, "deploy", "--yes", "--only", "main", *QUICK)
    assert set(phase(other, "up")["details"]["services"]) == {"main"}
    assert shown(other) == {**weeks[2], "main": other.releases(["main"])["main"]}


def test_a_failed_smoke_test_takes_everything_back(other: Deployment) -> None:
    former = shown(other)
    whole = hurt(other, "votes", "is_file(dirname((string) realpath(__DIR__), 2) . '/trouble')")
    other.build("votes")
    with trouble(other, "votes"):
        text = mo(other, "deploy", "--yes", "--only", "votes", *QUICK, expect=1)
    whole()
    assert "the smoke test of votes failed: everything goes back" in text
    assert shown(other) == former


def test_what_another_machine_left_is_seen_and_ended(site: Deployment, other: Deployment) -> None:
    """The first clone is killed after its update; the second one goes on with it, and the first one knows."""
    meant = another(site)
    run = killed(site, when=at("start", "smoke"), engine_too=True)
    assert ("start", "smoke") in lines_of(run), run.read_text()[-4000:]
    cut = told(other, "status", expect=1)["interrupted"]
    assert (cut["run"], cut["changed"]) == (run.stem, True)
    text = mo(other, "deploy", "--resume")
    assert f"Going on with the deployment {run.stem}" in text
    assert shown(other) == meant
    assert told(other, "status")["interrupted"] is None
    assert told(site, "status")["interrupted"] is None

    # Killed in the middle of it, another goes back. Before the host has its copy, nothing has changed there.
    another(site)
    copies = site.sandbox.root / ".deploy/.operations/sandbox.runs"
    killed(site, when=lambda made: made is not None and (copies / made.name).exists(), engine_too=True)
    assert "Undoing the deployment" in mo(other, "rollback", "--yes", *REASON)
    assert shown(other) == meant
    assert told(other, "status")["interrupted"] is None


def test_drift_is_repaired(site: Deployment, other: Deployment) -> None:
    live = {key: site.live(key) for key in SERVICES}
    link = site.sandbox.root / site.services["main"].path
    former = next(
        path.name
        for path in sorted((site.sandbox.root / ".deploy/main/releases").glob("r*"))
        if path.is_dir() and path.name != live["main"]
    )
    relative = str(link.readlink()).replace(live["main"], former)
    site.sandbox.ssh(f"ln -sfn '{relative}' '{link}'")
    (drift,) = told(other, "drift", expect=7)
    assert (drift["service"], drift["kind"]) == ("main", "release")
    mo(other, "drift", "--mend", "--yes")
    assert {key: site.live(key) for key in SERVICES} == live
    assert shown(other)["main"] == live["main"]


def test_with_a_backend_of_its_own_it_says_that_another_one_knows_the_stack(site: Deployment, other: Deployment) -> None:
    """Nothing is deployed by this state, and all of it is on the host."""
    folder = other.clone.parent / "state"
    folder.mkdir()
    person = {**other.person, "PULUMI_BACKEND_URL": f"file://{folder}", "PULUMI_CONFIG_PASSPHRASE": "sandbox"}
    alone = Deployment(other.clone, other.sandbox, person)
    for command in (("status",), ("drift",)):
        text = mo(alone, *command, expect=1)
        assert "the host runs 4 of its services" in text, text
        assert "another backend" in text
