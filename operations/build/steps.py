"""Runs one step of a build as a program of its own: time limit, log file, a small environment, its whole process group ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from operations.build.errors import StepFailedError, ToolMissingError
from operations.wording import on_one_line

_KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
_KEPT_PREFIXES = (
    "NPM_CONFIG_",
    "npm_config_",
    "PIP_",
    "COMPOSER_",
    "SSL_CERT_",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "PYENV_",
)
NPM_CI = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-timeout=60000", "--fetch-retries=5")
"""Installs what a lock file names. No package's own script runs: what ships is what the lock file names, nothing that it fetched.
npm waits five minutes for a download that has stalled, three times over: a stalled one is asked for again after one."""
_TAIL_LINES = 12
_TAIL_BYTES = 16_384

ADVICE = {
    "node": "install Node.js 20.19 or newer",
    "npm": "install npm, which comes with Node.js",
    "npx": "install npx, which comes with Node.js",
    "php": "install php-cli",
    "composer": "install composer",
}


@dataclass
class Steps:
    """The steps of one service's build. Each one's output goes to ``logs/<number>-<name>.log``; ``took`` collects (name, seconds)."""

    service: str
    logs: Path
    timeout: int
    took: list[tuple[str, float]] = field(default_factory=list)

    def need(self, tool: str) -> str:
        """The path of a program. Raises ``ToolMissingError`` with the service's name."""
        found = shutil.which(tool)
        if not found:
            raise ToolMissingError(self.service, tool, ADVICE.get(tool, f"install {tool}"))
        return found

    def run(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> None:
        """Runs ``command`` in ``folder``. Raises ``ToolMissingError`` or ``StepFailedError`` with the last lines of its log."""
        program = command[0] if os.path.isabs(command[0]) else self.need(command[0])
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{len(self.took) + 1:02}-{name.replace(':', '-').replace(' ', '-')}.log"
        started = time.monotonic()
        with log.open("wb") as output:
            output.write(f"$ {' '.join(' '.join(command).split())}\n".encode())
            output.flush()
            process = subprocess.Popen(
                [program, *command[1:]],
                cwd=folder,
                env=_environment(environment),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                process.communicate(stdin, timeout=self.timeout)
            except subprocess.TimeoutExpired:
                raise StepFailedError(
                    self.service, name, f"took more than its {self.timeout} s and was ended", str(log), _tail(log)
                ) from None
            finally:
                # What the step left running in its group would write into a folder that is about to go.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.took.append((name, time.monotonic() - started))
        if process.returncode:
            raise StepFailedError(self.service, name, f"ended with exit code {process.returncode}", str(log), _tail(log))


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """The step's environment: nothing of the caller's that may hold a secret; UTC and C.UTF-8, so that no output depends on the machine."""
    kept = {k: v for k, v in os.environ.items() if k in _KEPT or k.startswith(_KEPT_PREFIXES)}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC", "CI": "1", "NO_COLOR": "1", **(extra or {})}


def _tail(log: Path) -> list[str]:
    with log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _TAIL_BYTES))
        text = stream.read().decode("utf-8", "replace")
    lines = [on_one_line(line) for line in text.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith("$ ")][-_TAIL_LINES:]
