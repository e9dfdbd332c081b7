"""Where the real Pulumi CLI is, for the tests marked ``pulumi_cli``."""

from __future__ import annotations

import os
from pathlib import Path

_OWN = Path(__file__).resolve().parents[1] / "bin"


def real_cli() -> str | None:
    """The CLI on the PATH, never the project's own launcher; ``None`` where there is none."""
    for folder in os.environ["PATH"].split(os.pathsep):
        candidate = Path(folder) / "pulumi"
        if os.access(candidate, os.X_OK) and candidate.resolve().parent != _OWN:
            return str(candidate)
    return None
