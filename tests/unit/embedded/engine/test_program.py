"""The program as a process: what it is given, what it says, how it ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedded import engine
from embedded.engine.program import prepare
from embedded.model import Options, Result
from tests.unit.embedded.engine.stage import PROJECT, Stage


def ran(stage: Stage, folder: Path, text: str, **project: Any) -> Result:
    (folder / "__main__.py").write_text(text)
    stage.project = replace(PROJECT, directory=str(folder), **project)
    stage.patch.setattr(engine, "prepare", prepare)
    return stage.run(None, "update")


def test_the_program_gets_its_settings_and_its_exports_are_saved(stage: Stage, tmp_path: Path) -> None:
    text = """
import pulumi, sys
print("said on stdout"); print("said on stderr", file=sys.stderr)
c = pulumi.Config()
pulumi.export("name", c.require("name"))
pulumi.export("pin", c.require_secret("pin"))
pulumi.export("where", [pulumi.get_stack(), pulumi.get_project(), pulumi.get_organization(), pulumi.runtime.is_dry_run()])
"""
    config = {"demo:name": "n", "demo:pin": "12345"}
    result = ran(stage, tmp_path, text, config=config, secret_keys=frozenset({"demo:pin"}))
    assert result.ok
    outputs = stage.state.resources[0].outputs
    assert outputs is not None
    assert outputs["where"] == ["dev", "demo", "organization", False]
    assert repr(outputs["pin"]) == "Secret([secret])"
    said = [(e["diagnosticEvent"]["severity"], e["diagnosticEvent"]["message"]) for e in stage.events if "diagnosticEvent" in e]
    assert ("info", "said on stdout\n\n") in said
    assert ("info#err", "said on stderr\n\n") in said
    assert stage.state.resources[0].stack_trace


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("import sys; sys.exit(3)", "an unhandled error occurred: program exited with non-zero exit code: 3"),
        ("import os; os.kill(os.getpid(), 9)", "an unhandled error occurred: program exited unexpectedly: signal: SIGKILL"),
        ("def broken(:", "SyntaxError: invalid syntax"),
    ],
)
def test_a_program_that_fails_is_told_of(stage: Stage, tmp_path: Path, text: str, error: str) -> None:
    result = ran(stage, tmp_path, text)
    assert not result.ok
    assert any(error in message for message in stage.errors())


def test_a_missing_program_and_a_missing_virtualenv_are_named(stage: Stage, tmp_path: Path) -> None:
    result = ran(stage, tmp_path, "", virtualenv="novenv")
    assert not result.ok
    assert "The 'virtualenv' option in Pulumi.yaml is set to \"novenv\"" in (result.error or "")
    result = ran(stage, tmp_path, "", main="nowhere.py")
    assert "nowhere.py" in (result.error or "")


def test_an_inline_program_that_is_not_there_is_told_of(stage: Stage, tmp_path: Path) -> None:
    stage.patch.setattr(engine, "prepare", lambda o, p, n: prepare(Options("update", client="127.0.0.1:1"), p, n))
    assert not stage.run(None, "update").ok
    assert "the inline program cannot be reached" in stage.errors()[0]
