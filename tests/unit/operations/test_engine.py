"""What an operator reads where the engine cannot begin."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from pulumi.automation import errors
from pulumi.automation._cmd import CommandResult

from operations import engine
from operations.problem import Problem


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
    with pytest.raises(RuntimeError, match="summary event"):  # this engine previews nothing
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
