"""What steps wait for is on the screen while an engine runs, which shows nothing of it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from components.remote.client import status
from operations import waiting

CLIENT = Path(__file__).parents[3] / "components/remote"


def test_a_line_is_shown_as_it_comes_and_the_last_one_too(tmp_path: Path) -> None:
    out = Console(file=io.StringIO(), width=200)
    with waiting.shown(out, tmp_path):
        tell = f"import sys; sys.path.insert(0, {str(CLIENT)!r}); from client.status import tell; tell('votes: [red]x\\x1b[2J')"
        done = subprocess.run([sys.executable, "-c", tell], capture_output=True, check=True)
        assert done.stderr == b""
        end = time.monotonic() + 30
        while "votes" not in out.file.getvalue() and time.monotonic() < end:  # type: ignore[attr-defined]
            time.sleep(0.02)
        assert "… votes: [red]x" in out.file.getvalue()  # type: ignore[attr-defined]
        assert "\x1b" not in out.file.getvalue()  # type: ignore[attr-defined]
        with open(os.environ[waiting.VARIABLE], "a", encoding="utf-8") as file:
            file.write("… the last one\n")
    assert "… the last one" in out.file.getvalue()  # type: ignore[attr-defined]
    assert waiting.VARIABLE not in os.environ
    assert list(tmp_path.iterdir()) == []


def test_both_sides_mean_the_same() -> None:
    assert (waiting.MARK, waiting.VARIABLE) == (status.MARK, status.VARIABLE)
