"""``--event-log``: the engine's events as JSON lines in a file, or over gRPC to an Automation API that listens at ``tcp://host:port``."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from embedded.model import Result
from embedded.state.errors import StateError

Sink = Callable[[dict[str, Any]], None]


class EventStream:
    """Numbers and dates events and hands them to a display and a log. Threads may call it at once; the order is that of the numbers."""

    def __init__(self, display: Any, log: EventLog | None) -> None:
        self._display, self._log = display, log
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def __call__(self, event: dict[str, Any]) -> None:
        """Passes an event on."""
        with self._lock:
            dated = {"sequence": next(self._numbers), "timestamp": int(time.time()), **event}
            self._display(dated)
            if self._log:
                self._log.write(public(dated))

    def close(self, result: Result) -> None:
        """Ends the display."""
        with self._lock:
            self._display.close(result)


def public(event: dict[str, Any]) -> dict[str, Any]:
    """An event without what the engine adds for the display alone (keys with ``_``)."""
    return {
        name: {key: item for key, item in value.items() if not key.startswith("_")} if isinstance(value, dict) else value
        for name, value in event.items()
        if not name.startswith("_")
    }


class EventLog:
    """A place that events are written to. Use as a context."""

    def write(self, event: dict[str, Any]) -> None:
        """Adds an event."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends the log."""

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FileLog(EventLog):
    """Events as JSON lines in a file that is made anew, for its owner alone, or in a named pipe."""

    def __init__(self, path: str) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as problem:
            raise StateError(f"could not open the event log {path}: {problem.strerror}") from None
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")

    def write(self, event: dict[str, Any]) -> None:
        """Adds a line."""
        self._file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class RemoteLog(EventLog):
    """Events to a gRPC server of the service ``pulumirpc.Events``."""

    def __init__(self, address: str) -> None:
        import grpc
        from pulumi.runtime.proto import events_pb2, events_pb2_grpc

        self._request = events_pb2.EventRequest
        self._channel = grpc.insecure_channel(address)
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._answer = events_pb2_grpc.EventsStub(self._channel).StreamEvents.future(self._messages())

    def _messages(self) -> Iterator[Any]:
        while (event := self._queue.get()) is not None:
            yield self._request(event=json.dumps(event, ensure_ascii=False, separators=(",", ":")))

    def write(self, event: dict[str, Any]) -> None:
        """Sends an event."""
        self._queue.put(event)

    def close(self) -> None:
        """Waits until the other side has everything (10 s at most); one that is gone is no error of this run."""
        import grpc

        self._queue.put(None)
        with contextlib.suppress(grpc.RpcError, grpc.FutureTimeoutError):
            self._answer.result(timeout=10)
        self._channel.close()


def open_log(place: str | None) -> EventLog | None:
    """The log that ``--event-log`` names, ``None`` where it is not given."""
    if not place:
        return None
    return RemoteLog(place.removeprefix("tcp://")) if place.startswith("tcp://") else FileLog(place.removeprefix("file://"))
