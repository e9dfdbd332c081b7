"""A small site in the services' place, and a ``Validation`` of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from catalog import reader
from catalog.settings import StackSettings
from operations.deployment.outcome import Validation

DOMAIN = "site.example"
CONSENT = """<!doctype html><html lang="de"><title>c</title><h1>Einwilligung</h1>
<label><input type="checkbox"> Statistik</label><button onclick="send()">Auswahl speichern</button><p id="told"></p>
<p role="alert" id="bad"></p>
<script>async function send() { const a = await fetch('/save', {method: 'POST'});
  if (a.ok) told.textContent = 'Beleg 7'; else bad.textContent = 'Das hat nicht geklappt.'; }</script>"""
FRONTEND = """<!doctype html><html lang="de"><meta charset="utf-8"><title>f</title><h1></h1>
<p id="who"></p><dd data-release="release">%s</dd>
<style>body { background: %s; }</style>
<script>
const page = location.hash.slice(2);
document.querySelector('h1').textContent = {'': 'Start', login: 'Anmelden', dashboard: 'Mein Bereich'}[page];
if (page === 'dashboard' && sessionStorage.getItem('token'))
  fetch(location.origin.replace('frontend.', 'api.') + '/profile', {headers: {Authorization: 'x'}})
    .then((a) => a.json()).then((p) => { who.textContent = p.email; });
</script>"""


class Small:
    """What the site is to answer: ``refusals`` of the next posts, the frontend's ``colour`` and ``release``."""

    def __init__(self) -> None:
        self.refusals = 0
        self.colour, self.release = "white", "r1"
        self.status = 200
        self.asked: list[str] = []
        self.port = 0

    def answer(self, method: str, host: str, path: str) -> tuple[int, str]:
        self.asked.append(f"{method} {host.partition(':')[0]}{path}")
        if method == "POST" and self.refusals:
            self.refusals -= 1
            return 503, "later"
        if host.startswith("frontend."):
            return self.status, FRONTEND % (self.release, self.colour)
        return self.status, CONSENT


@contextmanager
def small_site() -> Iterator[Small]:
    """The site, while the context lasts."""
    small = Small()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            status, text = small.answer(self.command, self.headers["Host"], self.path)
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    small.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield small
    finally:
        server.shutdown()
        server.server_close()


def validation(folder: Path, services: tuple[str, ...], port: int = 1, **wishes: Any) -> Validation:
    """Of ``services`` on a site at ``port``; ``wishes``: settings below ``mo:validation``."""
    settings = StackSettings.model_validate(
        {
            "domain": DOMAIN,
            "host": {"name": "h", "address": "127.0.0.1", "user": "u", "root": "/r", "hostKeys": ["ssh-ed25519 AAAA"]},
            "edge": {"scheme": "http", "port": port, "connect": f"127.0.0.1:{port}"},
            "servers": {},
            "github": {"owner": "o", "repository": "r", "environment": "sandbox"},
            "gates": {"required": ["eslint"]},
            "validation": {"flowMode": "write", **wishes},
        }
    )
    known = reader.read().services
    return Validation(
        folder, "sandbox", settings, {key: known[key] for key in services}, dict.fromkeys(services, "r1"), folder / "run"
    )
