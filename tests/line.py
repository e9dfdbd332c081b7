"""A line between a client and an sshd that can be cut without a packet: what either end sends then is dropped, and neither is told."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
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


class Wire:
    """As ``Line``, of the kernel alone: connections to ``port`` are those to ``to``, and once cut each packet of them is lost, either way.

    For root where there is ``nft`` (``CAN_CUT_WIRES``)."""

    def __init__(self, to: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._table = f"mo_wire_{self.port}"
        rule = f"ip daddr 127.0.0.1 tcp dport {self.port} ct mark set {self.port} redirect to :{to}"
        self._add(f"chain carry {{\ntype nat hook output priority -100\n{rule}\n}}")

    def cut(self) -> None:
        """From now on nothing comes through."""
        self._add(f"chain lose {{\ntype filter hook input priority 0\nct mark {self.port} drop\n}}")

    def close(self) -> None:
        """Takes the rules away."""
        subprocess.run(["nft", "delete", "table", "ip", self._table], check=True)

    def _add(self, chain: str) -> None:
        subprocess.run(["nft", "-f", "-"], input=f"table ip {self._table} {{\n{chain}\n}}\n", text=True, check=True)


CAN_CUT_WIRES = os.getuid() == 0 and shutil.which("nft") is not None
