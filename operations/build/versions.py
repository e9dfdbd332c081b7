"""Versions of the programs that a build uses, asked once in a run."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

from operations.build.steps import Steps

_known: dict[str, str] = {}
_lock = threading.Lock()
_NUMBER = re.compile(r"\d+(\.\d+)+")


def version_of(steps: Steps, tool: str) -> str:
    """The version that ``tool --version`` names. Raises ``ToolMissingError`` for the service."""
    program = steps.need(tool)
    with _lock:
        if program not in _known:
            try:
                done = subprocess.run(
                    [program, "--version"],
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                    stdin=subprocess.DEVNULL,
                    cwd=Path("/"),
                )
                found = _NUMBER.search(done.stdout + done.stderr)
            except (OSError, subprocess.TimeoutExpired):
                found = None
            _known[program] = found.group() if found else "unknown"
        return _known[program]
