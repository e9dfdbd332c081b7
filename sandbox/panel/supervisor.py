"""Keeps the account's process services running, as a hosting panel does.

Started as ``supervisor.py CONFIGURATION FOLDER LOGS``; each line of the configuration is ``service<TAB>port<TAB>path``. A service is the
uvicorn application of its live release (the directory that ``path`` leads to) on that release's own ``.venv``. The supervisor holds the
listening socket, so that a restart lets connections wait instead of refusing them. Standard library only: it runs on the host's Python.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

BUDGET = 30.0
"""Seconds that a started application may take to answer; a laden machine needs more than the usual one to four."""
GRACE = 5.0
"""Seconds that a stopped one has to finish its requests."""
BACKOFF = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds to wait before each further start of an application that keeps ending."""
STEADY = 10.0
"""Seconds after which an application counts as well, so that its next end is restarted at once."""

_RUN = """
import socket, sys, uvicorn
listening = socket.socket(fileno=int(sys.argv[1]))
config = uvicorn.Config(sys.argv[2], proxy_headers=True, forwarded_allow_ips="127.0.0.1", timeout_graceful_shutdown=4)
uvicorn.Server(config).run(sockets=[listening])
"""


class RefusedError(Exception):
    """What was asked cannot be done; the sentence says why."""


