"""A small HTTP client for probes: one connection, GET only, TLS verified, redirects left to the caller.

``http.client`` would cost 25 ms at each start.
"""

from __future__ import annotations

import socket
import time

from .connection import Edge

MAX_BODY = 2 << 20
MAX_HEAD = 64 << 10


class Unanswered(Exception):  # noqa: N818 - the absence of an answer
    """No HTTP answer: refused, cut, too slow, not HTTP, or a certificate that is not trusted."""


class Answer:
    """``status``, ``headers`` (lower-case names), ``body`` (at most ``MAX_BODY`` bytes)."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Site:
    """One public site, asked as ``edge`` says. Keeps its connection open between questions."""

    def __init__(self, edge: Edge, domain: str) -> None:
        self.edge = edge
        self.domain = domain
        self._socket: socket.socket | None = None
        self._rest = b""

    @property
    def authority(self) -> str:
        """The domain, with the port where it is not the scheme's own."""
        usual = 443 if self.edge.scheme == "https" else 80
        return self.domain if self.edge.port == usual else f"{self.domain}:{self.edge.port}"

    def get(self, path: str, deadline: float, headers: dict[str, str] | None = None) -> Answer:
        """Asks ``path``; raises ``Unanswered`` where there is no answer before ``deadline`` (monotonic seconds)."""
        reused = self._socket is not None
        try:
            return self._get(path, deadline, headers or {})
        except (OSError, ValueError) as error:
            self.close()
            if reused and not isinstance(error, TimeoutError):
                try:
                    return self._get(path, deadline, headers or {})  # an idle connection that the server had closed
                except (OSError, ValueError) as second:
                    self.close()
                    error = second
            raise Unanswered(_told(error)) from None

    def close(self) -> None:
        """Closes the connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""

    def _get(self, path: str, deadline: float, headers: dict[str, str]) -> Answer:
        link = self._connected(deadline)
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {self.authority}",
            "User-Agent: mo-deploy-probe",
            "Accept: */*",
            "Cache-Control: no-cache",
        ]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._limit(deadline)
        link.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        while True:
            answer = self._read_answer(deadline)
            if answer.status >= 200:
                return answer

    def _connected(self, deadline: float) -> socket.socket:
        if self._socket is None:
            address = self.edge.connect or (self.domain, self.edge.port)
            link = socket.create_connection(address, timeout=max(0.05, min(10.0, deadline - time.monotonic())))
            if self.edge.scheme == "https":
                try:
                    link = self.edge.tls().wrap_socket(link, server_hostname=self.domain)
                except BaseException:
                    link.close()
                    raise
            self._socket, self._rest = link, b""
        return self._socket

    def _limit(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        assert self._socket
        self._socket.settimeout(left)

    def _more(self, deadline: float) -> bytes:
        self._limit(deadline)
        assert self._socket
        return self._socket.recv(65536)

    def _read_answer(self, deadline: float) -> Answer:
        data = self._rest
        while b"\r\n\r\n" not in data:
            if len(data) > MAX_HEAD:
                raise ValueError("headers without end")
            got = self._more(deadline)
            if not got:
                raise ValueError("connection closed before an answer" if not data else "answer cut short")
            data += got
        head, _, data = data.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        parts = first.split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or len(parts[1]) != 3 or not parts[1].isdigit():
            raise ValueError("not an HTTP answer")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        status = int(parts[1])
        if status < 200 or status in (204, 304):
            self._rest = data
            return Answer(status, headers, b"")
        body, self._rest, keep = self._read_body(data, headers, deadline)
        if not keep or headers.get("connection", "").lower() == "close" or parts[0] == "HTTP/1.0":
            self.close()
        return Answer(status, headers, body)

    def _read_body(self, data: bytes, headers: dict[str, str], deadline: float) -> tuple[bytes, bytes, bool]:
        """Body, what follows it, and whether the connection may be used again."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._read_chunks(data, deadline)
        length = headers.get("content-length")
        if length is not None:
            wanted = int(length)
            while len(data) < min(wanted, MAX_BODY):
                got = self._more(deadline)
                if not got:
                    raise ValueError("answer cut short")
                data += got
            return data[: min(wanted, MAX_BODY)], data[wanted:], wanted <= MAX_BODY
        while len(data) < MAX_BODY:
            got = self._more(deadline)
            if not got:
                break
            data += got
        return data[:MAX_BODY], b"", False

    def _read_chunks(self, data: bytes, deadline: float) -> tuple[bytes, bytes, bool]:
        body = b""
        while True:
            while b"\r\n" not in data:
                data += self._some(deadline)
            size_text, _, data = data.partition(b"\r\n")
            size = int(size_text.split(b";")[0], 16)
            while len(data) < size + 2:
                data += self._some(deadline)
            body += data[:size]
            data = data[size + 2 :]
            if size == 0:
                return body, data, True
            if len(body) > MAX_BODY:
                return body[:MAX_BODY], b"", False

    def _some(self, deadline: float) -> bytes:
        got = self._more(deadline)
        if not got:
            raise ValueError("answer cut short")
        return got


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if type(error).__name__ == "SSLCertVerificationError":
        return f"its certificate is not trusted ({getattr(error, 'verify_message', '') or 'verification failed'})"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return str(error)
