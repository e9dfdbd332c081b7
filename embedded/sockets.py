"""Where the gRPC services of a run listen: Unix sockets in folders of mode 700. A loopback port would take the calls of every user."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Final
from urllib.parse import quote

from embedded.model import EngineError

_MOST: Final = 100  # bytes of a path; Linux takes 107 in an address, macOS 103


class PrivateSocket:
    """The place of one socket. The folder is this run's own, and goes with ``close``."""

    def __init__(self) -> None:
        """Makes the folder in ``TMPDIR``, or in ``/tmp`` where that path is too long.

        Raises ``EngineError`` where neither can be written.
        """
        self._folder = self._path = ""
        problem: OSError | None = None
        for place in dict.fromkeys((tempfile.gettempdir(), "/tmp")):
            if len(os.fsencode(place)) > _MOST - len("/pulumi-engine-12345678/s"):
                continue
            try:
                self._folder = tempfile.mkdtemp(prefix="pulumi-engine-", dir=place)
            except OSError as error:
                problem = error
                continue
            self._path = f"{self._folder}/s"
            return
        reason = problem.strerror if problem else "its path is too long for a socket"
        raise EngineError(f"the engine's socket needs a folder in TMPDIR ({tempfile.gettempdir()}) or /tmp: {reason}")

    @property
    def address(self) -> str:
        """The address for gRPC, which reads it as a URI."""
        return f"unix:{quote(self._path)}"

    def close(self) -> None:
        """Removes the socket and its folder."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        with contextlib.suppress(OSError):
            os.rmdir(self._folder)