class Service:
    """One application: wanted or not, running or not. Every public method may be called from any thread."""

    def __init__(self, key: str, port: int, path: Path, folder: Path, logs: Path) -> None:
        self.key, self.port, self.path = key, port, path
        self._wanted_file = folder / f"{key}.wanted"
        self._log = logs / f"{key}.log"
        self._lock = threading.RLock()
        self._socket: socket.socket | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._release = ""
        self._since = 0.0
        self._failures = 0
        self._next = 0.0

    def start(self) -> str:
        """Starts it where it does not run and waits until it answers."""
        with self._lock:
            if self._alive():
                return f"{self.key} runs already (process {self._pid()}, release {self._release})"
            python = self._python()
            self._want(True)
            self._spawn(python)
            return self._await()

    def stop(self) -> str:
        """Stops it; connections are refused from then on."""
        with self._lock:
            self._want(False)
            self._close()
            self._end()
            return f"{self.key} is stopped"

    def restart(self) -> str:
        """Ends it gracefully and starts the release that is live now, on the same socket."""
        with self._lock:
            python = self._python()
            self._want(True)
            self._listen()
            self._end()
            self._spawn(python)
            return self._await()

    def status(self) -> tuple[bool, str]:
        """Whether it runs, and a line that says so."""
        if self._alive():
            return True, f"{self.key} runs: process {self._pid()}, port {self.port}, release {self._release}"
        wanted = "wanted, waits to be started again" if self._wanted_file.exists() else "stopped"
        return False, f"{self.key} does not run ({wanted})"

    def resume(self) -> None:
        """Starts it as the panel does after its own start; a failure is left to ``watch``."""
        if self._wanted_file.exists():
            with contextlib.suppress(RefusedError), self._lock:
                self._spawn(self._python())

    def watch(self) -> None:
        """Starts it again where it ended by itself; called now and then."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if not self._wanted_file.exists() or self._alive():
                if self._alive() and time.monotonic() - self._since > STEADY:
                    self._failures = 0
                return
            now = time.monotonic()
            if self._child is not None:
                code = self._child.wait()
                self._child = None
                self._next = now + BACKOFF[min(self._failures, len(BACKOFF) - 1)]
                self._failures += 1
                say(f"{self.key} ended with {code}; started again in {self._next - now:.1f} s")
                if self._failures > 1:
                    # Whoever asks a site that does not come up shall be told so at once, not wait.
                    self._close()
            if now >= self._next:
                with contextlib.suppress(RefusedError):
                    self._spawn(self._python())
        finally:
            self._lock.release()

    def _alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def _pid(self) -> int:
        return self._child.pid if self._child else 0

    def _want(self, wanted: bool) -> None:
        self._failures, self._next = 0, 0.0
        if wanted:
            self._wanted_file.touch()
        else:
            self._wanted_file.unlink(missing_ok=True)

    def _listen(self) -> socket.socket:
        if self._socket is None:
            new = socket.socket()
            new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                new.bind(("127.0.0.1", self.port))
            except OSError as error:
                new.close()
                raise RefusedError(f"{self.key} cannot listen at port {self.port}: {error.strerror}") from error
            new.listen(512)
            self._socket = new
        return self._socket

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _python(self) -> Path:
        """The interpreter of the release that is live now; refuses where there is none, before anything is ended for it."""
        try:
            release = self.path.resolve(strict=True)
        except OSError:
            raise RefusedError(f"{self.key} has no release at {self.path}; deploy it first") from None
        python = release / ".venv" / "bin" / "python"
        if not os.access(python, os.X_OK):
            raise RefusedError(f"{self.key} has no .venv in its release {release.name}")
        return python

    def _spawn(self, python: Path) -> None:
        release = python.parent.parent.parent
        application = "main:app" if (release / "main.py").is_file() else "app.main:app"
        descriptor = self._listen().fileno()
        with open(os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640), "ab") as log:
            self._child = subprocess.Popen(
                [str(python), "-u", "-c", _RUN, str(descriptor), application],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=release,
                pass_fds=(descriptor,),
            )
        self._release, self._since = release.name, time.monotonic()

    def _await(self) -> str:
        end = self._since + BUDGET
        while time.monotonic() < end:
            if not self._alive():
                self._close()
                raise RefusedError(f"{self.key} ended while it started; its log is {self._log}")
            if self._answers(min(1.0, max(0.05, end - time.monotonic()))):
                return f"{self.key} runs: process {self._pid()}, release {self._release}"
            time.sleep(0.02)
        raise RefusedError(f"{self.key} does not answer within {BUDGET:.0f} s; its log is {self._log}")

    def _answers(self, timeout: float) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Panel:
    """All services, by key."""

    def __init__(self, configuration: Path, folder: Path, logs: Path) -> None:
        self._configuration, self._folder, self._logs = configuration, folder, logs
        self._services: dict[str, Service] = {}
        self.load()

    def load(self) -> None:
        """Reads the configuration; services that run are left alone unless they moved or are gone."""
        found = {}
        for line in filter(None, self._configuration.read_text().splitlines()):
            key, port, path = line.split("\t")
            held = self._services.get(key)
            if held is not None and (held.port, str(held.path)) == (int(port), path):
                found[key] = held
            else:
                found[key] = Service(key, int(port), Path(path), self._folder, self._logs)
        for key, service in self._services.items():
            if found.get(key) is not service:
                service.stop()
        self._services = found

    def resume(self) -> None:
        """Starts what ran before the panel was ended."""
        for service in self._services.values():
            service.resume()

    def watch(self) -> None:
        """Starts again what ended."""
        for service in list(self._services.values()):
            service.watch()

    def answer(self, request: object) -> dict[str, object]:
        """Carries out one request of ``pleskctl``."""
        verb, key = (request.get("verb"), request.get("service")) if isinstance(request, dict) else (None, None)
        if verb == "status" and key is None:
            told = "\n".join(service.status()[1] for service in self._services.values())
            return {"ok": True, "message": told or "there are no process services"}
        service = self._services.get(key) if isinstance(key, str) else None
        if service is None:
            return {"ok": False, "message": f"pleskctl: no service {key!r}; there are {', '.join(self._services) or 'none'}"}
        if verb == "status":
            ok, message = service.status()
            return {"ok": ok, "message": message}
        actions = {"start": service.start, "stop": service.stop, "restart": service.restart}
        if verb not in actions:
            return {"ok": False, "message": f"pleskctl: {verb!r} is no command"}
        try:
            message = actions[verb]()
        except RefusedError as error:
            say(str(error))
            return {"ok": False, "message": f"pleskctl: {error}"}
        say(f"{verb}: {message}")
        return {"ok": True, "message": message}


def say(line: str) -> None:
    """Writes to the panel's log."""
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), line, flush=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    panel: Panel


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        try:
            request = json.loads(self.rfile.readline(65536))
        except ValueError:
            request = None
        assert isinstance(self.server, _Server)
        answer = self.server.panel.answer(request)
        with contextlib.suppress(OSError):
            self.wfile.write(json.dumps(answer).encode() + b"\n")


def main(arguments: list[str]) -> None:
    """Serves until it is ended by a signal."""
    configuration, folder, logs = map(Path, arguments)
    panel = Panel(configuration, folder, logs)
    changed = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: changed.set())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    control = folder / "control"
    control.unlink(missing_ok=True)
    server = _Server(str(control), _Handler)
    control.chmod(0o600)
    server.panel = panel
    panel.resume()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        if changed.is_set():
            changed.clear()
            panel.load()
        panel.watch()
        time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1:])
