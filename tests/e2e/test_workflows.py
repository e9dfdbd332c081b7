"""The workflows and the Saturday, rehearsed: their own steps on fresh machines, against production's host, a sandbox host and a GitHub.

The tests follow each other as the days do: the first deployment from a laptop, the next one from GitHub, then what comes after it.
"""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.scene import Scene, prepared
from tests.rehearsal.workflow import Event, JobResult

pytestmark = pytest.mark.sandbox

PROJECT = Path(__file__).resolve().parents[2]
PAGE = "website/index.html"
QUICK = "--skip end-to-end --skip visual --skip lighthouse"


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """One for all tests of this file."""
    with prepared() as made:
        made.host.github.control(permissions={"ada": "write", "mallory": "read"})
        yield made


def passed(jobs: Mapping[str, JobResult], *names: str) -> None:
    for name in names or tuple(jobs):
        job = jobs[name]
        failed = "\n".join(step.log[-5000:] for step in job.steps if step.outcome == "failure")
        assert job.result == "success", f"{name}: {job.result}\n{failed}"
        assert not job.shown, f"{name} prints {job.shown}"


def labelled(scene: Scene, label: str, sender: str, created: str | None = None) -> Mapping[str, JobResult]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    issue = {"number": 12, "created_at": created or now}
    event: dict[str, Any] = {"action": "labeled", "label": {"name": label}, "issue": issue, "sender": {"login": sender}}
    return scene.starts("rollback", Event("issues", event))


