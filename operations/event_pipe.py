"""The engine's events through a named pipe in a folder of mode 700.

The Automation API's own way is a gRPC server on a loopback port: any local user could send it events, and have a deployment believe them.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

_PATIENCE = 60.0
"""Seconds that a reader has for what the engine has written, once that has ended."""


class EventPipe:
    """A context whose ``path`` is what ``--event-log`` names. ``on_event`` is called in a thread with each event's JSON, in order.

    On leaving, all that was written has been handed on. What ``on_event`` raises becomes a warning: a failing display stops no deployment.
    """

    def __init__(self, on_event: Callable[[dict[str, Any]], None]) -> None:
        self._on_event = on_event
        self._folder = tempfile.TemporaryDirectory(prefix="mo-events-")
        self.path = f"{self._folder.name}/events"

    def __enter__(self) -> EventPipe:
        os.mkfifo(self.path, 0o600)
        # Without waiting for a writer; the end that is held here keeps the pipe from ending before the engine has opened it.
        reading = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self._held = os.open(self.path, os.O_WRONLY)
        os.set_blocking(reading, True)
        self._thread = threading.Thread(target=self._read, args=(reading,), daemon=True, name="events")
        self._thread.start()
        return self

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    return  # the engine was killed in the middle of it
                try:
                    event = json.loads(line)
                    if isinstance(event, dict):
                        self._on_event(event)
                except Exception as problem:
                    warnings.warn(f"An event of the engine cannot be read: {problem}", stacklevel=1)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._held)
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            self._thread.join(_PATIENCE)
        self._folder.cleanup()
