"""The workflows of GitHub Actions: safe by their own linter, pinned by digest, and made of commands that exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from catalog import provenance, reader, secret_names
from catalog.provenance import Expectation
from components.remote.client import artefact
from components.remote.client.manifest import verified
from operations import workflow_secrets
from operations.app import app, register
from operations.build import build, signing
from operations.deployment.trigger import Kind
from tests.rehearsal.expressions import Open, condition
from tests.unit.build.monorepo import Monorepo, service
from tests.unit.build.test_provenance import commit

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


def _actionlint(*workflows: Path) -> subprocess.CompletedProcess[str]:
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    program = shutil.which("actionlint", path=beside)
    assert program is not None, "actionlint is not installed: run bin/setup"
    return subprocess.run([program, *map(str, workflows)], cwd=PROJECT, capture_output=True, text=True, check=False)


def test_actionlint_finds_nothing() -> None:
    done = _actionlint(*WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_the_comment_that_cut_the_rollback_s_reason_short(tmp_path: Path) -> None:
    text = (PROJECT / ".github/workflows/rollback.yml").read_text()
    reason = re.search(r'^ +REASON: "(.*)"$', text, re.MULTILINE)
    assert reason is not None
    (tmp_path / "rollback.yml").write_text(text.replace(f'"{reason[1]}"', reason[1]))
    done = _actionlint(tmp_path / "rollback.yml")
    assert done.returncode == 1
    assert "rollback.yml" in done.stdout
    assert "end of string literal" in done.stdout


def test_the_linters_of_the_workflows_are_part_of_every_check() -> None:
    (recipe,) = re.findall(r"^check:.*\n((?:\t.*\n)+)", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert {"@actionlint", "@zizmor"} <= {line.split()[0] for line in recipe.splitlines()}
    assert "make check" in (PROJECT / ".ci/run").read_text().splitlines()


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


def test_the_nightly_look_keeps_no_deployment_waiting_and_waits_for_no_reviewer() -> None:
    documents = {workflow.stem: yaml.safe_load(workflow.read_text()) for workflow in WORKFLOWS}
    group = documents["drift"]["concurrency"]["group"]
    others = [documents[name]["concurrency"]["group"] for name in ("deploy", "rollback")]
    for environment in secret_names.ENVIRONMENTS:
        assert group not in [other.replace("${{ inputs.stack }}", environment) for other in others]
    (job,) = documents["drift"]["jobs"].values()
    assert job["environment"] == secret_names.DRIFT
    assert secret_names.DRIFT not in secret_names.ENVIRONMENTS
    read = set(re.findall(r"secrets\.([A-Z0-9_]+)", str(job)))
    backends = {secret.name for secrets in secret_names.BY_BACKEND.values() for secret in secrets}
    assert read == {*secret_names.DRIFT_NEEDS, *backends}


STUB = """#!/bin/sh
{ printf '%s' "$0"; for argument; do printf '\\t%s' "$argument"; done; printf '\\n'; } >> "$RECORD"
case "$0 $*" in */gh*--paginate*) printf '%s' "${FOUND:-}" ;; */ssh-add*) cat > /dev/null ;; esac
"""
PROGRAMS = ("bin/mo", "bin/setup", "bin/pulumi", "path/git", "path/make", "path/gh", "path/ssh-agent", "path/ssh-add")


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


def test_the_gates_look_at_this_build_on_a_sandbox_before_the_stack_is_deployed(tmp_path: Path) -> None:
    done = [
        call
        for step in steps(PROJECT / ".github/workflows/deploy.yml")
        if "bin/mo" in step.get("run", "") and step.get("name") != "Build and sign"
        for call in performed(step, tmp_path, STACK="staging")
    ]
    assert [(call[1], _parsed(call[1:])["stack"]) for call in done if call[0] == "mo"] == [
        ("gates", "sandbox"), ("deploy", "sandbox"), ("gates", "staging"), ("deploy", "staging"), ("validate", "staging")
    ]  # fmt: skip
    assert ["make", "sandbox-up"] in done
    (sandbox,) = [step for step in steps(PROJECT / ".github/workflows/deploy.yml") if "make sandbox-up" in step.get("run", "")]
    assert sandbox["env"] == {"MO_SANDBOX_STACK": "${{ inputs.stack }}"}, "it takes the builds of the stack, and sees no secret"


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


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_a_plan_says_where_its_base_could_not_be_deployed(outcome: str, tmp_path: Path) -> None:
    document = yaml.safe_load((PROJECT / ".github/workflows/preview.yml").read_text())["jobs"]["preview"]["steps"]
    (base,) = [step for step in document if step.get("id") == "base"]
    assert base["continue-on-error"] is True, "a pull request may be what repairs its base"
    (step,) = [step for step in document if "--plan" in step.get("run", "")]
    performed(step, tmp_path, BASE=outcome)
    told = (tmp_path / "plan.txt").read_text()
    assert ("The base could not be deployed (failure)" in told) is (outcome == "failure")


def test_the_signing_key_is_gone_after_the_build(tmp_path: Path) -> None:
    (step,) = [step for step in steps(PROJECT / ".github/workflows/deploy.yml") if step.get("name") == "Build and sign"]
    calls = performed(step, tmp_path, STACK="staging", SIGNING_KEY="canary")
    assert [_parsed(call)["stack"] for _, *call in calls] == ["production", "staging"]
    for _, *call in calls:
        key = _parsed(call)["key"]
        assert key.parent == tmp_path
        assert not key.exists()
        assert "canary" not in " ".join(call)


def _jobs() -> list[Any]:
    return [
        pytest.param(job, id=f"{workflow.stem}-{name}")
        for workflow in WORKFLOWS
        for name, job in yaml.safe_load(workflow.read_text())["jobs"].items()
    ]


@pytest.mark.parametrize("job", _jobs())
def test_a_job_that_reads_a_secret_is_in_an_environment_that_has_it(job: dict[str, Any]) -> None:
    read = set(re.findall(r"secrets\.([A-Z0-9_]+)", str(job["steps"])))
    assert not read or job.get("environment"), f"{sorted(read)} would be empty"


@pytest.mark.parametrize("job", _jobs())
def test_a_step_that_opens_the_state_may_open_each_kind_that_is_documented(job: dict[str, Any]) -> None:
    needed = {secret.name for secrets in secret_names.BY_BACKEND.values() for secret in secrets} | {"AWS_REGION"}
    for step in job["steps"]:
        if "PULUMI_BACKEND_URL" in step.get("env", {}):
            assert needed <= step["env"].keys(), step


DEPLOY = yaml.safe_load((PROJECT / ".github/workflows/deploy.yml").read_text())["jobs"]


def _named(job: str, word: str) -> tuple[int, dict[str, Any]]:
    """The one step of a job with this word in its name or action, and its place."""
    (found,) = [(n, s) for n, s in enumerate(DEPLOY[job]["steps"]) if word in s.get("name", s.get("uses", ""))]
    return found


def test_artefacts_come_through_the_upload_with_their_links_modes_and_hidden_files(tmp_path: Path) -> None:
    monorepo = Monorepo(tmp_path / "building")
    monorepo.write("site/state/index.html")
    monorepo.write("site/.htaccess")
    monorepo.write("site/vendor/bin/drush", "#!/bin/sh\n", 0o755)
    (monorepo.source / "site/index.html").symlink_to("state/index.html")
    built = commit(monorepo.source)
    signer = signing.load_or_make(tmp_path / "key.pem", "https://example.org/builder")
    build({"site": service("site")}, monorepo.source, monorepo.out, cache_folder=monorepo.cache, signer=signer)

    def shell(job: str, name: str, folder: Path) -> None:
        _, step = _named(job, name)
        environment = {"PATH": "/usr/bin:/bin", "RUNNER_TEMP": str(tmp_path / job)}
        (tmp_path / job).mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
        subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder, env=environment, umask=0o077, check=True)

    shell("build", "Pack", monorepo.folder)
    uploaded = _named("build", "upload-artifact")[1]["with"]["path"].replace("${{ runner.temp }}", str(tmp_path / "build"))
    downloaded = _named("deploy", "download-artifact")[1]["with"]["path"].replace("${{ runner.temp }}", str(tmp_path / "deploy"))
    # What the action keeps: the bytes of regular files.
    Path(downloaded).mkdir()
    (Path(downloaded) / Path(uploaded).name).write_bytes(Path(uploaded).read_bytes())
    shell("deploy", "Unpack", tmp_path / "deploying")
    dist = tmp_path / "deploying/dist"
    statement = provenance.verify(dist, ["site"], Expectation((signer.public,), "https://example.org/builder", built))
    assert statement.commit == built
    text = (dist / "site/manifest.json").read_bytes()
    manifest = verified(text, "site", json.loads(text)["release"], "", "")
    artefact.compare(artefact.Artefact(str(dist / "site"), manifest), "site")


def test_the_deploy_has_the_programs_that_its_gates_look_for_on_the_path() -> None:
    gates, _ = _named("deploy", "Gates")
    assert _named("deploy", "aquasecurity/setup-trivy")[0] < gates
    assert _named("deploy", "PHPStan")[0] < gates
    agent, _ = _named("deploy", "SSH key")
    assert _named("deploy", "aquasecurity/setup-trivy")[0] < agent, "others' actions run before a key is on the machine"


@pytest.mark.parametrize(
    ("private", "variable", "runs"), [(True, None, False), (True, "true", True), (True, "no", False), (False, None, True)]
)
def test_github_attests_where_the_plan_has_it_and_every_build_has_its_own_attestation(
    private: bool, variable: str | None, runs: bool
) -> None:
    _, step = _named("build", "attest-build-provenance")
    contexts = {"github": {"event": Open(repository={"private": private})}, "vars": Open({"MO_ATTESTATIONS": variable})}
    functions = {"success": lambda: True, "failure": lambda: False, "always": lambda: True, "cancelled": lambda: False}
    assert condition(step["if"], contexts, functions) is runs


def test_what_is_judged_and_deployed_is_the_commit_that_was_built(tmp_path: Path) -> None:
    """A reviewer takes hours, in which the monorepo's branch moves on."""
    monorepo = Monorepo(tmp_path)
    monorepo.write("x")
    built = commit(monorepo.source)
    (tmp_path / "mo-deploy").mkdir()
    _, step = _named("build", "commit that is built")
    output = tmp_path / "output"
    environment = {"PATH": "/usr/bin:/bin", "GITHUB_OUTPUT": str(output)}
    subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path / "mo-deploy", env=environment, check=True)
    assert output.read_text() == f"commit={built}\n"
    assert DEPLOY["build"]["outputs"]["commit"] == f"${{{{ steps.{step['id']}.outputs.commit }}}}"
    (checkout,) = [s for s in DEPLOY["deploy"]["steps"] if s.get("with", {}).get("path") == "monorepo"]
    assert checkout["with"]["ref"] == "${{ needs.build.outputs.commit }}"


