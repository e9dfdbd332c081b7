"""``bin/pulumi``: commands that ask the databases without the program open the connection to the host first, or say what to do.

The script stands in a folder of its own, where engine and host client only record how they were called.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bin" / "pulumi"
RECORD = """#!/bin/sh
case "$*" in *"stack --show-name"*) printf '%s\\n' "$SELECTED"; exit ;; esac
{ printf '%s' "${0##*/}"; for argument; do printf '\\t%s' "$argument" | tr '\\n' ' '; done; printf '\\n'; } >>"$CALLS"
"""
RUN = """#!/bin/sh
{ printf 'run\\t%s\\t%s\\t' "$1" "$PWD"; cat; printf '\\n'; } >>"$CALLS"
[ -z "$UNREACHABLE" ] || { echo "the host dmpl cannot be reached" >&2; exit 1; }
echo '{"ok": true}'
"""


@dataclass
class Project:
    """A checkout with a stack ``production`` whose host this clone has reached, and a stack ``staging`` whose host it has not."""

    folder: Path
    selected: str = ""
    unreachable: bool = False

    def call(self, *arguments: str, **environment: str) -> tuple[int, str, list[list[str]]]:
        """Exit code, stderr, and what was called, in this order."""
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        done = subprocess.run(
            [str(self.folder / "bin" / "pulumi"), *arguments],
            cwd=self.folder.parent,
            env={
                **clean,
                "PATH": f"{self.folder}/cli:/usr/bin:/bin",
                "CALLS": str(calls),
                "SELECTED": self.selected,
                "UNREACHABLE": "yes" if self.unreachable else "",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        lines = calls.read_text().splitlines() if calls.exists() else []
        return done.returncode, done.stderr, [line.split("\t") for line in lines]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "a project"
    programs = {"cli/pulumi": RECORD, ".venv/bin/python": RECORD, "components/remote/run": RUN}
    for name, text in programs.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "bin").mkdir()
    shutil.copy(SCRIPT, folder / "bin" / "pulumi")
    for stack in ("production", "staging"):
        (folder / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
    (folder / ".mo" / "production").mkdir(parents=True)
    (folder / ".mo" / "production" / "connection.json").write_text("{}")
    return Project(folder)


OPENED = ["run", "connect", '{"protocol": 1, "stack": "production"}']
"""The one request: whose host, and nothing else."""


def opened(call: list[str]) -> bool:
    return [call[0], call[1], call[-1]] == OPENED


@pytest.mark.parametrize(
    "arguments",
    [
        ("refresh", "--yes", "--stack", "production"),
        ("refresh", "-s", "production"),
        ("destroy", "--stack=production", "--yes"),
        ("down", "--stack=organisation/mo-deploy/production"),
        ("dn", "-s", "production"),
        ("import", "--stack", "production", "mysql:index/database:Database", "x", "mo_x"),
        ("--color", "never", "refresh", "--stack", "production"),
        ("--non-interactive", "-C", "/", "destroy", "-s", "production"),
        ("up", "--refresh", "--stack", "production"),
        ("preview", "-r", "-s", "production"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("engine", ["", "embedded"])
def test_what_asks_the_databases_without_the_program_opens_the_connection_first(
    project: Project, arguments: tuple[str, ...], engine: str
) -> None:
    code, said, (first, second) = project.call(*arguments, PULUMI_ENGINE=engine)
    assert (code, said) == (0, "")
    assert opened(first)
    assert first[2] == str(project.folder)
    assert second[0] == ("python" if engine else "pulumi")
    assert tuple(second[-len(arguments) :]) == arguments


@pytest.mark.parametrize("named", ["environment", "selected"])
def test_the_stack_may_be_named_by_the_environment_or_be_the_selected_one(project: Project, named: str) -> None:
    project.selected = "organisation/mo-deploy/production"
    variable = {"PULUMI_STACK": "production"} if named == "environment" else {}
    code, _, (first, second) = project.call("refresh", "--yes", **variable)
    assert code == 0
    assert opened(first)
    assert second == ["pulumi", "refresh", "--yes"]


@pytest.mark.parametrize("command", ["refresh", "destroy"])
def test_a_connection_that_cannot_be_opened_is_said_with_the_way_out_and_the_engine_does_not_run(
    project: Project, command: str
) -> None:
    project.unreachable = True
    code, said, calls = project.call(command, "--yes", "--stack", "production")
    assert code == 1
    assert len(calls) == 1
    assert opened(calls[0])
    first, second = said.splitlines()
    assert first == "the host dmpl cannot be reached"
    assert second.startswith(f"pulumi: {command} reaches databases through the host")
    assert "bin/mo doctor --stack production" in second


def test_a_clone_that_has_not_reached_the_host_is_told_what_to_do_if_databases_do_not_answer(project: Project) -> None:
    code, said, calls = project.call("refresh", "--stack", "staging")
    assert code == 0
    assert calls == [["pulumi", "refresh", "--stack", "staging"]]
    assert said.count("\n") == 1
    assert "bin/pulumi preview --stack staging" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("up", "--yes", "--stack", "production"),
        ("preview", "--stack", "production"),
        ("up", "--refresh=false", "--stack", "production"),
        ("stack", "export", "--stack", "production"),
        ("config", "set", "refresh", "destroy", "--stack", "production"),
        ("cancel", "--yes"),
        (),
    ],
    ids=" ".join,
)
def test_other_commands_are_the_engine_s_alone(project: Project, arguments: tuple[str, ...]) -> None:
    assert project.call(*arguments) == (0, "", [["pulumi", *arguments]])


@pytest.mark.parametrize("stack", ["unknown", "../production", 'x", "service": "votes', "pro duction", "$(id)", "ä", "-", ""])
def test_a_stack_that_is_none_of_ours_is_left_to_the_engine_and_never_becomes_part_of_a_request(
    project: Project, stack: str
) -> None:
    (project.folder / ".mo" / "connection.json").write_text("{}")
    code, said, calls = project.call("refresh", "--stack", stack)
    assert (code, said, calls) == (0, "", [["pulumi", "refresh", "--stack", stack]]) or stack == "../production"
    if stack == "../production":  # an organisation of that name, as the engine reads it
        assert all(opened(call) for call in calls[:-1])
