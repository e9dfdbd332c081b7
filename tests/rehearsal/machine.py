"""A fresh machine for each job, and what its steps leave in the files that GitHub gives them."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.rehearsal.workflow import Stand

IDS = itertools.count(1)
"""Numbers of machines, runs and scripts."""


class ActionError(Exception):
    """Why an action, or a step before its script began, failed; one sentence."""


@dataclass
class Machine:
    """A fresh runner. ``added``: what steps wrote to ``GITHUB_ENV``."""

    folder: Path
    number: int
    added: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)

    @property
    def workspace(self) -> Path:
        """``GITHUB_WORKSPACE``."""
        return self.folder / "workspace"

    @property
    def temp(self) -> Path:
        """``RUNNER_TEMP``."""
        return self.folder / "temp"


class Booted:
    """A machine from its start to its end: then whatever a step left running is ended, as the real runner does by its tracking id."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        number = next(IDS)
        self._machine = Machine(stand.folder / f"runner-{number}", number)

    def __enter__(self) -> Machine:
        for folder in (self._machine.workspace, self._machine.temp, self._machine.folder / "home"):
            folder.mkdir(parents=True)
        return self._machine

    def __exit__(self, *_: object) -> None:
        for end in self._stand.ends:
            end(self._machine.folder)
        for pid in _left_by(self._machine):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self._machine.folder, ignore_errors=True)


def _left_by(machine: Machine) -> Iterator[int]:
    mark = f"RUNNER_TRACKING_ID=github_{machine.number}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if mark in environment.split(b"\0"):
            yield int(entry.name)


def assignments(file: Path) -> dict[str, str]:
    """What a step wrote into ``GITHUB_ENV`` or ``GITHUB_OUTPUT``: ``NAME=value`` and ``NAME<<MARK``."""
    found: dict[str, str] = {}
    lines = iter(file.read_text().splitlines())
    for line in lines:
        if match := re.fullmatch(r"([A-Za-z_][\w-]*)<<(\S+)", line):
            found[match[1]] = "\n".join(itertools.takewhile(lambda text, mark=match[2]: text != mark, lines))  # type: ignore[misc]
        elif match := re.fullmatch(r"([A-Za-z_][\w-]*)=(.*)", line):
            found[match[1]] = match[2]
        elif line.strip():
            raise ActionError(f"{line!r} is no assignment of a file command")
    return found