@pytest.mark.parametrize("name", ["deploy", "rollback"])
def test_records_come_from_the_last_run_and_go_to_the_next_whatever_becomes_of_this_one(name: str) -> None:
    document = yaml.safe_load((PROJECT / f".github/workflows/{name}.yml").read_text())
    job = document["jobs"][name]
    texts = [str(step) for step in job["steps"]]
    (restored,) = (n for n, step in enumerate(job["steps"]) if "runner_records restore" in step.get("run", ""))
    (collected,) = (n for n, step in enumerate(job["steps"]) if "runner_records collect" in step.get("run", ""))
    work = next(n for n, text in enumerate(texts) if f"bin/mo {name}" in text)
    assert restored < work < collected
    upload = job["steps"][collected + 1]
    stack = job["environment"]
    assert upload["with"] == {"name": f"records-{stack}", "path": "${{ runner.temp }}/records", "retention-days": 90}
    assert all(job["steps"][n]["env"]["STACK"] == stack for n in (restored, collected))
    for step in (job["steps"][collected], upload):
        assert step["if"] == "always() && steps.records.outcome == 'success'", "half of them would hide the rest from the next run"
    assert job["permissions"]["actions"] == "read"


def test_an_interrupted_run_goes_on_where_the_box_says_so(tmp_path: Path) -> None:
    _, step = _named("deploy", "Preview with policies")
    for box, resume in (("true", True), ("false", False)):
        ((_, *call),) = performed(step, tmp_path, STACK="staging", RESUME=box)
        assert (_parsed(call)["resume"], _parsed(call)["yes"]) == (resume, True)


