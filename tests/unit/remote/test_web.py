"""The small HTTP client: whole answers, honest errors, within the time given; and what a probe makes of them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from components.remote.client.connection import Edge
from components.remote.client.failure import Failure
from components.remote.client.health import _Question
from components.remote.client.probe import Probe
from components.remote.client.web import Site, Unanswered


class Server:
    """Gives the same bytes to each connection's first question, then closes; ``hold`` keeps it open in silence."""

    def __init__(self) -> None:
        self.answer = b""
        self.hold = 0.0
        self.questions: list[bytes] = []
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self.socket.accept()
            except OSError:
                return
            with link:
                self.questions.append(link.recv(65536))
                link.sendall(self.answer)
                time.sleep(self.hold)

    @property
    def edge(self) -> Edge:
        return Edge({"scheme": "http", "connect": f"127.0.0.1:{self.socket.getsockname()[1]}"})


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.socket.close()


def get(server: Server, path: str = "/") -> tuple[int, bytes]:
    answer = Site(server.edge, "votes.example").get(path, time.monotonic() + 0.5)
    return answer.status, answer.body


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhixx", 200, b"hi"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n3\r\nyou\r\n0\r\n\r\n", 200, b"hiyou"),
        (b"HTTP/1.0 404\r\n\r\nto the end", 404, b"to the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", 500, b""),
        (b"HTTP/1.1 204 No\r\n\r\n", 204, b""),
    ],
)
def test_answers_are_read_whole(server: Server, answer: bytes, status: int, body: bytes) -> None:
    server.answer = answer
    assert get(server) == (status, body)
    assert server.questions[0].startswith(b"GET / HTTP/1.1\r\nHost: votes.example\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"A" * 200_000,
    ],
)
def test_what_is_no_whole_answer_is_unanswered(server: Server, answer: bytes) -> None:
    server.answer = answer
    with pytest.raises(Unanswered):
        get(server)


def test_silence_ends_at_the_deadline(server: Server) -> None:
    server.hold = 5
    began = time.monotonic()
    with pytest.raises(Unanswered, match="in time"):
        get(server)
    assert time.monotonic() - began < 1


def probe(server: Server, **more: object) -> Probe:
    return Probe({"domain": "votes.example", "timeout": 1, "successes": 1, **more}, server.edge, "r1")


def test_a_probe_wants_status_text_and_release(server: Server) -> None:
    server.answer = b'HTTP/1.0 200 OK\r\n\r\n{"release": "r1"}'
    deadline = time.monotonic() + 1
    assert probe(server, release_path="/").once(deadline) is None
    assert "without the expected text" in (probe(server, contains="welcome").once(deadline) or "")
    server.answer = b'HTTP/1.0 200 OK\r\n\r\n{"release": "r0"}'
    assert "instead of r1" in (probe(server, release_path="/").once(deadline) or "")
    server.answer = b"HTTP/1.0 500 X\r\n\r\n"
    assert probe(server).once(deadline) == "answers 500 instead of 200"
    server.answer = b"HTTP/1.0 301 X\r\nLocation: //evil.example/\r\n\r\n"
    assert "evil.example" in (probe(server).once(deadline) or "")
    server.answer = b"HTTP/1.0 302 X\r\nLocation: /again\r\n\r\n"
    assert "more than 5 times" in (probe(server).once(deadline) or "")


@pytest.mark.parametrize(
    ("answer", "version", "said"),
    [
        (b'200 OK\r\n\r\n{"openapi": "3.1.0", "info": {"title": "API", "version": " 1.4.0"}}', "1.4.0", None),
        (b'200 OK\r\n\r\n{"info": {}}', None, "/openapi.json tells no version (status 200); expected JSON with info.version"),
        (b'200 OK\r\n\r\n{"info": {"version": 2}}', None, "tells no version"),
        (b"200 OK\r\n\r\n<html>", None, "tells no version"),
        (b'404 X\r\n\r\n{"info": {"version": "1"}}', None, "tells no version (status 404)"),
        (b"302 X\r\nLocation: //evil.example/\r\n\r\n", None, "/openapi.json redirects (302)"),
    ],
)
def test_a_site_s_version_is_that_of_its_openapi_document(
    server: Server, answer: bytes, version: str | None, said: str | None
) -> None:
    server.answer = b"HTTP/1.0 " + answer
    found, wrong = probe(server, version={"path": "/openapi.json", "expect": None}).version()
    assert found == version
    assert (said or "") in (wrong or "")
    assert bool(said) is bool(wrong)
    assert probe(server).version() == (None, None), "a site whose catalogue entry names no version is not asked"


def test_a_version_is_a_failure_only_where_the_catalogue_expects_another(server: Server) -> None:
    server.answer = b'HTTP/1.0 200 OK\r\n\r\n{"info": {"version": "1.4.0"}}'

    def asked(expect: str | None) -> dict[str, object]:
        told = {"domain": "votes.example", "timeout": 1, "successes": 1, "version": {"path": "/openapi.json", "expect": expect}}
        return _Question({"service": "votes", "probe": told}, server.edge).answer()

    assert (asked(None)["version"], asked("1.4.0")["version"]) == ("1.4.0", "1.4.0")
    with pytest.raises(Failure, match=r"tells version 1\.4\.0 instead of 1\.5\.0"):
        asked("1.5.0")
    server.answer = b"HTTP/1.0 200 OK\r\n\r\nhello"
    unknown = asked(None)
    assert unknown["version"] is None
    assert "tells no version" in str(unknown["note"])
    with pytest.raises(Failure, match="tells no version"):
        asked("1.4.0")


@pytest.mark.parametrize(
    ("body", "served"),
    [
        (b"DB_PASS='x'\n", True),
        (b"# c\nexport KEY=1", True),
        (b"<html>A=1</html>", False),
        (b"ref: refs/heads/main\n", False),
        (b"hello", False),
    ],
)
def test_secrets_are_known_by_their_content(server: Server, body: bytes, served: bool) -> None:
    server.answer = b"HTTP/1.0 200 OK\r\n\r\n" + body
    assert ("/.env is served" in (probe(server).served_secrets() or "")) is served
