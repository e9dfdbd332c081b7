"""``bin/pulumi`` as the Automation API runs it, and how it is stopped before it is done."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO

from pulumi import automation as auto
from pulumi.automation import errors

GRACE = 60.0
"""Seconds that a stopped engine has to write down what was done; its steps on the host are refused or end by themselves meanwhile."""


class EngineCommand(auto.PulumiCommand):
    """Runs one command at a time in each thread, as the class above does; ``stop`` ends what runs."""

    def __init__(self, root: str) -> None:
        super().__init__(root=root)
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], object] | None = None,
        on_error: Callable[[str], object] | None = None,
    ) -> auto.CommandResult:
        """See ``PulumiCommand.run``. Raises ``CommandError`` where the command fails, or was stopped."""
        environment = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        environment["PATH"] = os.pathsep.join([os.path.dirname(self.command), environment.get("PATH", "")])
        command = [self.command, "--non-interactive", *args]
        with self._lock:
            if self._stopped:
                raise errors.create_command_error(auto.CommandResult(stdout="", stderr="error: this run was stopped", code=1))
            child = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=environment, encoding="utf-8"
            )
            self._running.add(child)
        try:
            with child:
                told: dict[str, list[str]] = {"stdout": [], "stderr": []}
                readers = [
                    threading.Thread(target=_read, args=(child.stdout, on_output, told["stdout"])),
                    threading.Thread(target=_read, args=(child.stderr, on_error, told["stderr"])),
                ]
                for reader in readers:
                    reader.start()
                for reader in readers:
                    reader.join()
                code = child.wait()
        finally:
            with self._lock:
                self._running.discard(child)
        result = auto.CommandResult(stdout="\n".join(told["stdout"]), stderr="\n".join(told["stderr"]), code=code)
        if code != 0:
            raise errors.create_command_error(result)
        return result

    def stop(self, grace: float = GRACE) -> None:
        """Interrupts what runs, and kills it ``grace`` seconds later; nothing begins any more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for child in running:
            with suppress(ProcessLookupError):
                child.send_signal(signal.SIGINT)
        end = time.monotonic() + grace
        while time.monotonic() < end and any(child.poll() is None for child in running):
            time.sleep(0.1)
        for child in running:
            child.kill()


def _read(stream: IO[str] | None, tell: Callable[[str], object] | None, lines: list[str]) -> None:
    assert stream is not None
    for line in stream:
        lines.append(line.rstrip())
        if tell:
            tell(lines[-1])
