"""A mail sink: an SMTP server that keeps each message as a file and delivers none.

Run as ``python -m sandbox.mail CONFIGURATION``: JSON with ``port``, ``folder``, ``certificate``, ``key``, ``user``, ``password_file``.
A message becomes ``<number>.eml``, its envelope ``<number>.json`` with ``from``, ``to``, ``user`` (who logged in, or null) and ``tls``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LINE_AT_MOST = 64 * 1024
_MESSAGE_AT_MOST = 25 * 1024 * 1024
_RECIPIENTS_AT_MOST = 100
_IDLE = 300.0


@dataclass(frozen=True)
class Message:
    """One message that the sink took."""

    number: int
    sender: str
    recipients: tuple[str, ...]
    user: str | None
    tls: bool
    content: bytes


def messages(folder: Path) -> Iterator[Message]:
    """The messages in ``folder``, in the order in which they came."""
    for path in sorted(folder.glob("*.json"), key=lambda path: int(path.stem)):
        envelope = json.loads(path.read_text())
        content = path.with_suffix(".eml").read_bytes()
        yield Message(int(path.stem), envelope["from"], tuple(envelope["to"]), envelope["user"], envelope["tls"], content)


@dataclass
class Sink:
    """What all connections share."""

    folder: Path
    user: str
    password: str
    tls: ssl.SSLContext
    next: int = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.next = 1 + max((int(path.stem) for path in self.folder.glob("*.json")), default=0)

    def keep(self, envelope: dict[str, Any], content: bytes) -> int:
        """Writes a message; its envelope comes last, so that a reader sees whole ones only."""
        number, self.next = self.next, self.next + 1
        (self.folder / f"{number}.eml").write_bytes(content)
        new = self.folder / f".{number}.new"
        new.write_text(json.dumps(envelope))
        new.replace(self.folder / f"{number}.json")
        return number


class QuitError(Exception):
    """The conversation is over."""


class Conversation:
    """One SMTP connection (RFC 5321, with STARTTLS and AUTH PLAIN and LOGIN)."""

    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sink, self._reader, self._writer = sink, reader, writer
        self._user: str | None = None
        self._tls = False
        self._sender: str | None = None
        self._recipients: list[str] = []

    async def run(self) -> None:
        """Speaks until the client leaves."""
        await self._say(220, "sandbox mail sink")
        try:
            while True:
                verb, _, rest = (await self._line()).partition(" ")
                await self._obey(verb.upper(), rest.strip())
        except (QuitError, ConnectionError, asyncio.IncompleteReadError, TimeoutError, ssl.SSLError, ValueError):
            pass
        finally:
            self._writer.close()

    async def _obey(self, verb: str, rest: str) -> None:
        if verb in ("EHLO", "HELO"):
            self._reset()
            tls = [] if self._tls else ["STARTTLS"]
            offers = (
                ["sandbox", "8BITMIME", f"SIZE {_MESSAGE_AT_MOST}", "AUTH PLAIN LOGIN", *tls] if verb == "EHLO" else ["sandbox"]
            )
            await self._say(250, *offers)
        elif verb == "STARTTLS" and not self._tls:
            await self._say(220, "go ahead")
            await self._writer.start_tls(self._sink.tls)
            self._tls, self._user = True, None
            self._reset()
        elif verb == "AUTH":
            await self._authenticate(rest)
        elif verb == "MAIL" and (sender := _address(rest, "FROM:")) is not None:
            self._reset()
            self._sender = sender
            await self._say(250, "ok")
        elif verb == "RCPT" and self._sender is not None and (recipient := _address(rest, "TO:")):
            if len(self._recipients) >= _RECIPIENTS_AT_MOST:
                await self._say(452, "too many recipients")
                return
            self._recipients.append(recipient)
            await self._say(250, "ok")
        elif verb == "DATA" and self._recipients:
            await self._data()
        elif verb in ("RSET", "NOOP"):
            if verb == "RSET":
                self._reset()
            await self._say(250, "ok")
        elif verb == "QUIT":
            await self._say(221, "bye")
            raise QuitError
        elif verb in ("MAIL", "RCPT", "DATA", "STARTTLS"):
            await self._say(503, "not now")
        else:
            await self._say(500, "no such command")

    async def _authenticate(self, rest: str) -> None:
        kind, _, first = rest.partition(" ")
        if kind.upper() == "PLAIN":
            given = _decoded(first or await self._ask("")).split("\0")
            user, password = (given[1], given[2]) if len(given) == 3 else ("", "")
        elif kind.upper() == "LOGIN":
            user = _decoded(first or await self._ask("Username:"))
            password = _decoded(await self._ask("Password:"))
        else:
            await self._say(504, "PLAIN or LOGIN")
            return
        fits = hmac.compare_digest(user.encode(), self._sink.user.encode())
        if fits and hmac.compare_digest(password.encode(), self._sink.password.encode()):
            self._user = user
            await self._say(235, "welcome")
        else:
            await self._say(535, "wrong user or password")

    async def _data(self) -> None:
        await self._say(354, "end with a dot")
        content = bytearray()
        while (line := await self._raw()) not in (b".\r\n", b".\n"):
            content += line[1:] if line.startswith(b".") else line
            if len(content) > _MESSAGE_AT_MOST:
                await self._say(552, "message too large")
                raise QuitError
        envelope = {"from": self._sender, "to": self._recipients, "user": self._user, "tls": self._tls}
        number = self._sink.keep(envelope, bytes(content))
        self._reset()
        await self._say(250, f"kept as {number}")

    def _reset(self) -> None:
        self._sender, self._recipients = None, []

    async def _ask(self, question: str) -> str:
        await self._say(334, base64.b64encode(question.encode()).decode())
        return await self._line()

    async def _say(self, code: int, *lines: str) -> None:
        for position, line in enumerate(lines, 1):
            self._writer.write(f"{code}{' ' if position == len(lines) else '-'}{line}\r\n".encode())
        await self._writer.drain()

    async def _line(self) -> str:
        return (await self._raw()).decode("utf-8", "replace").rstrip("\r\n")

    async def _raw(self) -> bytes:
        line = await asyncio.wait_for(self._reader.readline(), _IDLE)
        if not line.endswith(b"\n"):
            raise QuitError
        return line


async def serve(port: int, sink: Sink) -> asyncio.Server:
    """A server that runs in this event loop."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Conversation(sink, reader, writer).run()

    return await asyncio.start_server(connected, "127.0.0.1", port, limit=_LINE_AT_MOST)


def _address(rest: str, word: str) -> str | None:
    """The address in ``FROM:<a@b> SIZE=1``; empty for a bounce's ``<>``; ``None`` where there is none."""
    if not rest.upper().startswith(word):
        return None
    text = rest[len(word) :].strip()
    if text.startswith("<") and ">" in text:
        return text[1 : text.index(">")]
    return text.split(" ")[0] or None


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""


async def _main(given: dict[str, Any]) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(given["certificate"], given["key"])
    password = json.loads(Path(given["password_file"]).read_text())["smtp-password"]
    server = await serve(given["port"], Sink(Path(given["folder"]), given["user"], password, tls))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(json.loads(Path(sys.argv[1]).read_text())))
