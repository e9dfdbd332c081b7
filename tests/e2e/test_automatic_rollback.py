"""All 22 services go back: by command without an upload, and by themselves where the site is wrong after an update.

One deployment, in this order. How long the way back takes is measured by ``python -m benchmarks.rollback``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployment import QUICK, Deployment, deployment, other_clone
from tests.e2e.poller import Poller

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.xdist_group("e2e-automatic-rollback")]

PAUSE = 0.25
"""Seconds between two questions to a service: 88 a second to all, beside an update on two cores."""
NO_PICTURES = tuple(word for part in ("visual", "lighthouse") for word in ("--skip", part))
FOR_BROWSERS = "str_contains($_SERVER['HTTP_USER_AGENT'] ?? '', 'Mozilla')"
"""A page that is wrong for browsers alone: smoke tests do not see it."""


@pytest.fixture(scope="module")
def site() -> Iterator[Deployment]:
    with deployment() as made:
        made.require_few_gates()
        made.build()
        made.run("bin/mo", "deploy", "--yes")
        yield made


@pytest.fixture(scope="module")
def first(site: Deployment) -> dict[str, Any]:
    """The report of the first deploy, with flows, pictures and Lighthouse."""
    return site.report()


ANSWERS = "17 of 22 services answer as they must, 5 files only (s3, n8n, logs, idp, grafana)"
"""The sandbox has no daemon of the external services."""


def all_live(site: Deployment) -> dict[str, str]:
    return {key: site.live(key) for key in site.services}


def told_by(site: Deployment) -> dict[str, str]:
    """The release that each service tells whoever asks."""
    found = {}
    for key, service in site.services.items():
        path = service.health.release_path or "/release.json"
        found[key] = json.loads(site.sandbox.get(key, path).body)["release"]
    return found


def issues(site: Deployment) -> list[dict[str, Any]]:
    """GitHub's issues, oldest first."""
    held: dict[str, dict[str, Any]] = site.sandbox.github.state()["issues"]
    return [held[number] for number in sorted(held, key=int)]


def labels(issue: dict[str, Any]) -> set[str]:
    return {label["name"] for label in issue["labels"]}


def uploads(site: Deployment) -> dict[str, tuple[int, int]]:
    """Every file of every release on the host: its inode and when it came. ``release.json`` apart, nothing rewrites one."""
    found = {}
    for path in (site.sandbox.root / ".deploy").glob("*/releases/r*/**/*"):
        if path.is_file() and not path.is_symlink():
            status = path.lstat()
            found[str(path)] = (status.st_ino, status.st_mtime_ns)
    return found


def sent_nothing(report: dict[str, Any], site: Deployment) -> None:
    """The rollback of the report found each of all releases on the host."""
    (phase,) = [one for one in report["phases"] if one["name"] == "rollback"]
    stages = {key: told["results"]["stage"] for key, told in phase["details"]["services"].items()}
    assert {key: (stage["uploaded"], stage["sent"]) for key, stage in stages.items()} == dict.fromkeys(site.services, (False, 0))
    assert sum(line["bytes"] for line in report["services"]) == 0


def written(report: dict[str, Any], site: Deployment) -> str:
    """The newest report's Markdown; it is the one of ``report``."""
    text = site.run("bin/mo", "report").stdout
    assert report["run"] in text
    return text


def test_the_first_deploy_has_looked_at_everything(site: Deployment, first: dict[str, Any]) -> None:
    assert first["succeeded"]
    outcomes = {one["name"]: one for one in first["phases"]}
    assert outcomes["smoke"]["summary"] == ANSWERS
    assert (outcomes["end-to-end"]["details"]["ran"], outcomes["end-to-end"]["details"]["failed"]) == (7, 0)
    assert [page["state"] for page in outcomes["visual"]["details"]["pages"]] == ["made"] * 3
    assert [page["service"] for page in outcomes["lighthouse"]["details"]["pages"]] == ["frontend"]


def test_a_rollback_of_all_services_uploads_nothing_and_neither_does_the_way_forward_again(
    site: Deployment, first: dict[str, Any]
) -> None:
    former = all_live(site)
    site.edit("shared/web/site.css", "/* another release of all but three */\n")
    for folder in ("frontend/public", "api.menschlichkeit-oesterreich.at"):
        (site.clone / "sandbox/monorepo" / folder / "another.txt").write_text("another release\n")
    site.run("bin/mo", "build")
    site.run("bin/mo", "deploy", "--yes", *QUICK)
    second = all_live(site)
    assert second == site.releases()
    assert all(second[key] != former[key] for key in site.services)
    there = uploads(site)

    site.run("bin/mo", "rollback", "--yes", "--reason", "the colours are wrong")
    report = site.report()
    assert (report["kind"], report["succeeded"]) == ("rollback", True)
    assert all_live(site) == told_by(site) == former
    sent_nothing(report, site)
    assert sum(line["bytes"] for line in first["services"]) > 1_000_000
    assert uploads(site) == there
    site.run("bin/mo", "rollback", "--yes", "--to", "2", "--reason", "they were right after all")
    assert all_live(site) == told_by(site) == second
    assert uploads(site) == there


def test_another_machine_takes_all_services_back_without_an_artefact_and_without_an_upload(site: Deployment) -> None:
    latest = all_live(site)
    there = uploads(site)
    with other_clone(site) as other:
        other.run("bin/mo", "rollback", "--yes", "--to", "1", "--reason", "seen from another machine")
        report = other.report()
        former = all_live(site)
        assert told_by(site) == former
        assert all(former[key] != latest[key] for key in site.services)
        sent_nothing(report, site)
        other.run("bin/mo", "rollback", "--yes", "--to", "2", "--reason", "and forward again")
        assert not (other.clone / "dist").exists()
    assert all_live(site) == told_by(site) == latest
    assert uploads(site) == there


