"""The pipe that the engine's events come through."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from operations.event_pipe import EventPipe
from tests.onlooker import look


def write(path: str, *lines: str) -> None:
    subprocess.run(["sh", "-c", 'printf %s "$2" > "$1"', "-", path, "".join(lines)], check=True)


WRITER = """
import json, sys
with open(sys.argv[1], "w") as file:
    for number in range(200):
        print(json.dumps({"sequence": number, "text": "x" * 5000}), file=file)
"""


def test_all_events_come_in_order_however_many_and_long_they_are() -> None:
    found: list[dict[str, Any]] = []
    with EventPipe(found.append) as pipe:
        subprocess.run([sys.executable, "-c", WRITER, pipe.path], check=True)
    assert found == [{"sequence": number, "text": "x" * 5000} for number in range(200)]
    assert not Path(pipe.path).parent.exists()


def test_an_engine_that_writes_nothing_ends_it_too() -> None:
    found: list[dict[str, Any]] = []
    with EventPipe(found.append):
        pass
    assert found == []


def test_what_a_killed_engine_has_cut_is_left_out_and_what_is_no_event_is_a_warning() -> None:
    found: list[dict[str, Any]] = []
    with pytest.warns(UserWarning, match="cannot be read"), EventPipe(found.append) as pipe:
        write(pipe.path, '{"sequence": 0}\n', "no JSON\n", "[]\n", '{"sequence": 1}\n', '{"sequen')
    assert found == [{"sequence": 0}, {"sequence": 1}]


def test_a_display_that_fails_lets_the_engine_go_on() -> None:
    seen: list[int] = []

    def fails(event: dict[str, Any]) -> None:
        seen.append(event["n"])
        raise RuntimeError("no terminal")

    with pytest.warns(UserWarning, match="no terminal"), EventPipe(fails) as pipe:
        write(pipe.path, *(json.dumps({"n": n, "text": "x" * 2000}) + "\n" for n in range(40)))
    assert seen == list(range(40))


def test_another_user_can_neither_read_nor_write_events() -> None:
    others = look(os.getpid()).doors  # of other tests in this process
    with EventPipe(lambda event: None) as pipe:
        assert stat.S_IMODE(os.stat(pipe.path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(Path(pipe.path).parent).st_mode) == 0o700
        assert look(os.getpid()).doors <= others, "no socket either"
