"""An engine that a killed command left behind works on alone: who goes on with that run waits until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from rich.console import Console

from operations.engine import Busy

PATIENCE = 1800.0
"""Seconds to wait at most: longer than an update takes."""
PAUSE = 2.0
T = TypeVar("T")


def waited_for(work: Callable[[], T], out: Console, *, patient: bool, sleep: Callable[[float], None] = time.sleep) -> T:
    """What ``work`` gives; where another update runs on this stack and ``patient``, once that has ended. Raises ``Problem``."""
    left = PATIENCE if patient else 0.0
    told = False
    while True:
        try:
            return work()
        except Busy as busy:
            if left <= 0:
                raise
            if not told:
                out.print(f"Waiting: {busy}", style="yellow", markup=False)
            told = True
        sleep(PAUSE)
        left -= PAUSE