@contextmanager
def trouble(site: Deployment, service: str) -> Iterator[None]:
    """As soon as the update has ended, and not before, a file appears that the service's new release stumbles over."""
    runs, over = site.clone / ".mo/sandbox/runs", threading.Event()
    known = set(runs.glob("*.jsonl"))
    file = site.sandbox.root / ".deploy" / service / "trouble"

    def watch() -> None:
        while not over.wait(0.01):
            for run in set(runs.glob("*.jsonl")) - known:
                if '"event":"end"' in run.read_text() and _ended(run, "up"):
                    file.touch()
                    return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
        assert file.exists(), "the update never ended"
    finally:
        over.set()
        thread.join()
        file.unlink(missing_ok=True)


def _ended(run: Path, phase: str) -> bool:
    lines = [json.loads(line) for line in run.read_text().split("\n")[:-1]]
    return any(line["event"] == "end" and line["phase"] == phase for line in lines)


def came_back(site: Deployment, wanted: dict[str, str], why: str, what: str = "Everything went back to the former releases") -> str:
    """All is as ``wanted``, and report, GitHub and history say what went back. The deployment's issue."""
    assert all_live(site) == told_by(site) == wanted
    report = site.report()
    assert (report["kind"], report["succeeded"]) == ("deployment", False)
    assert why in report["went_back"]
    outcomes = {one["name"]: one for one in report["phases"]}
    assert outcomes["rollback"]["ok"]
    assert outcomes["smoke after rollback"]["summary"] == ANSWERS
    text = written(report, site)
    assert "FAILED, rolled back" in text
    assert f"{what} because {report['went_back']}." in text

    deployed, incident = issues(site)[-2:]
    assert (deployed["state"], labels(deployed)) == ("open", {"deployment", "sandbox", "failed"})
    assert f"{what} because {report['went_back']}." in deployed["body"]
    assert (incident["state"], labels(incident)) == ("open", {"incident", "sandbox"})
    assert f"Rolled back because {report['went_back']}." in incident["body"]
    assert f"Deployment: #{deployed['number']}" in incident["body"]
    (last,) = json.loads(site.run("bin/mo", "history", "-n", "1", "--json").stdout)
    assert last["message"].startswith("automatic rollback ")
    assert last["releases"] == wanted
    assert json.loads(site.run("bin/mo", "status", "--json").stdout)["interrupted"] is None
    return str(deployed["body"])


def hurt(site: Deployment, service: str, where: str) -> Callable[[], object]:
    """Makes a service's page answer 500 under a condition; gives what mends it."""
    page = site.clone / f"sandbox/monorepo/services/{service}/index.php"
    text = page.read_text()
    begin = "declare(strict_types=1);\n"
    assert text.count(begin) == 1
    page.write_text(text.replace(begin, f"{begin}if ({where}) {{ http_response_code(500); exit; }}\n"))
    return lambda: page.write_text(text)


def test_a_service_that_fails_after_the_update_goes_back_and_leaves_the_others(site: Deployment) -> None:
    former = all_live(site)
    # The release is good while it is switched; what it stumbles over comes afterwards. The last but one that the smoke tests ask.
    whole = hurt(site, "admin_stg", "is_file(dirname((string) realpath(__DIR__), 2) . '/trouble')")
    site.edit("services/votes/index.php", "// a good change, which stays\n")
    site.run("bin/mo", "build", "admin_stg", "votes")
    with Poller(site, PAUSE) as poller, trouble(site, "admin_stg"):
        output = site.run("bin/mo", "deploy", "--only", "admin_stg", "--only", "votes", "--yes", *QUICK, expect=1).stdout
    whole()
    assert "the smoke test of admin_stg failed: admin_stg goes back to the former release; the others stay" in output
    assert output.splitlines()[-1] == "✗ Live: votes. Rolled back: admin_stg (smoke test failed)."
    wanted = {**former, "votes": site.releases()["votes"]}
    assert wanted["votes"] != former["votes"]
    body = came_back(site, wanted, "the smoke test of admin_stg failed", "admin_stg went back to its former release")
    assert "| votes |" in body
    # The broken one itself may have been seen so; no other was.
    assert {key: spans for key, spans in poller.failures().items() if key != "admin_stg"} == {}
    assert all(len(poller.records[key].answers) > 10 for key in site.services)


def test_two_broken_flows_of_seven_take_everything_back(site: Deployment) -> None:
    former = all_live(site)
    for service in ("support", "consent"):
        hurt(site, service, FOR_BROWSERS)
    site.run("bin/mo", "build", "support", "consent")
    with Poller(site, PAUSE) as poller:
        output = site.run("bin/mo", "deploy", "--only", "support", "--only", "consent", "--yes", *NO_PICTURES, expect=1).stdout
    why = "2 of 7 end-to-end flows failed, more than 10 % (support ticket, GDPR consent)"
    assert f"{why}: everything goes back" in output
    came_back(site, former, why)
    report = site.report()
    (flows,) = [one for one in report["phases"] if one["name"] == "end-to-end"]
    states = {one["name"]: one["state"] for one in flows["details"]["flows"]}
    assert {name for name, state in states.items() if state == "failed"} == {"support-ticket", "consent"}
    folder = site.clone / "quality-reports" / report["run"]
    pictures = [name for one in flows["details"]["flows"] if one["state"] == "failed" for name in one["files"]]
    assert pictures
    assert all((folder / name).stat().st_size > 0 for name in pictures)
    assert poller.failures() == {}
    assert all(len(poller.records[key].answers) > 10 for key in site.services)
