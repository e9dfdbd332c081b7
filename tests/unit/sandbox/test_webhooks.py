"""The webhook sink keeps each call and fails on demand."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox import webhooks


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a running sink that keeps its calls in ``tmp_path``."""
    server = webhooks.serve(0, webhooks.Sink(tmp_path))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def _post(port: int, path: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("POST", path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()


def test_calls_are_kept_in_their_order_with_what_signs_them(port: int, tmp_path: Path) -> None:
    assert _post(port, "/webhook/deployment", b'{"a": "\xc3\xa4"}', {"X-Signature": "sha256=abc"}) == (200, b"ok")
    assert _post(port, "/services/T/B/X", b"")[0] == 200
    first, second = webhooks.calls(tmp_path)
    assert (first.path, first.body, first.headers["x-signature"]) == ("/webhook/deployment", '{"a": "ä"}', "sha256=abc")
    assert (second.number, second.body) == (2, "")


def test_it_fails_on_demand_and_keeps_nothing_of_that(port: int, tmp_path: Path) -> None:
    assert _post(port, "/__control", json.dumps({"status": 503, "count": 2}).encode())[0] == 200
    assert [_post(port, "/x", b"{}")[0] for _ in range(3)] == [503, 503, 200]
    assert len(list(webhooks.calls(tmp_path))) == 1


@pytest.mark.parametrize("order", [b"", b"[]", b"{}", b'{"status": "x"}', b'{"status": null}'])
def test_an_order_that_is_none_is_refused(port: int, order: bytes) -> None:
    assert _post(port, "/__control", order)[0] == 400


@pytest.mark.parametrize(("length", "status"), [("99999999", 413), ("-1", 413), ("x", 413)])
def test_a_body_too_large_is_refused(port: int, length: str, status: int, tmp_path: Path) -> None:
    assert _post(port, "/x", b"", {"Content-Length": length})[0] == status
    assert list(webhooks.calls(tmp_path)) == []
