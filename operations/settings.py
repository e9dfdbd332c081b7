"""A stack's settings with their secrets, for commands that reach the host themselves."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from catalog import settings_file
from catalog.settings_file import Loaded
from operations.problem import Problem
from operations.project import PREFIX


def load(root: Path, stack: str) -> Loaded:
    """The settings of ``stack``, decrypted by ``bin/pulumi``. Raises ``Problem`` and ``SettingsError``."""
    done = subprocess.run(
        ["bin/pulumi", "config", "--json", "--show-secrets", "--stack", stack],
        cwd=root,
        env={**os.environ, "PULUMI_STACK": stack},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Problem(f"The settings of the stack {stack} cannot be read: {done.stderr.strip().removeprefix('error: ')}")
    raw = {key.removeprefix(PREFIX): _text(entry) for key, entry in json.loads(done.stdout).items() if key.startswith(PREFIX)}
    return settings_file.load(raw, root, stack)


def _text(entry: dict[str, object]) -> str:
    """A setting as the program gets it: objects as JSON."""
    if "objectValue" in entry:
        return json.dumps(entry["objectValue"])
    return str(entry.get("value", ""))
