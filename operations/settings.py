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
    return settings_file.load(decrypted(root, stack), root, stack)


def decrypted(root: Path, stack: str) -> dict[str, str]:
    """The texts below ``mo:`` of ``stack`` as they stand in its file, decrypted by ``bin/pulumi``. Raises ``Problem``."""
    done = subprocess.run(
        ["bin/pulumi", "config", "--json", "--show-secrets", "--stack", stack],
        cwd=root,
        env={**os.environ, "PULUMI_STACK": stack},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("error: ")
        raise Problem(f"The settings of the stack {stack} cannot be read: {said}{_hint(said, stack)}")
    return {key.removeprefix(PREFIX): _text(entry) for key, entry in json.loads(done.stdout).items() if key.startswith(PREFIX)}


def _hint(said: str, stack: str) -> str:
    """What to do about it, where the engine does not say so."""
    if "no stack named" in said:
        return f"; make it: bin/pulumi stack init {stack}"
    return "; which backend to choose: docs/state.md" if "no backend" in said else ""


def _text(entry: dict[str, object]) -> str:
    """A setting as the program gets it: objects as JSON."""
    if "objectValue" in entry:
        return json.dumps(entry["objectValue"])
    return str(entry.get("value", ""))
