"""What an operator reads where the engine cannot begin."""

from __future__ import annotations

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
