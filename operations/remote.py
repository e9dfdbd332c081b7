"""One step of the host protocol, asked for by an operator's command instead of the engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.component import PROTOCOL
from operations.problem import Problem


def run(root: Path, stack: str, step: str, request: Mapping[str, Any], timeout: int = 120) -> dict[str, Any]:
    """The answer of ``components/remote/run <step>``. Raises ``Problem`` with the host program's own sentence."""
    text = json.dumps({"protocol": PROTOCOL, "stack": stack, **request})
    try:
        done = subprocess.run(
            ["components/remote/run", step], cwd=root, input=text, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise Problem(f"The host did not answer within {timeout} s (step {step}).") from None
    except OSError as error:
        raise Problem(f"components/remote/run cannot be started: {error.strerror}.") from None
    if done.returncode != 0:
        raise Problem(done.stderr.strip() or f"The step {step} ended with {done.returncode} and said nothing.")
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise Problem(f"The answer of the step {step} is no JSON.") from None
    if not isinstance(answer, dict):
        raise Problem(f"The answer of the step {step} is no JSON object.")
    return answer


def connect(root: Path, stack: str) -> str:
    """Writes the connection of ``stack`` from its settings, as the program does, and gives the host's name. Needs the stack's passphrase.
    Raises ``Problem``."""
    from catalog.settings_file import SettingsError
    from components.host import HostArgs, write_connection
    from operations import settings

    try:
        loaded = settings.load(root, stack)
    except SettingsError as error:
        raise Problem(str(error)) from None
    write_connection(HostArgs(stack, root, loaded.settings, loaded.secrets))
    return loaded.settings.host.name
