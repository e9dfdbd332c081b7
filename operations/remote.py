"""One step of the host protocol, asked for by an operator's command instead of the engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from components.component import PROTOCOL
from operations.problem import Problem
from operations.waiting import MARK


def run(root: Path, stack: str, step: str, request: Mapping[str, Any], timeout: int = 120) -> dict[str, Any]:
    """The answer of ``components/remote/run <step>``. Raises ``Problem`` with the host program's own sentence."""
    text = json.dumps({"protocol": PROTOCOL, "stack": stack, **request})
    try:
        child = subprocess.Popen(
            ["components/remote/run", step],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except OSError as error:
        raise Problem(f"components/remote/run cannot be started: {error.strerror}.") from None
    with child, ThreadPoolExecutor(max_workers=3) as pool:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        given = pool.submit(_give, child.stdin, text)
        out, said = pool.submit(child.stdout.read), pool.submit(_heard, child.stderr)
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Problem(f"The host did not answer within {timeout} s (step {step}).") from None
        finally:
            child.kill()
        given.result()
    if code != 0:
        raise Problem(said.result() or f"The step {step} ended with {code} and said nothing.")
    try:
        answer = json.loads(out.result())
    except ValueError:
        raise Problem(f"The answer of the step {step} is no JSON.") from None
    if not isinstance(answer, dict):
        raise Problem(f"The answer of the step {step} is no JSON object.")
    return answer


def _give(stdin: IO[str], text: str) -> None:
    with suppress(BrokenPipeError), stdin:
        stdin.write(text)


def _heard(stderr: IO[str]) -> str:
    """What the step says of its failure. What it waits for is handed on as it comes."""
    lines = []
    for line in stderr:
        if line.startswith(MARK):
            sys.stderr.write(line)
            sys.stderr.flush()
        else:
            lines.append(line)
    return "".join(lines).strip()


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
