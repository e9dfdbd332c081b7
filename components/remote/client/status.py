"""What this machine waits for, said while it waits: lines on stderr that begin with ``MARK`` and are no errors."""

from __future__ import annotations

import os
import sys
import time

# ``signal`` makes enumerations of them, which takes a tenth of a step's start.
from _signal import SIGALRM, alarm, signal  # type: ignore[import-not-found]
from fcntl import LOCK_EX, LOCK_NB, flock

from .failure import Failure, printable

MARK = "… "
"""How such a line begins; ``operations.waiting.MARK`` is the same for those who read it."""
VARIABLE = "MO_WAITING"
"""Names a file that gets these lines instead: what an engine's commands write on stderr is neither shown nor told from their results."""
TELL_SECONDS = 5
"""How long somebody waits before it is said."""
NAP_SECONDS = 0.003


def tell(text: str) -> None:
    """Says what is waited for."""
    line = MARK + printable(text) + "\n"
    try:
        if path := os.environ.get(VARIABLE):
            with open(path, "a", encoding="utf-8") as file:
                file.write(line)
            return
        sys.stderr.write(line)
        sys.stderr.flush()
    except OSError:
        pass


class _LateError(Exception):
    """The time is over."""


def take(descriptors: list[int], what: str, limit: int) -> int:
    """Takes the first of these lock files that is free, within ``limit`` seconds, and gives its descriptor. Raises ``Failure``.

    Whoever has one may be frozen: its process id stands in the file, and is said after a while. Of those that wait for a single file, the
    first to come is the first to have it.
    """
    taken = _try(descriptors)
    if taken is None:
        taken = _wait(descriptors, TELL_SECONDS)
    if taken is None:
        tell(f"waiting for {what} ({_holders(descriptors)}), {limit} s at most")
        taken = _wait(descriptors, limit)
    if taken is None:
        raise Failure(f"{what} was not free within {limit} s ({_holders(descriptors)}); end that process, or wait for it.")
    os.ftruncate(taken, 0)
    os.pwrite(taken, str(os.getpid()).encode(), 0)
    return taken


def _try(descriptors: list[int]) -> int | None:
    for descriptor in descriptors:
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            continue
        return descriptor
    return None


def _wait(descriptors: list[int], seconds: int) -> int | None:
    if len(descriptors) > 1:
        end = time.monotonic() + seconds
        while (taken := _try(descriptors)) is None and time.monotonic() < end:
            time.sleep(NAP_SECONDS)
        return taken
    before = signal(SIGALRM, _late)
    alarm(seconds)
    try:
        flock(descriptors[0], LOCK_EX)
    except _LateError:
        return None
    finally:
        alarm(0)
        signal(SIGALRM, before)
    return descriptors[0]


def _late(*_: object) -> None:
    raise _LateError


def _holders(descriptors: list[int]) -> str:
    names = sorted({os.pread(descriptor, 20, 0).decode(errors="replace").strip() for descriptor in descriptors} - {""})
    return f"held on this machine by process {', '.join(names)}" if names else "held by another process of this machine"
