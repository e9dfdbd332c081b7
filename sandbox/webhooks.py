"""A sink for webhooks: stands for n8n's and Slack's, keeps what was posted as files and answers ``ok``.

Run as ``python -m sandbox.webhooks CONFIGURATION``: JSON with ``port`` and ``folder``. A call becomes ``<number>.json`` with ``path``,
``headers`` (names in lower case) and ``body``. ``POST /__control`` with ``{"status": 500, "count": 2}`` makes the next calls fail.
"""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BODY_AT_MOST = 1024 * 1024


@dataclass(frozen=True)
class Call:
    """One webhook call that the sink answered with ``ok``."""

    number: int
    path: str
    headers: dict[str, str]
    body: str


def calls(folder: Path) -> Iterator[Call]:
    """The calls in ``folder``, in the order in which they came."""
    for path in sorted(folder.glob("*.json"), key=lambda path: int(path.stem)):
        held = json.loads(path.read_text())
        yield Call(int(path.stem), held["path"], held["headers"], held["body"])


class Sink:
    """What all connections share."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._status, self._failures = 200, 0

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Keeps a call, or fails as ordered; gives status and answer."""
        with self._lock:
            if path == "/__control":
                return self._order(body)
            if self._failures:
                self._failures -= 1
                return self._status, "failed on demand"
            number = 1 + max((int(held.stem) for held in self._folder.glob("*.json")), default=0)
            new = self._folder / f".{number}.new"
            new.write_text(json.dumps({"path": path, "headers": headers, "body": body.decode("utf-8", "replace")}))
            new.replace(self._folder / f"{number}.json")
            return 200, "ok"

    def _order(self, body: bytes) -> tuple[int, str]:
        try:
            order: dict[str, Any] = json.loads(body)
            self._status, self._failures = int(order["status"]), int(order.get("count", 1))
        except (ValueError, KeyError, TypeError) as error:
            return 400, f"no such order: {error}"
        return 200, "ok"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    sink: Sink

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the calls are kept as files."""

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or ""
        if not length.isdigit() or int(length) > _BODY_AT_MOST:
            self.close_connection = True
            self._answer(411 if not length else 413, "a Content-Length of at most 1 MiB is expected")
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._answer(*self.sink.take(self.path, headers, self.rfile.read(int(length))))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


def serve(port: int, sink: Sink) -> http.server.ThreadingHTTPServer:
    """A server that is bound and not yet running."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"sink": sink}))
    server.daemon_threads = True
    return server


def main(arguments: list[str]) -> None:
    """Serves until it is ended."""
    given = json.loads(Path(arguments[0]).read_text())
    serve(given["port"], Sink(Path(given["folder"]))).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
