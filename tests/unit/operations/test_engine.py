"""What an operator reads where the engine cannot begin."""

from __future__ import annotations

import threading

import pytest
from pulumi.automation import errors
from pulumi.automation._cmd import CommandResult

from operations import engine


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
