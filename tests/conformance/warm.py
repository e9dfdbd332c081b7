"""The engine's command line without the start of an interpreter for each command: processes forked from one that has imported it.

A replay runs some hundred commands, and three quarters of their time would go to imports and to the key of the passphrase. A forked child
is a process of its own, with the session, files, folder and environment of a started one. What a case runs by a shell starts the engine as
users do; so do all commands of the cases that kill it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import hashlib
import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from typing_extensions import Buffer

ROOT = Path(__file__).resolve().parents[2]
_SERVE = f"""import sys
sys.path[0] = {str(ROOT)!r}
from tests.conformance import warm
warm.serve(int(sys.argv[1]), warm.Path(sys.argv[2]))"""
_MODULES = ("pulumi_command", "pulumi_random", "pulumi_policy")
"""What the recorded programs import beside the SDK."""


class Pool:
    """A warm engine. One command runs at a time; a lock keeps a second one waiting."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._lock, self._keys = threading.Lock(), tempfile.TemporaryDirectory(prefix="replay-keys-")
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
        with theirs:
            command = [sys.executable, "-c", _SERVE, str(theirs.fileno()), self._keys.name]
            self._server = subprocess.Popen(
                command, cwd=ROOT, env=kept, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
            )
        self._answers = self._control.makefile("rb")

    def run(
        self, words: Sequence[str], directory: Path, environment: Mapping[str, str], limit: float
    ) -> subprocess.CompletedProcess[str]:
        """Runs ``pulumi`` with ``words``. Raises ``subprocess.TimeoutExpired`` after ``limit`` seconds, and the command is killed."""
        with self._lock, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, open(os.devnull, "rb") as nothing:
            request = {"words": list(words), "directory": str(directory), "environment": dict(environment)}
            message = json.dumps(request).encode() + b"\n"
            sent = socket.send_fds(self._control, [message], [nothing.fileno(), output.fileno(), errors.fileno()])
            self._control.sendall(message[sent:])
            started = int(self._answers.readline())
            self._control.settimeout(limit)
            try:
                code = int(self._answers.readline())
            except TimeoutError:
                self.close()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(started, 9)
                raise subprocess.TimeoutExpired(list(words), limit) from None
            finally:
                self._control.settimeout(None)
            texts = []
            for file in (output, errors):
                file.seek(0)
                texts.append(file.read().decode(errors="replace").replace("\r\n", "\n"))
        return subprocess.CompletedProcess(list(words), code, *texts)

    def close(self) -> None:
        """Ends the server; it has no child at work but after a time-out."""
        self._control.close()
        self._server.terminate()
        self._server.wait()
        self._keys.cleanup()


def serve(control: int, keys: Path) -> None:
    """The server: imports the engine, starts the process that forks programs, then forks a child for each command."""
    from embedded import sdk_messages

    sdk_messages.bare()
    import embedded

    for module in pkgutil.walk_packages(embedded.__path__, "embedded."):
        if module.name not in ("embedded.__main__", "embedded.engine.launch"):
            importlib.import_module(module.name)
    programs = _start_programs()
    _derive_once(keys)
    gc.freeze()
    with socket.socket(fileno=control) as asked:
        while True:
            message, files = _receive(asked)
            child = os.fork()
            if child == 0:
                asked.close()
                _become(json.loads(message), files, programs)
            for file in files:
                os.close(file)
            asked.sendall(b"%d\n" % child)
            _, status = os.waitpid(child, 0)
            asked.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _derive_once(folder: Path) -> None:
    """Keeps each key that a passphrase gives: deriving one costs a command a third of its time, and a case does it for one salt or two."""
    derive = hashlib.pbkdf2_hmac

    def derived(hash_name: str, password: Buffer, salt: Buffer, iterations: int, dklen: int | None = None) -> bytes:
        kept = folder / hashlib.sha256(repr((hash_name, bytes(password), bytes(salt), iterations, dklen)).encode()).hexdigest()
        if not kept.exists():
            new = kept.with_suffix(f".{os.getpid()}")
            new.write_bytes(derive(hash_name, password, salt, iterations, dklen))
            new.replace(kept)
        return kept.read_bytes()

    hashlib.pbkdf2_hmac = derived


def _receive(asked: socket.socket) -> tuple[bytes, list[int]]:
    message, files = b"", list[int]()
    while not message.endswith(b"\n"):
        part, found, _, _ = socket.recv_fds(asked, 1 << 20, 3)
        if not part:
            os._exit(0)
        message += part
        files += found
    return message, files


def _become(request: dict[str, Any], files: list[int], programs: tuple[socket.socket, subprocess.Popen[bytes]]) -> NoReturn:
    """Runs one command in this child and ends it as Python ends a process."""
    from embedded import interpreters
    from embedded.cli.main import main

    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    sys.argv = ["pulumi", *request["words"]]
    interpreters._servers[sys.executable] = _inherited(*programs)
    gc.set_threshold(100_000, 50, 50)
    code = 1
    try:
        code = main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _start_programs() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The process that imports the SDK and forks programs and packs, as ``interpreters.Server`` starts it, but without its listener: that
    is each command's own."""
    control, theirs = socket.socketpair()
    launch = ROOT / "embedded" / "engine" / "launch.py"
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-u", str(launch), str(theirs.fileno()), *_MODULES],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return control, process


def _inherited(control: socket.socket, process: subprocess.Popen[bytes]) -> Any:
    """The server of programs for this command."""
    from embedded import interpreters

    server = interpreters.Server.__new__(interpreters.Server)
    server._control, server._process = control, process
    server._asking, server._answered = threading.Lock(), threading.Semaphore(0)
    server._starting, server._children, server.alive = [], _Children(), True
    threading.Thread(target=server._listen, daemon=True).start()
    return server


class _Children(dict[int, Any]):
    """The children of this command. Of one of the command before, which did not wait for its end, nobody asks any more."""

    def pop(self, key: int, *default: Any) -> Any:
        return super().pop(key, _NOBODY)


class _Nobody:
    def end(self, code: int) -> None:
        """Nobody waits."""


_NOBODY = _Nobody()
