"""What an operator reads where the engine cannot begin."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import errors
from pulumi.automation._cmd import CommandResult

from operations import engine, project
from operations.problem import Problem
from tests.onlooker import Seen, look


@pytest.mark.parametrize(
    "text", ["error: no backend is chosen\n", "note\nerror: no backend is chosen\nerror: no backend is chosen\n"]
)
def test_the_engines_own_words_are_shown_wherever_they_stand(text: str) -> None:
    assert engine._said(errors.CommandError(CommandResult("", text, 1))) == "no backend is chosen"


def test_an_engine_that_says_nothing_was_stopped() -> None:
    assert engine._said(errors.CommandError(CommandResult("half a line", "", -9))).startswith("The engine ended before it was done")


def test_ctrl_c_shows_no_traceback_of_the_threads_that_read_the_engine(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    engine._without_cut_readers()
    first = threading.excepthook
    engine._without_cut_readers()
    assert threading.excepthook is first, "installed once"

    def ends(message: str) -> None:
        raise ValueError(message)

    for message in ("I/O operation on closed file", "something else"):
        thread = threading.Thread(target=ends, args=(message,))
        thread.start()
        thread.join()
    said = capsys.readouterr().err
    assert ("something else" in said, "closed file" in said) == (True, False)


FAKE = """#!/bin/sh
here=$(dirname "$0")
echo "$* ${MO_VERBOSE_PLAN-}" >> "$here/asked"
case $* in
  version) echo v3.259.0 ;;
  *"stack export"*) cat "$here/state" ;;
esac
"""


def opened(folder: Path, state: str) -> engine.Engine:
    """A stack whose engine gives this state."""
    (folder / "bin").mkdir()
    (folder / "bin/state").write_text(state)
    program = folder / "bin/pulumi"
    program.write_text(FAKE)
    program.chmod(0o755)
    (folder / "Pulumi.yaml").write_text("name: mo-deploy\nruntime: python\n")
    return engine.Engine("staging", folder)


def test_the_state_is_read_without_decrypting_a_secret_and_tells_what_was_cut(tmp_path: Path) -> None:
    urn = "urn:pulumi:staging::mo-deploy::command:local:Command::docs-switch"
    deployment = {"resources": [{"urn": "u"}], "pending_operations": [{"type": "updating", "resource": {"urn": urn}}]}
    found = opened(tmp_path, json.dumps({"version": 3, "deployment": deployment})).state()
    assert (found.resources, found.cut) == ([{"urn": "u"}], ("docs-switch",))
    asked = (tmp_path / "bin/asked").read_text()
    assert "stack export --stack staging \n" in asked
    assert "--show-secrets" not in asked


@pytest.mark.parametrize("verbose", [False, True])
def test_a_verbose_preview_has_its_program_name_every_file(verbose: bool, tmp_path: Path) -> None:
    stack = opened(tmp_path, "")
    with pytest.raises(Problem, match="reported no events"):  # this engine previews nothing
        stack.preview(tmp_path / "config.yaml", lambda _: None, verbose=verbose)
    (asked,) = [line for line in (tmp_path / "bin/asked").read_text().splitlines() if "preview" in line.split()]
    assert asked.endswith(" 1") is verbose


def test_a_cut_creation_of_what_is_there_by_now_is_not_told_for_ever(tmp_path: Path) -> None:
    urns = [f"urn:pulumi:staging::mo-deploy::command:local:Command::{name}" for name in ("docs-switch", "main-switch")]
    pending = [{"type": "creating", "resource": {"urn": urn}} for urn in urns]
    deployment = {"resources": [{"urn": urns[0]}], "pending_operations": pending}
    assert opened(tmp_path, json.dumps({"version": 3, "deployment": deployment})).state().cut == ("main-switch",)


@pytest.mark.parametrize("state", ['{"deployment": null}', '{"deployment": {}}', '{"deployment": {"resources": []}}'])
def test_a_stack_that_was_never_deployed_has_nothing(state: str, tmp_path: Path) -> None:
    assert opened(tmp_path, state).state() == engine.State([], ())


@pytest.mark.parametrize(
    "state",
    [
        *("", "{", "[]", "{}", '{"deployment": 7}', '{"deployment": {"resources": 7}}', '{"deployment": {"resources": [7]}}'),
        '{"deployment": {"resources": [], "pending_operations": [{}]}}',
    ],
)
def test_a_state_of_another_form_is_refused_and_never_taken_for_an_empty_one(state: str, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="prints is no state; nothing was changed"):
        opened(tmp_path, state).resources()


EMBEDDED = f"""#!/bin/sh
PYTHONPATH={project.ROOT} exec {sys.executable} -m embedded "$@"
"""
PROGRAM = """
import pulumi
from pulumi_command import local

local.Command("held", create="touch begun; while [ ! -e go ]; do sleep 0.05; done", delete="true")
"""


@pytest.mark.slow
def test_what_the_engine_tells_arrives_while_it_works_and_no_other_user_can_say_anything_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "bin/pulumi").write_text(EMBEDDED)
    (tmp_path / "bin/pulumi").chmod(0o755)
    (tmp_path / "Pulumi.yaml").write_text("name: held\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    settings = tmp_path / "settings.yaml"
    settings.write_text("config: {}\n")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/state")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "held")
    monkeypatch.setenv("PULUMI_STACK", "dev")
    told: list[str] = []
    seen: list[Seen] = []

    def hears(event: Mapping[str, Any]) -> None:
        told.extend(event)
        if "begun" in event and event["begun"]["type"] == "command:local:Command" and len(told) > planned:
            seen.append(look(os.getpid()))
            (tmp_path / "go").touch()

    planned = sys.maxsize
    others = look(os.getpid()).doors  # of other tests in this process
    stack = engine.Engine("dev", tmp_path)
    assert stack.preview(settings, hears) == engine.Outcome(True)
    assert told.count("summary") == 1
    planned = len(told)
    assert stack.up(settings, "a message", hears) == engine.Outcome(True)
    assert told[planned:].count("summary") == 1
    assert [update.message for update in stack.history()] == ["a message"]
    (look_at_work,) = seen
    doors = look_at_work.doors - others
    assert doors
    assert [door for door in doors if not door.startswith("unix /")] == []
    assert look_at_work.called - others == set()
    (tmp_path / "__main__.py").write_text(PROGRAM.replace("touch begun;", "exit 3;"))
    assert not stack.up(settings, "it fails", hears).ok