@pytest.mark.parametrize("allowed", [True, False])
def test_the_tick_of_the_todo_list_reaches_the_default_branch_or_is_said_to_be_lost(tmp_path: Path, allowed: bool) -> None:
    def git(folder: Path, *words: str) -> str:
        author = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(["git", *author, "-C", str(folder), *words], check=True, capture_output=True, text=True)
        return done.stdout

    origin, checkout, colleague = tmp_path / "origin", tmp_path / "monorepo", tmp_path / "colleague"
    git(tmp_path, "init", "-q", "--bare", "-b", "haupt", str(origin))
    git(tmp_path, "clone", "-q", str(origin), str(colleague))
    git(colleague, "checkout", "-q", "-b", "haupt")
    (colleague / "TODO.md").write_text("- [ ] Deployment staging 2026-11-28\n")
    commit(colleague)
    git(colleague, "push", "-q", "origin", "haupt")
    git(tmp_path, "clone", "-q", str(origin), str(checkout))
    git(checkout, "checkout", "-q", "--detach")
    (colleague / "more").write_text("pushed while it deployed\n")
    commit(colleague)
    git(colleague, "push", "-q", "origin", "haupt")
    if not allowed:
        (origin / "hooks/pre-receive").write_text("#!/bin/sh\nexit 1\n")
        (origin / "hooks/pre-receive").chmod(0o755)
    _, step = _named("deploy", "tick")

    def ends() -> str:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "STACK": "staging", "TOKEN": "canary"}
        command = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True)
        assert "canary" not in done.stdout + done.stderr
        return done.stdout

    assert ends() == "", "nothing was ticked"
    (checkout / "TODO.md").write_text("- [x] Deployment staging 2026-11-28\n")
    said = ends()
    assert ("::warning::the tick of TODO.md was not kept" in said) is not allowed
    kept = git(origin, "show", "haupt:TODO.md")
    assert kept.startswith("- [x]" if allowed else "- [ ]")
    assert git(origin, "show", "haupt:more") == "pushed while it deployed\n"


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


