"""What the steps of an update wait for, shown as they say it: an engine shows nothing of what its commands write."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

MARK = "… "
"""How a line of a step begins that says what it waits for, and is no error (components/remote/client/status.py)."""
VARIABLE = "MO_WAITING"
"""Names the file that such lines go to (the same)."""
PAUSE = 0.5
"""Seconds between two looks at it."""


@contextmanager
def shown(out: Console, folder: Path) -> Iterator[None]:
    """Meanwhile ``out`` shows what is waited for by everything that is started. ``folder``: the stack's state folder."""
    path = folder / f"waiting.{os.getpid()}"
    path.write_text("")
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(path)
    over = threading.Event()
    reader = threading.Thread(target=_follow, args=(out, path, over), name="waiting", daemon=True)
    reader.start()
    try:
        yield
    finally:
        over.set()
        reader.join()
        path.unlink(missing_ok=True)
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def _follow(out: Console, path: Path, over: threading.Event) -> None:
    with path.open(encoding="utf-8", errors="replace") as file:
        while True:
            last = over.wait(PAUSE)
            for line in file:
                out.print(line.rstrip("\n"), style="yellow", markup=False)
            if last:
                return
