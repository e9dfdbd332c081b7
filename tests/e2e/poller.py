"""Asks every service again and again, as many visitors would, and keeps each answer with its time."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.e2e.deployment import Deployment


@dataclass(frozen=True)
class Seen:
    """One answer: seconds since the poller began, HTTP status (0: no answer), whether it said when to come again."""

    at: float
    status: int
    retry_after: bool = False


@dataclass
class Record:
    """All that one service answered."""

    answers: list[Seen] = field(default_factory=list)

    def outages(self) -> list[tuple[float, float, int]]:
        """Spans of failed answers after the first good one: from the last good answer to the next, and the first status."""
        spans: list[tuple[float, float, int]] = []
        good: float | None = None
        bad: int | None = None
        for seen in self.answers:
            if seen.status == 200:
                if bad is not None and good is not None:
                    spans.append((good, seen.at, bad))
                good, bad = seen.at, None
            elif good is not None and bad is None:
                bad = seen.status
        if bad is not None and good is not None:
            spans.append((good, self.answers[-1].at, bad))
        return spans


class Poller:
    """A thread a service; ``pause`` seconds between an answer and the next question. Use as a context."""

    def __init__(self, deployment: Deployment, pause: float = 0.02) -> None:
        self._deployment, self._pause = deployment, pause
        self._stop = threading.Event()
        self.records = {key: Record() for key in deployment.services}
        self._begun = time.monotonic()
        self._threads = [threading.Thread(target=self._ask, args=(key,), daemon=True) for key in self.records]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def failures(self) -> dict[str, list[tuple[float, float, int]]]:
        """Service → its outages, where it had any."""
        return {key: spans for key, record in self.records.items() if (spans := record.outages())}

    def _ask(self, key: str) -> None:
        deployment = self._deployment
        service = deployment.services[key]
        domain = deployment.sandbox.site.domain(service)
        context = ssl.create_default_context(cafile=str(deployment.sandbox.ca))
        connection: _Connection | None = None
        while not self._stop.is_set():
            try:
                connection = connection or _Connection(domain, deployment.sandbox.layout.port("https"), context)
                connection.request("GET", service.health.path)
                response = connection.getresponse()
                response.read()
                seen = Seen(self._now(), response.status, response.getheader("Retry-After") is not None)
            except (OSError, http.client.HTTPException):
                # A kept connection may be closed by the server between two questions; only a fresh one that fails is an outage.
                fresh = connection is None or connection.asked <= 1
                connection = None
                if not fresh:
                    continue
                seen = Seen(self._now(), 0)
            self.records[key].answers.append(seen)
            self._stop.wait(self._pause)

    def _now(self) -> float:
        return time.monotonic() - self._begun


class _Connection(http.client.HTTPSConnection):
    def __init__(self, domain: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(domain, port, context=context, timeout=30)
        self.asked = 0
        self._tls = context

    def connect(self) -> None:
        self.sock = self._tls.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 30), server_hostname=self.host)

    def request(self, *args: object, **kwargs: object) -> None:
        self.asked += 1
        super().request(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they come
