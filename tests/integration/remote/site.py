"""A small web server for the probes: serves directories by Host, honours the maintenance window, and can be made to fail by a file."""

from __future__ import annotations

import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from components.remote.client import serving

_HIDDEN = re.compile(serving.PATTERN, re.IGNORECASE)


class Site:
    """``directories``: domain → docroot. ``services``: domain → folder of the service below .deploy. ``poll`` asks all the time."""

    def __init__(self) -> None:
        self.directories: dict[str, Path] = {}
        self.services: dict[str, Path] = {}
        self.redirects: dict[str, str] = {}
        self.requests: list[str] = []
        self.walks_up = False
        self.obeys = True  # the rules for what is not for the web
        self.delay = 0.0  # seconds before the answer to a probe that asks for the release's description
        self.remembers_links = False  # as PHP does, for two minutes
        self._led: dict[str, Path] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer

            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def edge(self) -> dict[str, object]:
        return {"scheme": "http", "port": 80, "connect": f"127.0.0.1:{self.port}", "ca_file": None}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        domain, path = str(request.headers["Host"]), request.path.partition("?")[0]
        self.requests.append(path)
        service = self.services.get(domain)
        if self.delay and path.endswith("/release.json"):
            time.sleep(self.delay)
        token = request.headers.get("X-Mo-Probe", "")
        if service and (service / "maintenance").exists() and not (token and (service / f"probe-{token}").exists()):
            self.send(request, 503, b"down", {"Retry-After": "30"})
            return
        if self.obeys and not self.walks_up and _HIDDEN.search(path):
            self.send(request, 404, b"not found", {})
            return
        if path in self.redirects:
            self.send(request, 302, b"", {"Location": self.redirects[path]})
            return
        if ".." in path.split("/") and not self.walks_up:
            self.send(request, 400, b"bad request", {})
            return
        try:
            file = self.directories[domain] / path.lstrip("/")
            folder, _, rest = path.lstrip("/").partition("/")
            if self.remembers_links and (link := self.directories[domain] / folder).is_symlink():
                file = self._led.setdefault(str(link), link.resolve()) / rest
            body = (file / "index.html" if file.is_dir() else file).read_bytes()
        except (OSError, KeyError):
            self.send(request, 404, b"not found", {})
            return
        if body.startswith(b"!hang"):
            time.sleep(60)
        if body.startswith(b"!"):
            self.send(request, int(body[1:4]), b"failed", {})
            return
        self.send(request, 200, body, {})

    @staticmethod
    def send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


class Poller:
    """Asks a page every 5 ms from a thread; ``failed`` holds (time, status) of every answer that was not 200."""

    def __init__(self, site: Site, domain: str, path: str = "/") -> None:
        import http.client

        self.failed: list[tuple[float, int]] = []
        self.bodies: set[bytes] = set()
        self.asked = 0
        self._stop = threading.Event()

        def ask() -> None:
            while not self._stop.is_set():
                link = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
                link.request("GET", path, headers={"Host": domain})
                answer = link.getresponse()
                self.bodies.add(answer.read())
                link.close()
                self.asked += 1
                if answer.status != 200:
                    self.failed.append((time.monotonic(), answer.status))
                time.sleep(0.005)

        self._thread = threading.Thread(target=ask, daemon=True)

    def __enter__(self) -> Poller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
