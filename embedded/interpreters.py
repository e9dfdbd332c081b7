"""Python processes for programs and policy packs: forked from one that has imported the SDK (``engine/launch.py``), one for each Python."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from embedded.model import EngineError

_KILLED: Final = -9  # the exit code of children whose parent is gone, for they end with it


class Child:
    """A process that the server has forked, with the methods of ``subprocess.Popen`` that the engine needs."""

    def __init__(self, output: int, errors: int) -> None:
        self.pid = 0
        self.stdout: IO[bytes] = os.fdopen(output, "rb")
        self.stderr: IO[bytes] = os.fdopen(errors, "rb")
        self._code: int | None = None
        self._ended = threading.Event()

    def end(self, code: int) -> None:
        """Notes the process's end."""
        self._code = code
        self._ended.set()

    def poll(self) -> int | None:
        """The exit code (negative: the signal), or ``None`` while it runs."""
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end and gives the exit code. Raises ``subprocess.TimeoutExpired`` after ``timeout`` seconds."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("the program", timeout or 0)
        assert self._code is not None
        return self._code

    def send_signal(self, number: int) -> None:
        """Sends a signal. Raises ``ProcessLookupError`` where it has ended."""
        os.kill(self.pid, number)


class Server:
    """A Python that imports the SDK and ``modules``, as far as they are there, and then forks children."""

    def __init__(self, python: str, environment: Mapping[str, str], modules: Sequence[str]) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [python, "-u", str(Path(__file__).parent / "engine" / "launch.py"), str(theirs.fileno()), *modules],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except OSError as error:
                self._control.close()
                raise EngineError(f"problem executing program (could not run language executor): {error}") from None
        self._asking = threading.Lock()
        self._answered = threading.Semaphore(0)
        self._starting: list[Child] = []
        self._children: dict[int, Child] = {}
        self.alive = True
        threading.Thread(target=self._listen, daemon=True, name="interpreters").start()

    def start(
        self,
        kind: str,
        arguments: Sequence[str],
        directory: str,
        environment: Mapping[str, str],
        given: int,
        gate: int | None = None,
    ) -> Child:
        """Starts a ``program`` or a ``pack``. ``given`` becomes its standard input, ``gate`` what a program waits for.

        Raises ``EngineError`` where it cannot be started.
        """
        (output, output_end), (errors, errors_end) = os.pipe(), os.pipe()
        child = Child(output, errors)
        request = {"kind": kind, "arguments": list(arguments), "directory": directory, "environment": dict(environment)}
        message = json.dumps(request).encode() + b"\n"
        try:
            with self._asking:
                self._starting.append(child)
                sent = socket.send_fds(self._control, [message], [given, output_end, errors_end, *([] if gate is None else [gate])])
                self._control.sendall(message[sent:])
                self._answered.acquire()
        except OSError as error:
            raise EngineError(f"problem executing program (could not run language executor): {error}") from None
        finally:
            os.close(output_end)
            os.close(errors_end)
        if child.pid == 0:
            raise EngineError(
                "problem executing program (could not run language executor): the Python that was to run it has ended"
            )
        return child

    def _listen(self) -> None:
        with self._control.makefile("rb") as answers, contextlib.suppress(OSError):
            for line in answers:
                answer = json.loads(line)
                if "started" in answer:
                    child = self._starting.pop()
                    child.pid = answer["started"]
                    self._children[child.pid] = child
                    self._answered.release()
                else:
                    self._children.pop(answer["ended"]).end(answer["code"])
        self.alive = False
        self._process.wait()
        for child in (*self._starting, *self._children.values()):
            child.end(_KILLED)
        self._answered.release()


_servers: dict[str, Server] = {}
_lock = threading.Lock()


def server(python: str, environment: Mapping[str, str], directory: str) -> Server:
    """The server of a Python, which is started where there is none: asked for early, it imports the SDK meanwhile.

    ``directory``: of the program or pack that is to run, whose packages are imported too.
    """
    with _lock:
        found = _servers.get(python)
        if found is None or not found.alive:
            # By a pipe, later: what the program starts in turn would inherit a variable, and /proc shows it.
            hidden = ("PULUMI_CONFIG", "PULUMI_CONFIG_SECRET_KEYS")
            given = {k: v for k, v in environment.items() if k not in hidden}
            found = _servers[python] = Server(python, given, _required(directory))
        return found


def _required(directory: str) -> list[str]:
    """The modules of the provider packages in ``requirements.txt``; none where that cannot be read."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        named = re.findall(r"^pulumi[-_]([\w-]+)", Path(directory, "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
        return [f"pulumi_{name.replace('-', '_')}" for name in named]
    return []


def python_of(virtualenv: str | None, directory: str) -> tuple[str, dict[str, str]]:
    """The Python to run with, and the environment that a ``virtualenv`` needs."""
    environment = dict(os.environ)
    if not virtualenv:
        return sys.executable, environment
    root = Path(directory, virtualenv)
    python = root / "bin" / "python"
    if not python.exists():
        raise EngineError(
            f'The \'virtualenv\' option in Pulumi.yaml is set to "{virtualenv}", but "{root}" doesn\'t exist; run the following commands '
            f"to create the virtual environment and install dependencies into it:\n\n"
            f"    1. {shlex.join([sys.executable, '-m', 'venv', str(root)])}\n"
            f"    2. {shlex.join([str(python), '-m', 'pip', 'install', '-r', str(Path(directory, 'requirements.txt'))])}"
        )
    environment |= {"VIRTUAL_ENV": str(root), "PATH": f"{root / 'bin'}{os.pathsep}{environment.get('PATH', '')}"}
    environment.pop("PYTHONHOME", None)
    return str(python), environment
