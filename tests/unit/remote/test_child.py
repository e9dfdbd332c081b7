"""A child of the client: its pipes, what it inherits, its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from components.remote.client.child import Child


@pytest.fixture
def held() -> Iterator[int]:
    descriptor = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    yield descriptor
    os.close(descriptor)


def test_it_hears_what_is_written_and_says_lines_and_its_exit_code(held: int) -> None:
    child = Child(["sh", "-c", "read a; echo got $a; echo bad >&2; exit 7"], held, talk=True)
    child.write(b"word\n")
    child.end_input()
    child.end_input()
    assert list(child.stdout) == [b"got word\n"]
    assert child.stderr.read() == b"bad\n"
    assert child.wait() == child.wait() == 7


def test_it_has_no_input_unless_one_talks_to_it(held: int) -> None:
    child = Child(["cat"], held, talk=False)
    assert (child.stdout.read(), child.wait()) == (b"", 0)


def test_it_holds_the_descriptor_given_and_not_what_else_is_open(held: int) -> None:
    secret = os.open(os.devnull, os.O_RDONLY)
    child = Child(["sh", "-c", "ls /proc/$$/fd"], held, talk=True)
    found = child.stdout.read().split()
    assert str(held).encode() in found
    assert str(secret).encode() not in found
    child.wait()
    os.close(secret)


def test_writing_to_one_that_has_closed_its_input_is_no_error(held: int) -> None:
    child = Child(["true"], held, talk=True)
    child.wait()
    child.write(b"x" * 100_000)


def test_a_broken_pipe_ends_it_as_it_ends_any_program(held: int) -> None:
    child = Child(["sh", "-c", "kill -PIPE $$; echo survived"], held, talk=True)
    assert (child.stdout.read(), child.wait()) == (b"", -signal.SIGPIPE)


def test_it_is_ended_at_once(held: int) -> None:
    child = Child(["sleep", "100"], held, talk=True)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    child.terminate()  # of one that has ended: nothing


def test_a_program_that_is_not_there_is_told(held: int) -> None:
    with pytest.raises(FileNotFoundError):
        Child(["no-such-program-of-anybody"], held, talk=True)


def test_its_environment_is_the_one_given(held: int) -> None:
    child = Child(["sh", "-c", "echo $A"], held, talk=False, environment={"A": "b", "PATH": os.environ["PATH"]})
    assert child.stdout.read() == b"b\n"
    assert child.wait() == 0
