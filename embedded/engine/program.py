"""The program of a stack: a Python process of its own, or an inline program of the Automation API."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

import grpc
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from embedded.engine.events import Events
from embedded.interpreters import Child, python_of, server
from embedded.model import EngineError, Options, Project

_REPORTED = 32  # the exit code of a program that has said itself what is wrong
_PATIENCE = 5.0  # seconds that an interrupted program has to end

Finished = Callable[[str | None, bool], None]  # the error (None: it ended well), and whether it has been reported


class Program(Protocol):
    """A program under way."""

    def start(self, address: str, events: Events, finished: Finished) -> None:
        """Lets the program begin, with the engine at ``address``."""

    def interrupt(self) -> None:
        """Asks the program to stop."""

    def wait(self) -> None:
        """Waits for its end, and ends it by force when it takes too long after an interrupt."""


def prepare(options: Options, project: Project, parallel: int) -> Program:
    """A program that is ready to start; its process imports the SDK meanwhile."""
    if options.client:
        return InlineProgram(options, project, parallel)
    return PythonProgram(options, project, parallel)


class NoProgram:
    """Where a run does without the program (destroy, refresh)."""

    def start(self, address: str, events: Events, finished: Finished) -> None:
        finished(None, False)

    def interrupt(self) -> None:
        pass

    def wait(self) -> None:
        pass


class Output:
    """Passes the lines of a process on as messages."""

    def __init__(self, process: Child, say: Callable[[str, str], None]) -> None:
        self._threads = [
            threading.Thread(target=self._read, args=(stream, severity, say), daemon=True)
            for stream, severity in ((process.stdout, "info"), (process.stderr, "info#err"))
        ]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _read(stream: IO[bytes], severity: str, say: Callable[[str, str], None]) -> None:
        for line in stream:
            say(severity, line.decode(errors="replace"))

    def drain(self, timeout: float | None = None) -> None:
        for thread in self._threads:
            thread.join(timeout)


class PythonProgram:
    """The program as a process of the project's Python."""

    def __init__(self, options: Options, project: Project, parallel: int) -> None:
        python, environment = python_of(project.virtualenv, project.directory)
        # By the pipe: what the program starts in turn would inherit a variable, and /proc shows it.
        for name in ("PULUMI_CONFIG", "PULUMI_CONFIG_SECRET_KEYS"):
            environment.pop(name, None)
        self._configuration = {"config": dict(project.config), "secret_keys": sorted(project.secret_keys)}
        directory, entry = _entry_point(project)
        settings = {
            "project": project.name,
            "stack": project.stack,
            "organization": project.organization,
            "root_directory": project.directory,
            "parallel": str(parallel),
            "dry_run": "true" if options.kind.startswith("preview") else "false",
            "debug": "true" if options.debug else "false",
        }
        arguments = [item for name, value in settings.items() for item in (f"--{name}", value)] + [entry]
        gate, self._gate = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            self._process = server(python, environment, directory).start(
                "program", arguments, directory, environment, nothing, gate
            )
        except EngineError:
            os.close(self._gate)
            raise
        finally:
            os.close(gate)
            os.close(nothing)
        self._ended: threading.Thread | None = None
        self._interrupted = False

    def start(self, address: str, events: Events, finished: Finished) -> None:
        def say(severity: str, line: str) -> None:
            events.diagnostic(severity, line)

        output = Output(self._process, say)

        def watch() -> None:
            code = self._process.wait()
            output.drain(timeout=2)
            if code == 0:
                finished(None, False)
            elif code == _REPORTED:
                finished("the program has failed", True)
            elif code < 0:
                finished(f"an unhandled error occurred: program exited unexpectedly: signal: {signal.Signals(-code).name}", False)
            else:
                finished(f"an unhandled error occurred: program exited with non-zero exit code: {code}", False)

        self._ended = threading.Thread(target=watch, daemon=True)
        self._ended.start()
        with contextlib.suppress(BrokenPipeError):
            message = json.dumps({"monitor": address, "engine": address, **self._configuration}).encode() + b"\n"
            while message:
                message = message[os.write(self._gate, message) :]
        self._close_gate()

    def _close_gate(self) -> None:
        if self._gate >= 0:
            os.close(self._gate)
            self._gate = -1

    def interrupt(self) -> None:
        self._close_gate()
        self._interrupted = True
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)

    def wait(self) -> None:
        self._close_gate()
        try:
            self._process.wait(timeout=_PATIENCE if self._interrupted else None)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._ended is not None:
            self._ended.join(timeout=5)


def _entry_point(project: Project) -> tuple[str, str]:
    """The program's working directory, and what to run in it."""
    main = Path(project.directory, project.main or ".")
    if main.is_dir():
        return str(main), "."
    if not main.exists():
        raise EngineError(f"could not find the program that `main` names in Pulumi.yaml: {main}")
    return str(main.parent), main.name


class InlineProgram:
    """A program that lives in the process that drives this engine, asked over its ``LanguageRuntime`` service."""

    def __init__(self, options: Options, project: Project, parallel: int) -> None:
        assert options.client is not None
        self._channel = grpc.insecure_channel(options.client)
        self._stub: Any = language_pb2_grpc.LanguageRuntimeStub(self._channel)
        self._options, self._project, self._parallel = options, project, parallel
        self._call: Any = None
        self._ended: threading.Thread | None = None

    def start(self, address: str, events: Events, finished: Finished) -> None:
        project = self._project
        request = language_pb2.RunRequest(
            project=project.name,
            stack=project.stack,
            pwd=project.directory,
            program=".",
            args=[address],
            config=project.config,
            configSecretKeys=sorted(project.secret_keys),
            dryRun=self._options.kind.startswith("preview"),
            parallel=self._parallel,
            monitor_address=address,
            organization=project.organization,
            info=language_pb2.ProgramInfo(root_directory=project.directory, program_directory=project.directory, entry_point="."),
        )
        self._call = self._stub.Run.future(request)

        def watch() -> None:
            try:
                response = self._call.result()
            except grpc.FutureCancelledError:
                finished("the inline program was cancelled", True)
            except grpc.RpcError as error:
                finished(f"the inline program cannot be reached: {error}", False)
            else:
                if response.bail:
                    finished("the program has failed", True)
                else:
                    finished(f"an unhandled error occurred: {response.error}" if response.error else None, False)

        self._ended = threading.Thread(target=watch, daemon=True)
        self._ended.start()

    def interrupt(self) -> None:
        if self._call is not None:
            self._call.cancel()

    def wait(self) -> None:
        if self._ended is not None:
            self._ended.join(timeout=_PATIENCE)
        self._channel.close()
