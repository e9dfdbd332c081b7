"""The workflows of GitHub Actions: safe by their own linter, pinned by digest, and made of commands that exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from catalog import reader, secret_names
from operations.app import app, register
from operations.deployment.trigger import Kind

PROJECT = Path(__file__).parents[2]
WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    document = yaml.safe_load(workflow.read_text())
    return [step for job in document["jobs"].values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    assert {w.stem for w in WORKFLOWS} >= {"ci", "preview", "deploy", "drift", "rollback", "secrets"}


def test_zizmor_finds_nothing() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("zizmor")), "--offline", "--no-progress", str(PROJECT / ".github/workflows")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda w: w.stem)
def test_every_action_is_pinned_by_digest_and_says_its_version(workflow: Path) -> None:
    for line in workflow.read_text().splitlines():
        if "uses:" in line:
            assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda w: w.stem)
def test_no_expression_stands_in_a_shell_step(workflow: Path) -> None:
    for step in steps(workflow):
        assert "${{" not in step.get("run", ""), step


def test_a_pull_request_s_workflows_see_no_secret() -> None:
    for workflow in WORKFLOWS:
        text = workflow.read_text()
        if "pull_request" in yaml.safe_load(text).get(True, {}):
            assert "secrets." not in text, workflow.name


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda w: w.stem)
def test_a_deploy_is_never_cancelled_in_the_middle(workflow: Path) -> None:
    document = yaml.safe_load(workflow.read_text())
    group = document["concurrency"]
    assert group["cancel-in-progress"] is not group["group"].startswith("deploy-")


STUB = """#!/bin/sh
{ printf '%s' "$0"; for argument; do printf '\\t%s' "$argument"; done; printf '\\n'; } >> "$RECORD"
case "$0 $*" in */gh*--paginate*) printf '%s' "${FOUND:-}" ;; */ssh-add*) cat > /dev/null ;; esac
"""
PROGRAMS = ("bin/mo", "bin/setup", "bin/pulumi", "path/make", "path/gh", "path/ssh-agent", "path/ssh-add")


def performed(step: dict[str, Any], folder: Path, **environment: str) -> list[list[str]]:
    """Runs a shell step as the runner does, where every program of ours only records how it was called."""
    record = folder / "record"
    record.unlink(missing_ok=True)
    for name in PROGRAMS:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(STUB)
        (folder / name).chmod(0o755)
    named = {name: environment.get(name, "") for name in step.get("env", {})}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={
            "PATH": f"{folder}/path:/usr/bin:/bin",
            "RECORD": str(record),
            "RUNNER_TEMP": str(folder),
            "GITHUB_ENV": str(folder / "environment"),
            "SSH_AUTH_SOCK": "/agent",
            **named,
            **{key: value for key, value in environment.items() if key == "FOUND"},
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = record.read_text().splitlines() if record.exists() else []
    return [[Path(words[0]).name, *words[1:]] for words in (line.split("\t") for line in lines)]


def _parsed(arguments: list[str]) -> dict[str, Any]:
    """The parameters that ``bin/mo`` reads from a command line; fails where it would refuse them."""
    register()
    group: Any = typer.main.get_command(app)
    with group.make_context("bin/mo", list(arguments)) as context:
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        inner = command.make_context(name, rest, parent=context)
        return {"command": name, **inner.params}


SHELL = [
    pytest.param(workflow, step, id=f"{workflow.stem}-{n}")
    for workflow in WORKFLOWS
    if workflow.stem != "ci"
    for n, step in enumerate(steps(workflow))
    if "bin/mo" in step.get("run", "")
]


@pytest.mark.parametrize(("workflow", "step"), SHELL)
def test_a_step_calls_a_command_that_there_is_with_options_that_it_has(
    workflow: Path, step: dict[str, Any], tmp_path: Path
) -> None:
    known = {"STACK": "staging", "REASON": "the login is broken; 'quoted' $HOME", "TO": "7", "SIGNING_KEY": "key"}
    calls = [call for call in performed(step, tmp_path, **known) if call[0] == "mo"]
    assert calls
    for call in calls:
        parsed = _parsed(call[1:])
        assert parsed["stack"] in ("staging", "production", "sandbox")
        if workflow.stem == "rollback":
            assert (parsed["reason"], parsed["to"], parsed["yes"]) == (known["REASON"], "7", True)


def test_a_rollback_without_a_goal_goes_to_the_one_before(tmp_path: Path) -> None:
    (step,) = [step for step in steps(PROJECT / ".github/workflows/rollback.yml") if step.get("name") == "Roll back"]
    ((_, *call),) = performed(step, tmp_path, STACK="staging", REASON="the login is broken")
    assert _parsed(call)["to"] is None


@pytest.mark.parametrize("kind", list(Kind))
def test_a_label_s_rollback_says_what_was_reported_and_when(kind: Kind, tmp_path: Path) -> None:
    (step,) = [step for step in steps(PROJECT / ".github/workflows/rollback.yml") if step.get("name") == "Roll back"]
    told = {"TRIGGER": kind.value, "REPORTED": "2026-11-21T11:00:00Z", "REASON": f"{kind.value}, issue #12"}
    ((_, *call),) = performed(step, tmp_path, STACK="production", **told)
    parsed = _parsed(call)
    assert (parsed["stack"], parsed["trigger"], parsed["reported"]) == ("production", kind, "2026-11-21T11:00:00Z")


def test_a_rollback_starts_by_hand_or_by_the_two_labels_alone_and_waits_for_its_environment() -> None:
    document = yaml.safe_load((PROJECT / ".github/workflows/rollback.yml").read_text())
    assert document[True].keys() == {"workflow_dispatch", "issues"}
    assert document[True]["issues"] == {"types": ["labeled"]}
    asked, rollback = document["jobs"]["asked"], document["jobs"]["rollback"]
    named = "github.event_name == 'workflow_dispatch' || " + " || ".join(f"github.event.label.name == '{k.value}'" for k in Kind)
    assert " ".join(asked["if"].split()) == named
    # Another label's run has a group of its own: one that waits in a group is taken the place of.
    assert " ".join(document["concurrency"]["group"].split()) == (
        f"deploy-${{{{ ({named}) && (inputs.stack || 'production') || github.run_id }}}}"
    )
    assert "environment" not in asked
    assert "secrets." not in json.dumps(asked)
    assert (rollback["needs"], rollback["environment"]) == ("asked", "${{ inputs.stack || 'production' }}")
    assert "if" not in rollback, "it would run although whoever labelled the issue may not write"


@pytest.mark.parametrize(
    ("permission", "code"), [("admin", 0), ("write", 0), ("read", 1), ("none", 1), ("", 1), (None, 1), ("write\nadmin", 1)]
)
def test_the_label_of_somebody_who_may_not_write_starts_no_rollback(permission: str | None, code: int, tmp_path: Path) -> None:
    document = yaml.safe_load((PROJECT / ".github/workflows/rollback.yml").read_text())
    (step,) = document["jobs"]["asked"]["steps"]
    assert step["if"] == "github.event_name == 'issues'"
    answer = "exit 1" if permission is None else f"printf %s '{permission}'"
    (tmp_path / "gh").write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/asked"\n{answer}\n')
    (tmp_path / "gh").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "REPOSITORY": "acme/site", "SENDER": "mallory"}
    done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", step["run"]], env=environment, capture_output=True, check=False)
    assert done.returncode == code
    assert (tmp_path / "asked").read_text() == "api repos/acme/site/collaborators/mallory/permission --jq .permission\n"


def test_the_plan_s_comment_is_edited_in_place(tmp_path: Path) -> None:
    (step,) = [step for step in steps(PROJECT / ".github/workflows/preview.yml") if "comment.md" in step.get("run", "")]
    (tmp_path / "plan.txt").write_text("22 to create\n")
    first = performed(step, tmp_path, REPOSITORY="acme/site", NUMBER="5")
    assert first[-1][:5] == ["gh", "api", "--method", "POST", "repos/acme/site/issues/5/comments"]
    again = performed(step, tmp_path, REPOSITORY="acme/site", NUMBER="5", FOUND="77")
    assert again[-1][:5] == ["gh", "api", "--method", "PATCH", "repos/acme/site/issues/comments/77"]
    assert (tmp_path / "comment.md").read_text().startswith("<!-- mo-deploy plan -->\n```\n22 to create\n")


def test_the_signing_key_is_gone_after_the_build(tmp_path: Path) -> None:
    (step,) = [step for step in steps(PROJECT / ".github/workflows/deploy.yml") if step.get("name") == "Build and sign"]
    ((_, *call),) = performed(step, tmp_path, STACK="staging", SIGNING_KEY="canary")
    key = _parsed(call)["key"]
    assert key.parent == tmp_path
    assert not key.exists()
    assert "canary" not in " ".join(call)


@pytest.mark.parametrize("environment", secret_names.ENVIRONMENTS)
def test_the_look_at_the_secrets_names_each_that_a_job_needs_and_shows_none(environment: str, tmp_path: Path) -> None:
    job = yaml.safe_load((PROJECT / ".github/workflows/secrets.yml").read_text())["jobs"][environment]
    assert job["environment"] == environment
    (step,) = job["steps"]
    needed = secret_names.of_stack(reader.read().of_stack(environment))
    assert step["env"] == {f"SEEN_{name}": f"${{{{ secrets.{name} }}}}" for name in needed}

    def look(values: dict[str, str]) -> subprocess.CompletedProcess[str]:
        seen = {"PATH": "/usr/bin:/bin", **{f"SEEN_{name}": values.get(name, "") for name in needed}}
        return subprocess.run(["bash", "-e", "-c", step["run"]], env=seen, capture_output=True, text=True, check=False)

    whole = {name: f"kanarie $HOME 'x' {name.lower()}" for name in needed}
    done = look(whole)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"present: {name}" for name in needed]
    lacking = look({name: value for name, value in whole.items() if name not in ("JWT_SECRET", "SMTP_PASS")})
    assert lacking.returncode == 1
    assert "missing in this environment: JWT_SECRET SMTP_PASS" in lacking.stdout
    assert "kanarie" not in done.stdout + done.stderr + lacking.stdout + lacking.stderr


def test_every_secret_that_a_workflow_reads_is_one_of_the_list() -> None:
    listed = {secret.name for secret in secret_names.THEIRS} | {*secret_names.of_stack(reader.read().services)}
    # Needed by some set-ups only: Pulumi Cloud as backend, a private monorepo, the gate codacy.
    listed |= {"PULUMI_ACCESS_TOKEN", "MONOREPO_TOKEN", "CODACY_API_TOKEN"}
    for workflow in WORKFLOWS:
        assert set(re.findall(r"secrets\.([A-Z0-9_]+)", workflow.read_text())) <= listed, workflow.name
