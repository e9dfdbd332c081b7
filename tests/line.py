"""A line between a client and an sshd that can be cut without a packet: what either end sends then is dropped, and neither is told."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress


class Line:
    """Listens on ``port`` of the loopback and carries to ``to`` there. ``cut``: connections that there are go silent and new ones get no
    answer; ``heal``: new ones are carried again, while those that were cut stay silent, as after a change of network."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._cut = threading.Event()
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on nothing comes through."""
        self._cut.set()

    def heal(self) -> None:
        """What is connected from now on is carried."""
        self._cut = threading.Event()

    def close(self) -> None:
        """Ends every connection."""
        self._over.set()
        for end in [self._listener, *self._ends]:
            with suppress(OSError):
                end.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._ends.append(near)
            threading.Thread(target=self._carry, args=(near, self._cut), daemon=True).start()

    def _carry(self, near: socket.socket, cut: threading.Event) -> None:
        if cut.is_set():
            self._over.wait()
            return
        try:
            far = socket.create_connection(("127.0.0.1", self._to))
        except OSError:
            near.close()
            return
        self._ends.append(far)
        ends = {near: far, far: near}
        with suppress(OSError, ValueError):
            while not self._over.is_set():
                ready, _, _ = select.select(list(ends), [], [], 0.2)
                for end in ready:
                    if cut.is_set():
                        # Read and dropped: to the sender it looks like a packet that went out.
                        self._over.wait()
                        return
                    data = end.recv(65536)
                    if not data:
                        near.close()
                        far.close()
                        return
                    if not cut.is_set():
                        ends[end].sendall(data)
