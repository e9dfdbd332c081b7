"""A run goes on where nobody reads its output any more."""

from __future__ import annotations

import io

import pytest

from embedded import display
from embedded.model import Result
from tests.unit.embedded.display.events import done, pre, state, summary
from tests.unit.embedded.display.test_progress import PRELUDE


class Unread(io.StringIO):
    """A pipe whose reader is gone after the first ``left`` lines."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left, self.tried = left, 0

    def write(self, text: str) -> int:
        self.tried += 1
        if self.tried > self.left:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)

    def flush(self) -> None:
        if self.tried > self.left:
            raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("left", range(6))
@pytest.mark.parametrize("way", ["progress", "json", "diff"])
def test_a_closed_pipe_stops_the_display_and_not_the_run(way: str, left: int) -> None:
    out = Unread(left)
    shown = display.open("update", "dev", "p", json=way == "json", diff=way == "diff", out=out, err=out)
    table = state("table")
    for event in (PRELUDE, pre("create", new=table), done("create", new=table), summary({"create": 1})):
        shown(event)
    shown.close(Result(ok=True))
    assert out.tried <= left + 1
