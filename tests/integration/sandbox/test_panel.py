"""The panel's supervisor: the live release runs, restarts lose no request, what ends is started again, what cannot start is named.

The application is a release of the sandbox's own with a small module in uvicorn's place, so that no registry is needed; the demonstration
deploy runs the real one.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.panel import supervisor
from tests.sandbox_fixture import Sandbox

pytestmark = pytest.mark.sandbox

_UVICORN = """
import http.server, importlib, os, signal, sys, threading
class Config:
    def __init__(self, app, **_): self.app = app
class Server:
    def __init__(self, config): module, name = config.app.split(":"); self.text = getattr(importlib.import_module(module), name)
    def run(self, sockets):
        text = self.text
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_): pass
            def do_GET(self):
                data = text().encode()
                self.send_response(200); self.send_header("Content-Length", str(len(data))); self.end_headers(); self.wfile.write(data)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        server.daemon_threads = False
        server.socket.close(); server.socket = sockets[0]
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever(); server.server_close()
"""
_MAIN = """
import os, pathlib
def app():
    return pathlib.Path(__file__).parent.name + " " + str(os.getpid())
"""


@pytest.fixture
def host(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox with the releases r1 and r2 of ``api`` and a broken r3; r1 is live. All taken away again."""
    script = f"set -e; cd {sandbox.root}; rmdir api.menschlichkeit-oesterreich.at\n"
    for release in ("r1", "r2", "r3"):
        folder, text = f".deploy/api/releases/{release}", _MAIN if release != "r3" else "raise RuntimeError('broken release')\n"
        script += f"mkdir -p {folder}/.venv/bin\nln -s $(command -v python3) {folder}/.venv/bin/python\n"
        script += f"cat > {folder}/uvicorn.py <<'END'\n{_UVICORN}END\ncat > {folder}/main.py <<'END'\n{text}END\n"
    sandbox.ssh(script)
    _switch(sandbox, "r1")
    yield sandbox
    place = "api.menschlichkeit-oesterreich.at"
    sandbox.ssh(f"pleskctl stop api; cd {sandbox.root} && rm -rf .deploy {place} && mkdir {place}")


def _switch(sandbox: Sandbox, release: str) -> None:
    sandbox.ssh(f"cd {sandbox.root} && ln -sfn .deploy/api/releases/{release} new && mv -T new api.menschlichkeit-oesterreich.at")


def _process(sandbox: Sandbox) -> int:
    found = re.search(r"process (\d+)", sandbox.ssh("pleskctl status api").stdout.decode())
    assert found
    return int(found[1])


def test_a_restart_takes_the_live_release_and_loses_no_request(host: Sandbox) -> None:
    assert host.get("api").status in (502, 503)
    assert host.ssh("pleskctl start api").stdout.decode().endswith("release r1\n")
    answers: Counter[str] = Counter()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answer = host.get("api", "/health")
            answers[f"{answer.status} {answer.body.split(' ')[0]}"] += 1

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for release in ("r2", "r1", "r2"):
        _switch(host, release)
        host.ssh("pleskctl restart api")
        assert host.get("api").body.startswith(f"{release} ")
    done.set()
    for thread in threads:
        thread.join()
    assert set(answers) == {"200 r1", "200 r2"}


def test_what_ends_by_itself_is_started_again(host: Sandbox) -> None:
    host.ssh("pleskctl start api")
    first = _process(host)
    host.ssh(f"kill -9 {first}")
    assert host.get("api").body.startswith("r1 ")
    assert _process(host) != first


def test_a_release_that_cannot_start_is_named_and_the_former_one_comes_back(host: Sandbox) -> None:
    host.ssh("pleskctl start api")
    _switch(host, "r3")
    failed = host.ssh("pleskctl restart api", check=False)
    assert failed.returncode == 1
    assert failed.stderr.decode() == f"pleskctl: api ended while it started; its log is {host.root}/logs/api.log\n"
    assert "broken release" in (host.root / "logs" / "api.log").read_text()
    began = time.monotonic()
    assert host.get("api").status in (502, 503)
    assert time.monotonic() - began < 5
    _switch(host, "r1")
    host.ssh("pleskctl restart api")
    assert host.get("api").body.startswith("r1 ")


def test_a_release_without_its_environment_is_refused_while_the_running_one_goes_on(host: Sandbox) -> None:
    host.ssh("pleskctl start api")
    running = _process(host)
    host.ssh(f"rm -rf {host.root}/.deploy/api/releases/r2/.venv")
    _switch(host, "r2")
    failed = host.ssh("pleskctl restart api", check=False)
    assert (failed.returncode, failed.stderr) == (1, b"pleskctl: api has no .venv in its release r2\n")
    assert _process(host) == running


def test_a_killed_panel_comes_back_with_what_ran(host: Sandbox) -> None:
    host.ssh("pleskctl start api")
    host.kill("panel")
    assert host.ssh("pleskctl status api", check=False).returncode == 1
    host.up()
    deadline = time.monotonic() + 10
    while host.get("api").status != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert host.get("api").body.startswith("r1 ")
    assert host.ssh("ps -ef 2>/dev/null; pleskctl status").stdout


def test_a_stopped_service_stays_stopped_and_says_so(host: Sandbox) -> None:
    host.ssh("pleskctl start api")
    host.ssh("pleskctl stop api")
    stopped = host.ssh("pleskctl status api", check=False)
    assert (stopped.returncode, stopped.stderr) == (1, b"api does not run (stopped)\n")
    assert host.get("api").status in (502, 503)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("", 2),
        ("restart", 2),
        ("explode api", 2),
        ("restart votes", 1),
        ("restart ../../etc", 1),
        ("restart ''", 1),
        ("restart api api", 2),
    ],
)
def test_wrong_commands_are_refused(sandbox: Sandbox, words: str, code: int) -> None:
    refused = sandbox.ssh(f"pleskctl {words}", check=False)
    assert refused.returncode == code
    assert refused.stderr
    assert b"Traceback" not in refused.stderr


@pytest.mark.parametrize("said", ["", "null", "[]", "{}", '{"verb": ["x"], "service": {}}', "x" * 100_000, "\\xff"])
def test_the_panel_survives_what_no_client_should_say(sandbox: Sandbox, said: str) -> None:
    code = "import socket,sys; s=socket.socket(1); s.connect(sys.argv[1]); s.sendall(sys.stdin.buffer.read()+b'\\n'); print(s.recv(999))"
    answer = sandbox.ssh(f'python3 -c "{code}" {sandbox.layout.run}/panel/control', said.encode())
    assert b'"ok": false' in answer.stdout
    assert sandbox.ssh("pleskctl status").returncode == 0


def test_a_host_without_process_services_has_a_panel_that_waits_for_some(tmp_path: Path) -> None:
    configuration = tmp_path / "panel.tsv"
    configuration.write_text("\n")
    panel = supervisor.Panel(configuration, tmp_path, tmp_path)
    configuration.write_text(f"api\t1\t{tmp_path}\n")
    panel.load()
    assert list(panel._services) == ["api"]
