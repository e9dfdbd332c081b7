"""The workflows of GitHub Actions: safe by their own linter, pinned by digest, and made of commands that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    document = yaml.safe_load(workflow.read_text())
    return [step for job in document["jobs"].values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    assert {w.stem for w in WORKFLOWS} >= {"ci", "preview", "deploy", "drift", "rollback"}


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