def saturday() -> list[str]:
    """The commands of the runbook's table, as they stand there, from the build on."""
    text = (PROJECT / "docs/runbook.md").read_text()
    table = text[text.index("| time (UTC) | command | you see |") :].split("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    commands = [command for row in rows for command in re.findall(r"`([^`]+)`", row[1]) if row[0] > "| 08:10"]
    assert len(commands) >= 8, commands
    return commands


def test_the_saturday_goes_as_the_runbook_has_it_with_a_sandbox_host_beside_production_s(scene: Scene) -> None:
    scene.at_the_laptop(f"bin/pulumi login {scene.backend}")
    said = {}
    for command in saturday():
        # Nobody sits at this terminal; what the sandbox's own tests look at is not looked at again.
        asks = command.startswith("bin/mo deploy") and "--plan" not in command
        full = f"{command} --yes{f' {QUICK}' if '--stack sandbox' in command else ''}" if asks else command
        said[command] = scene.at_the_laptop(full)
    assert "3 of 3 services answer as they must" in said["bin/mo deploy"]
    assert "- [x] Deployment production" in (scene.laptop / "monorepo/TODO.md").read_text()
    assert set(scene.live()) == {"main", "status", "consent"}
    reports = sorted(path.name for path in (scene.laptop / "mo-deploy/quality-reports").glob("personal-data-*.json"))
    assert reports == ["personal-data-production.json", "personal-data-sandbox.json"]
    scene.at_the_laptop("make sandbox-down")


def test_the_workflow_deploy_brings_the_next_version_from_build_to_report(scene: Scene) -> None:
    before = scene.live()
    scene.push("monorepo", {PAGE: (scene.folder / "work/monorepo" / PAGE).read_text() + "<!-- second version -->\n"})
    jobs = scene.by_hand("deploy", stack="production")
    passed(jobs)
    done = {step.name: step for step in jobs["deploy"].steps}
    assert done["New baselines"].outcome == "skipped"
    assert "main" in done["Preview with policies, up, validation, report"].log
    attested = [step for step in jobs["build"].steps if "attest-build-provenance" in step.name]
    assert [step.outcome for step in attested] == ["skipped"], "GitHub attests no build of a private repository"
    assert {key for key, release in scene.live().items() if release != before[key]} == {"main"}
    assert "second version" in scene.host.get("main", "/").body
    assert "- [x] Deployment production" in scene.git("monorepo", "show", "main:TODO.md") or _pulled(scene)


def test_no_artefact_of_a_run_holds_a_secret(scene: Scene) -> None:
    held = {**scene.production_secrets, **scene.host.github.secrets()["production"]}
    secret = {name: value.splitlines()[len(value.splitlines()) // 2].encode() for name, value in held.items() if len(value) > 20}
    assert {"PULUMI_CONFIG_PASSPHRASE", "SSH_PRIVATE_KEY", "MO_SIGNING_KEY", "MO_CONSENT_DB_PASS", "JWT_SECRET"} <= set(secret)
    archives = list(scene.folder.glob("artifact-*.zip"))
    assert len(archives) >= 3, "dist, reports, records"
    for archive in archives:
        with zipfile.ZipFile(archive) as packed:
            found = {name for entry in packed.namelist() for name, value in secret.items() if value in packed.read(entry)}
        assert not found - {"CIVIMAIL_FROM", "CIVIMAIL_BOUNCE", "SUPPORT_EMAIL", "SMTP_USER", "SMTP_HOST"}, archive.name


def _pulled(scene: Scene) -> bool:
    scene.git("monorepo", "pull", "-q", "--rebase", "origin", "main")
    return "- [x] Deployment production" in (scene.folder / "work/monorepo/TODO.md").read_text()


def test_the_workflow_secrets_proves_that_a_job_sees_each_and_names_those_that_it_lacks(scene: Scene) -> None:
    (job,) = [job for job in scene.by_hand("secrets", environment="production").values() if job.result != "skipped"]
    assert job.result == "success", job.log
    assert "present: MO_CONSENT_DB_PASS" in job.log
    scene.host.github.control(drop_secret=["production", "JWT_SECRET"])
    (job,) = [job for job in scene.by_hand("secrets", environment="production").values() if job.result != "skipped"]
    assert job.result == "failure"
    assert "missing in this environment: JWT_SECRET;" in job.log


def test_the_workflow_drift_is_green_until_somebody_changes_the_host(scene: Scene) -> None:
    passed(scene.by_hand("drift"))
    page = scene.host.root / "menschlichkeit-oesterreich.at" / "index.html"
    kept, mode = page.read_bytes(), page.stat().st_mode
    page.chmod(0o644)
    page.write_bytes(kept + b"<!-- defaced -->")
    jobs = scene.by_hand("drift")
    page.write_bytes(kept)
    page.chmod(mode)
    assert jobs["drift"].result == "failure"
    assert "(exit code 7)" in jobs["drift"].log


def test_a_label_rolls_back_where_its_sender_may_write_and_once(scene: Scene) -> None:
    second = scene.live()
    ignored = labelled(scene, "bug", "ada")
    assert {job.result for job in ignored.values()} == {"skipped"}
    foreign = labelled(scene, "critical-bug", "mallory")
    assert (foreign["asked"].result, foreign["rollback"].result) == ("failure", "skipped")
    assert scene.live() == second
    passed(labelled(scene, "critical-bug", "ada"))
    assert scene.live()["main"] != second["main"]
    assert "second version" not in scene.host.get("main", "/").body
    again = labelled(scene, "security-incident", "ada")
    assert again["rollback"].result == "failure"
    assert "critical-bug, issue #12" in str(scene.host.github.state()["issues"]), "the reason is whole, with its number"


def test_a_rollback_by_hand_goes_to_the_update_that_is_named(scene: Scene) -> None:
    jobs = scene.by_hand("rollback", stack="production", to="2", reason="the label was set by mistake")
    passed(jobs)
    assert "second version" in scene.host.get("main", "/").body


def test_a_pull_request_s_plan_shows_its_own_change_against_its_base(scene: Scene) -> None:
    base = scene.git("mo-deploy", "rev-parse", "HEAD")
    scene.git("mo-deploy", "checkout", "-q", "-b", "feature")
    page = scene.folder / "work/mo-deploy/sandbox/monorepo" / PAGE
    head = scene.push("mo-deploy", {f"sandbox/monorepo/{PAGE}": page.read_text() + "<!-- feature -->\n"}, branch="feature")
    scene.git("mo-deploy", "checkout", "-q", "--detach", base)
    scene.git("mo-deploy", "merge", "-q", "--no-ff", "-m", "Merge", head)
    scene.git("mo-deploy", "push", "-q", "origin", "HEAD:refs/pull/5/merge")
    scene.git("mo-deploy", "checkout", "-q", "main")
    number = _pull_request(scene)
    event = {
        "action": "opened",
        "pull_request": {"number": number, "head": {"repo": {"full_name": scene.stand.repository.name}}},
    }
    jobs = scene.starts("preview", Event("pull_request", event, ref="refs/pull/5/merge"))
    passed(jobs)
    (comment,) = scene.host.github.state()["comments"].values()
    plan = comment["body"]
    assert re.search(r"^main: r[0-9a-f]{16} → r[0-9a-f]{16}$", plan, re.MULTILINE), plan
    assert "index.html" in plan or "files: 1" in plan or "changed" in plan, plan
    for other in ("status", "consent"):
        assert not re.search(rf"^{other}: ", plan, re.MULTILINE), plan
    assert "nothing live" not in plan


def _pull_request(scene: Scene) -> int:
    """Its number: a pull request is an issue, too."""
    issues = scene.host.github.state()["issues"]
    return max(map(int, issues))
