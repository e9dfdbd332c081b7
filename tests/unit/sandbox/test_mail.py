"""The mail sink keeps what it is given, whole, and survives what no client should send."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox import authority, mail


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the sink keeps its messages."""
    return tmp_path / "mail"


@pytest.fixture
def port(tmp_path: Path, folder: Path) -> Iterator[int]:
    """The port of a running sink for the user ``user`` with the password ``it's``."""
    authority.authority(tmp_path / "ca.pem", tmp_path / "ca.key")
    authority.issue(tmp_path / "ca.pem", tmp_path / "ca.key", tmp_path / "c.pem", tmp_path / "c.key", ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "c.key")
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(mail.serve(0, mail.Sink(folder, "user", "it's", context)))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_a_message_is_kept_byte_for_byte(port: int, folder: Path) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        client.login("user", "it's")
        client.sendmail("a@x", ["b@x"], b"Subject: \xc3\xa4\r\n\r\n..\r\n.\r\nend\r\n")
        client.sendmail("", ["c@x"], b"second\r\n")
    first, second = mail.messages(folder)
    assert (first.sender, first.recipients, first.user, first.tls) == ("a@x", ("b@x",), "user", False)
    assert first.content == b"Subject: \xc3\xa4\r\n\r\n..\r\n.\r\nend\r\n"
    assert (second.number, second.sender) == (2, "")


def test_tls_begins_the_conversation_anew(port: int, folder: Path, tmp_path: Path) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        client.login("user", "it's")
        client.starttls(context=ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))
        client.sendmail("a@x", ["b@x"], b"x\r\n")
    (message,) = mail.messages(folder)
    assert (message.tls, message.user) == (True, None)


@pytest.mark.parametrize("method", ["auth_plain", "auth_login"])
def test_a_wrong_password_is_refused(port: int, method: str) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        client.ehlo()
        client.user, client.password = "user", "wrong"
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.auth(method.removeprefix("auth_"), getattr(client, method))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"DATA\r\n", b"503"),
        (b"RCPT TO:<a@x>\r\n", b"503"),
        (b"MAIL\r\n", b"503"),
        (b"MAIL FROM\r\n", b"503"),
        (b"AUTH PLAIN !!!\r\n", b"535"),
        (b"AUTH CRAM-MD5\r\n", b"504"),
        (b"\r\n", b"500"),
        (b"\xff\xfe\x00\r\n", b"500"),
        (b"WIZ\r\n", b"500"),
    ],
)
def test_what_is_out_of_order_is_refused_and_the_conversation_goes_on(port: int, said: bytes, answer: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", port), 5)) as client:
        stream = client.makefile("rwb")
        assert stream.readline().startswith(b"220")
        stream.write(said)
        stream.flush()
        assert stream.readline().startswith(answer)
        stream.write(b"NOOP\r\n")
        stream.flush()
        assert stream.readline().startswith(b"250")


def test_an_endless_line_and_a_cut_message_leave_nothing(port: int, folder: Path) -> None:
    for said in (b"x" * 200_000, b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nhalf a mess"):
        with closing(socket.create_connection(("127.0.0.1", port), 5)) as client:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
    assert list(mail.messages(folder)) == []
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as again:
        assert again.noop()[0] == 250
