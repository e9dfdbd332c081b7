"""An engine that must not go on is interrupted, then killed, and nothing begins after it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from pulumi.automation import errors

from operations.engine_command import EngineCommand

PULUMI = """#!/bin/sh
case $1 in version) echo v3.200.0; exit 0 ;; esac
[ "$2" != quick ] || { echo "said $MO_WORD in $PWD"; echo warned >&2; exit 0; }
[ "$2" != fails ] || { echo "error: no" >&2; exit 3; }
trap '{trap}' INT
echo begun >"$3"
while :; do sleep 0.1; done
"""


def command(root: Path, trap: str = "exit 130") -> EngineCommand:
    (root / "bin").mkdir()
    (root / "bin/pulumi").write_text(PULUMI.replace("{trap}", trap))
    (root / "bin/pulumi").chmod(0o755)
    return EngineCommand(str(root))


def test_what_a_command_prints_is_its_result(tmp_path: Path) -> None:
    heard: list[str] = []
    done = command(tmp_path).run(["quick"], str(tmp_path), {"MO_WORD": "hello"}, on_output=heard.append)
    assert (done.stdout, done.stderr, done.code) == (f"said hello in {tmp_path}", "warned", 0)
    assert heard == [done.stdout]


def test_a_failing_one_raises_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(errors.CommandError, match="error: no"):
        command(tmp_path).run(["fails"], str(tmp_path), {})


@pytest.mark.parametrize("trap", ["exit 130", ":"], ids=["ends", "does not listen"])
def test_one_that_runs_is_stopped_and_none_begins_any_more(tmp_path: Path, trap: str) -> None:
    engine = command(tmp_path, trap)
    ended: list[BaseException] = []

    def run() -> None:
        try:
            engine.run(["long", str(tmp_path / "begun")], str(tmp_path), {})
        except errors.CommandError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    engine.stop(grace=0.5 if trap == ":" else 30)
    thread.join(30)
    assert len(ended) == 1
    with pytest.raises(errors.CommandError, match="this run was stopped"):
        engine.run(["quick"], str(tmp_path), {})
