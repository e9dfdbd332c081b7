"""An external service's domain leads to somebody else's daemon or to our files: either is well, the answer says which, and nothing else is.

What the daemons answer here is what theirs do (Grafana 12, Keycloak 26, MinIO, Loki 3, n8n 2), by the paths of our catalogue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from catalog import reader
from components.release import probe
from components.remote.client.connection import Edge
from components.remote.client.probe import Probe

EXTERNAL = {key: entry for key, entry in reader.read().services.items() if entry.runtime == "external"}
RELEASE = "r0123456789abcdef"
Pages = dict[str, tuple[int, bytes]]
FILES: Pages = {"/": (200, b"<!doctype html>files"), "/release.json": (200, b'{"release": "%s"}' % RELEASE.encode())}
DAEMONS: dict[str, Pages] = {
    "grafana": {
        "/": (302, b"/login"),
        "/login": (200, b"<html>"),
        "/release.json": (302, b"/login"),
        "/api/health": (200, b'{\n  "database": "ok",\n  "version": "12.1.0",\n  "commit": "abc"\n}'),
    },
    "idp": {
        "/": (302, b"/admin/"),
        "/realms/master": (200, b'{"realm":"master","public_key":"MII","token-service":"https://idp/","tokens-not-before":0}'),
    },
    "s3": {"/": (403, b"<Error><Code>AccessDenied</Code></Error>"), "/minio/health/live": (200, b"")},
    "logs": {"/ready": (200, b"ready\n")},
    "n8n": {
        "/": (200, b"<!doctype html>n8n"),
        "/release.json": (200, b"<!doctype html>n8n"),
        "/healthz": (200, b'{"status":"ok"}'),
    },
}


class Site:
    """Answers ``pages``; every other path with ``other``."""

    def __init__(self) -> None:
        self.pages: Pages = {}
        self.other = (404, b"not found")
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body = site.pages.get(self.path, site.other)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", body.decode())
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def asked(self, key: str, expected: str | None = RELEASE) -> Probe:
        """A probe of the service, as the catalogue has it, for this site."""
        edge = Edge({"scheme": "http", "connect": f"127.0.0.1:{self.server.server_address[1]}"})
        return Probe({**probe(EXTERNAL[key], "example.org"), "timeout": 1}, edge, expected)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_every_external_service_of_the_catalogue_is_tried_here() -> None:
    assert EXTERNAL.keys() == DAEMONS.keys()


@pytest.mark.parametrize("key", DAEMONS)
def test_a_real_daemon_passes_and_is_not_files_only(site: Site, key: str) -> None:
    site.pages = DAEMONS[key]
    asked = site.asked(key)
    assert asked.live() is None
    assert (asked.files_only, asked.answered) == (False, 200)
    assert asked.served_secrets() is None


@pytest.mark.parametrize("key", DAEMONS)
def test_files_without_a_daemon_pass_and_are_files_only(site: Site, key: str) -> None:
    site.pages = FILES
    asked = site.asked(key)
    assert asked.live() is None
    assert (asked.files_only, asked.answered) == (True, 200)


@pytest.mark.parametrize("key", DAEMONS)
def test_a_site_that_answers_every_path_with_a_page_is_neither(site: Site, key: str) -> None:
    site.other = (200, b'<!doctype html>"status":"ok" "realm":"master" "database" ready')
    asked = site.asked(key)
    wrong = asked.once(time.monotonic() + 1) or ""
    assert "does not tell its release" in wrong
    assert "answers with a page" in wrong
    assert not asked.files_only


@pytest.mark.parametrize("key", DAEMONS)
def test_a_daemon_that_is_not_well_fails_and_the_sentence_names_its_path(site: Site, key: str) -> None:
    daemon = EXTERNAL[key].health.daemon
    assert daemon is not None
    site.pages = {**DAEMONS[key], daemon.path: (503, b"not ready")}
    wrong = site.asked(key).once(time.monotonic() + 1) or ""
    assert wrong.endswith(f"nor does its daemon answer: {daemon.path} answers 503 instead of 200")


def test_files_of_another_release_are_not_well(site: Site) -> None:
    site.pages = {**FILES, "/release.json": (200, b'{"release": "r0000000000000000"}')}
    asked = site.asked("grafana")
    assert "serves release r0000000000000000" in (asked.once(time.monotonic() + 1) or "")
    assert not asked.files_only
