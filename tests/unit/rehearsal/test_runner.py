"""The runner of the rehearsal: order, conditions, file commands, masks; and stand-ins that fail where GitHub would."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rehearsal import actions, gh
from tests.rehearsal.expressions import ExpressionError
from tests.rehearsal.runner import Run
from tests.rehearsal.workflow import Event, JobResult, Repository, Stand, WorkflowError, load

PROJECT = Path(__file__).resolve().parents[3]
PINNED = "@" + "0" * 40
CANARY = "secret-canary-4d20"


def stand(folder: Path, *, private: bool = True) -> Stand:
    return Stand(
        Repository("acme/site", folder / "site.git", private),
        {"acme/other": Repository("acme/other", folder / "other.git")},
        folder,
        lambda environment: {"TOKEN": CANARY} if environment == "production" else {},
        lambda environment: {},
        {"PATH": os.environ["PATH"]},
    )


def job(*steps: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"runs-on": "ubuntu-24.04", "timeout-minutes": 1, "steps": list(steps), **more}


def run(
    folder: Path, jobs: Mapping[str, Any], event: Event | None = None, *, private: bool = True, **top: Any
) -> Mapping[str, JobResult]:
    document = {
        "name": "x",
        "on": {"workflow_dispatch": {"inputs": {"stack": {"type": "choice", "options": ["production", "staging"]}}}},
        "permissions": {"contents": "read"},
        "concurrency": {"group": "x-${{ inputs.stack }}"},
        "jobs": dict(jobs),
        **top,
    }
    file = folder / "x.yml"
    file.write_text(yaml.safe_dump(document))
    around = stand(folder, private=private)
    return Run(file, event or Event("workflow_dispatch"), around, actions.standing_in(folder / "venv", lambda *_: None)).run()


def test_steps_see_what_earlier_ones_left_and_jobs_what_they_need(tmp_path: Path) -> None:
    writes = 'echo "commit=abc" >> "$GITHUB_OUTPUT"\n{ echo "MARK<<END"; echo a; echo b; echo END; } >> "$GITHUB_ENV"'
    given = {"GIVEN": "${{ steps.one.outputs.commit }}-${{ inputs.stack }}"}
    first = job(
        {"id": "one", "run": writes},
        {"run": 'test "$MARK" = "$(printf "a\\nb")" && test "$GIVEN" = abc-production', "env": given},
        outputs={"commit": "${{ steps.one.outputs.commit }}"},
    )
    second = job({"run": 'test "$GIVEN" = abc', "env": {"GIVEN": "${{ needs.first.outputs.commit }}"}}, needs="first")
    third = job({"run": "true"}, needs=["second"], **{"if": "inputs.stack == 'staging'"})
    fourth = job({"run": "true"}, needs="third")
    results = run(tmp_path, {"fourth": fourth, "third": third, "second": second, "first": first})
    assert {name: done.result for name, done in results.items()} == {
        "first": "success", "second": "success", "third": "skipped", "fourth": "skipped"
    }  # fmt: skip


def test_after_a_failure_only_what_asks_for_it_runs(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        {
            "a": job(
                {"id": "soft", "run": "false", "continue-on-error": True},
                {"name": "goes on", "run": "exit 3"},
                {"name": "skipped", "run": "true"},
                {"name": "always", "run": "true", "if": "always() && steps.soft.outcome == 'failure'"},
                {"name": "failed", "run": "true", "if": "failure()"},
            ),
            "b": job({"run": "true"}, needs="a"),
        },
    )
    assert [step.outcome for step in done["a"].steps] == ["failure", "failure", "skipped", "success", "success"]
    assert (done["a"].result, done["b"].result) == ("failure", "skipped")


def test_a_pipe_s_failure_counts_with_the_shell_bash_alone_as_on_github(tmp_path: Path) -> None:
    assert run(tmp_path, {"a": job({"run": "false | cat"})})["a"].result == "success"
    assert run(tmp_path, {"a": job({"run": "false | cat", "shell": "bash"})})["a"].result == "failure"


def test_secrets_are_those_of_the_environment_and_starred_in_the_log(tmp_path: Path) -> None:
    step = {"run": 'echo "seen: $TOKEN"', "env": {"TOKEN": "${{ secrets.TOKEN }}"}}
    done = run(tmp_path, {"a": job(step, environment="${{ inputs.stack }}"), "b": job(step)})
    assert "seen: ***" in done["a"].log
    assert CANARY not in done["a"].log
    assert (done["a"].shown, done["b"].shown) == ({"TOKEN"}, set())
    assert done["b"].log.startswith("seen: \n")


def test_nothing_outlives_the_job_that_started_it(tmp_path: Path) -> None:
    run(tmp_path, {"a": job({"run": f"setsid sleep 300 & echo $! > {tmp_path}/pid"})})
    pid = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[-1]:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_step_ends_with_its_job_s_time(tmp_path: Path) -> None:
    done = run(tmp_path, {"a": job({"run": "sleep 60"}, **{"timeout-minutes": 0.02})})
    assert done["a"].result == "failure"
    assert "timeout-minutes" in done["a"].log


@pytest.mark.parametrize(
    "change",
    [
        {"jobs": {"a": job({"run": "true", "uses": "actions/checkout" + PINNED})}},
        {"jobs": {"a": job({"uses": "someone/unknown" + PINNED})}},
        {"jobs": {"a": job({"uses": "actions/checkout@v4"})}},
        {"jobs": {"a": job({"uses": "actions/checkout" + PINNED, "with": {"submodules": True, "persist-credentials": False}})}},
        {"jobs": {"a": {**job({"run": "true"}), "strategy": {}}}},
        {"jobs": {"a": job({"run": "true", "timeout-minutes": 3})}},
        {"jobs": {"a": job({"run": "true"}, needs="b"), "b": job({"run": "true"}, needs="a")}},
        {"jobs": {"a": job({"run": "echo ${{ inputs.stak }}"})}},
        {"jobs": {"a": job({"run": "echo ${{ github.event"})}},
        {"permissions": None, "jobs": {"a": job({"run": "true"})}},
        {"event": Event("push")},
        {"event": Event("workflow_dispatch", inputs={"stack": "sandbox"})},
        {"event": Event("workflow_dispatch", inputs={"other": "x"})},
    ],
    ids=str,
)  # fmt: skip
def test_what_github_would_refuse_or_the_runner_does_not_know_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    jobs, event = change.pop("jobs", {"a": job({"run": "true"})}), change.pop("event", None)
    with pytest.raises((WorkflowError, ExpressionError)):
        run(tmp_path, jobs, event, **change)


def test_the_workflow_that_a_comment_cut_short_is_refused(tmp_path: Path) -> None:
    text = (PROJECT / ".github/workflows/rollback.yml").read_text()
    lines = [line.replace('"', "") if line.strip().startswith("REASON: ") else line for line in text.splitlines()]
    (tmp_path / "rollback.yml").write_text("\n".join(lines))
    load(PROJECT / ".github/workflows/rollback.yml")
    with pytest.raises(WorkflowError, match="without its end"):
        load(tmp_path / "rollback.yml")


def test_an_artefact_loses_modes_links_and_hidden_files_on_its_way(tmp_path: Path) -> None:
    made = "mkdir up && cd up && echo a > a && chmod 700 a && ln -s a link && echo h > .hidden"
    first = job({"run": made}, {"uses": "actions/upload-artifact" + PINNED, "with": {"name": "up", "path": "up"}})
    look = "test -f a && test ! -x a && test ! -L link && test ! -e .hidden"
    second = job({"uses": "actions/download-artifact" + PINNED, "with": {"name": "up"}}, {"run": look}, needs="first")
    twice = job(*[{"uses": "actions/upload-artifact" + PINNED, "with": {"name": "up", "path": "."}}], needs="first")
    absent = job({"uses": "actions/download-artifact" + PINNED, "with": {"name": "none"}})
    empty = job({"uses": "actions/upload-artifact" + PINNED, "with": {"name": "e", "path": "none", "if-no-files-found": "error"}})
    done = run(tmp_path, {"first": first, "second": second, "twice": twice, "absent": absent, "empty": empty})
    assert {name: result.result for name, result in done.items()} == {
        "first": "success", "second": "success", "twice": "failure", "absent": "failure", "empty": "failure"
    }  # fmt: skip


@pytest.mark.parametrize(("private", "result"), [(True, "failure"), (False, "success")])
def test_github_attests_public_repositories_alone(tmp_path: Path, private: bool, result: str) -> None:
    attest = {"uses": "actions/attest-build-provenance" + PINNED, "with": {"subject-path": "x"}}
    may = {"id-token": "write", "attestations": "write", "contents": "read"}
    done = run(
        tmp_path, {"a": job({"run": "touch x"}, attest, permissions=may), "b": job({"run": "touch x"}, attest)}, private=private
    )
    assert (done["a"].result, done["b"].result) == (result, "failure")


def test_a_checkout_is_of_what_the_token_may_read(tmp_path: Path) -> None:
    for name in ("site", "other"):
        subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path / name)], check=True)
        author = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *author, "-C", str(tmp_path / name), "commit", "-q", "--allow-empty", "-m", "x"], check=True)
        subprocess.run(["git", "clone", "-q", "--bare", str(tmp_path / name), str(tmp_path / f"{name}.git")], check=True)

    def checkout(**given: Any) -> dict[str, Any]:
        return {"uses": "actions/checkout" + PINNED, "with": given}

    own = job(checkout(**{"persist-credentials": False}), {"run": "git rev-parse HEAD"})
    done = run(
        tmp_path,
        {
            "own": own,
            "kept": job(checkout()),
            "foreign": job(checkout(repository="acme/other", **{"persist-credentials": False})),
            "given": job(checkout(repository="acme/other", token="a", **{"persist-credentials": False})),
            "absent": job(checkout(repository="acme/none", token="a", **{"persist-credentials": False})),
            "closed": {**own, "permissions": {}},
        },
    )
    good = {name for name, result in done.items() if result.result == "success"}
    assert good == {"own", "given"}


@pytest.mark.parametrize(
    ("request_line", "permissions", "may"),
    [
        ("GET /repos/a/b/actions/artifacts?name=x&per_page=100", {"actions": "read"}, True),
        ("GET /repos/a/b/actions/artifacts/3/zip", {"contents": "read"}, False),
        ("GET /repos/a/b/collaborators/ada/permission", {}, True),
        ("POST /repos/a/b/issues/5/comments", {"pull-requests": "write"}, True),
        ("POST /repos/a/b/issues/5/comments", {"pull-requests": "read"}, False),
        ("PATCH /repos/a/b/issues/comments/7", {"issues": "write"}, True),
        ("DELETE /repos/a/b/issues/comments/7", {"issues": "write"}, False),
        ("GET /repos/a/b/environments/production/secrets", {"actions": "write"}, False),
    ],
)
def test_a_job_s_token_may_do_what_its_permissions_say(request_line: str, permissions: dict[str, str], may: bool) -> None:
    assert gh.allowed(request_line, permissions) is may
