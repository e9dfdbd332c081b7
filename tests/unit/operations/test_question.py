"""An answer is to the question that stands on the screen, and to no other."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LONG = 60.0
"""Seconds after which a test gives up waiting for what must come."""


class Terminal:
    """A program on a terminal of its own, at which somebody types."""

    def __init__(self, program: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, text: str) -> None:
        """Waits until the screen shows ``text``."""
        end = time.monotonic() + LONG
        while text not in self.shown:
            assert time.monotonic() < end, f"{text!r} never came: {self.shown!r}"
            self._read(0.2)

    def answer(self, text: str, until: str) -> None:
        """Types ``text`` until the screen shows ``until``: the first may come before the program listens."""
        end = time.monotonic() + LONG
        while until not in self.shown:
            assert time.monotonic() < end, f"{until!r} never came: {self.shown!r}"
            self.type(text)
            self._read(1.0)

    def _read(self, wait: float) -> None:
        ready, _, _ = select.select([self.master], [], [], wait)
        if ready:
            try:
                self.shown += os.read(self.master, 4096).decode(errors="replace")
            except OSError:  # the last one at the other end has gone
                time.sleep(wait)

    def ended(self) -> int:
        code = self.process.wait(LONG)
        self._read(0.2)
        os.close(self.master)
        return code


ASKS = """
import sys, pathlib
from operations import question
print("working", flush=True)
while not pathlib.Path({go!r}).exists(): pass
print("said yes" if question.{call} else "said no", flush=True)
"""
CALLS = ["confirmed('Drop it?')", "typed('Drop it.', ['forum'])"]


@pytest.mark.parametrize("call", CALLS)
def test_what_is_typed_before_the_question_is_no_answer_to_it(tmp_path: Path, call: str) -> None:
    go = tmp_path / "go"
    terminal = Terminal(ASKS.format(go=str(go), call=call))
    terminal.until("working")
    for early in ("y\n", "forum\n", "yes"):
        terminal.type(early)
    terminal.until("yes")  # the terminal has it: the program could read it now
    go.touch()
    terminal.until("[y/N]: " if "confirmed" in call else "Type forum to confirm: ")
    terminal.answer("n\n", "said no")
    assert terminal.ended() == 0
    again = Terminal(ASKS.format(go=str(go), call=call))
    again.until("[y/N]: " if "confirmed" in call else "Type forum to confirm: ")
    again.answer("y\n" if "confirmed" in call else "forum\n", "said yes")
    assert again.ended() == 0


@pytest.mark.parametrize(
    ("call", "given", "said"),
    [
        (CALLS[0], "y\n", "said yes"),
        (CALLS[0], "YES\n", "said yes"),
        (CALLS[0], "\n", "said no"),
        (CALLS[0], "maybe\nforum\nn\n", "said no"),
        (CALLS[1], "forum\n", "said yes"),
        (CALLS[1], "y\n", "said no"),
        (CALLS[1], "yes\nforum\n", "said no"),
        ("typed('x', ['forum', 'crm'])", " forum crm \n", "said yes"),
        ("typed('x', ['forum', 'crm'])", "forum\n", "said no"),
    ],
)
def test_an_answer_from_a_program(call: str, given: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKS.format(go="/", call=call)], cwd=ROOT, input=given, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith(said + "\n")


@pytest.mark.parametrize("given", [b"", b"\xff\xfe\n"])
@pytest.mark.parametrize("call", CALLS)
def test_nobody_there_is_no_yes(call: str, given: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKS.format(go="/", call=call)], cwd=ROOT, input=given, capture_output=True, check=False
    )
    assert b"said yes" not in done.stdout
    if not given:
        assert b"Nobody answers the question, and nothing was changed" in done.stderr