def test_the_workflow_secrets_is_what_the_catalogue_makes_of_it() -> None:
    text = (PROJECT / workflow_secrets.FILE).read_text()
    assert text == workflow_secrets.text(), "run `make docs`"


def test_a_new_service_s_secrets_come_into_the_workflow_by_themselves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    catalogue = yaml.safe_load((PROJECT / "catalog/services.yaml").read_text())
    votes = catalogue["services"]["votes"]
    new = {**votes, "host": "polls", "path": votes["path"].replace("votes", "polls")}
    new["database"] = {**votes["database"], "name": "mo_polls", "user": "svc_polls"}
    catalogue["services"]["polls"] = new
    (tmp_path / "services.yaml").write_text(json.dumps(catalogue))
    changed = reader.read(tmp_path / "services.yaml")
    monkeypatch.setattr(reader, "read", lambda: changed)
    jobs = yaml.safe_load(workflow_secrets.text())["jobs"]
    seen = {name: set(job["steps"][0]["env"]) for name, job in jobs.items()}
    assert seen["production"] >= {"SEEN_MO_POLLS_DB_USER", "SEEN_MO_POLLS_DB_PASS"}
    assert not [name for name in seen["staging"] if "POLLS" in name], "an environment sees no secret that its stack does not need"


def test_every_secret_that_a_workflow_reads_is_one_of_the_list() -> None:
    listed = {secret.name for secret in secret_names.THEIRS} | {*secret_names.of_stack(reader.read().services)}
    # Needed by some set-ups only: a backend, a gate, a private monorepo.
    listed |= {secret.name for secrets in secret_names.BY_BACKEND.values() for secret in secrets} | {"MONOREPO_TOKEN"}
    listed |= {secret.name for secret in secret_names.BY_GATE.values()}
    for workflow in WORKFLOWS:
        assert set(re.findall(r"secrets\.([A-Z0-9_]+)", workflow.read_text())) <= listed, workflow.name
