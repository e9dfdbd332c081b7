"""One OpenSSH master for all processes, at most eight channels of theirs on it, and a ninth for the stack's lock alone."""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_STREAM, socket  # the module around it takes a fifth of a step's start

from .connection import Connection, private_folder
from .failure import Failure
from .status import take

SLOTS = 8
"""Channels at a time on one master: sshd's default MaxSessions is 10."""
PERSIST_SECONDS = 300
"""How long an idle master stays."""
CONNECT_SECONDS = 15
SILENCE_SECONDS = 45
"""After so much silence of its client a host program ends by itself; ``MO_SILENCE`` sets another number of seconds, from 3 to 60."""
ALIVE_COUNT = 3
"""The master asks a silent host so many times, each a quarter of the silence after the one before: a connection that is cut
without a packet ends as soon here as on the host."""
QUEUE_SECONDS = 3600
"""How long a step waits at most for one of the channels: longer than steps take."""
OPEN_SECONDS = 120
"""How long at most for another process that opens the master."""


def silence() -> int:
    """Seconds of silence after which a host program ends by itself."""
    told = os.environ.get("MO_SILENCE", "")
    return min(60, max(3, int(told))) if told.isdecimal() else SILENCE_SECONDS


def _fingerprint(connection: Connection) -> str:
    """Sixteen hex digits that differ where the master must: other account, other pinned keys, other SOCKS port.

    Not the project's folder nor the key's: every clone of this user shares the account's one master, its eight channels and its SOCKS port.
    """
    try:
        from _sha1 import sha1  # type: ignore[import-not-found]  # hashlib costs ten times as much to import; this is a name, no protection
    except ImportError:
        from hashlib import sha1

    parts = [
        connection.name,
        connection.address,
        str(connection.port),
        connection.user,
        str(connection.socks_port),
        *connection.host_keys,
    ]
    return str(sha1("\0".join(parts).encode()).hexdigest())[:16]


class Master:
    """The shared login. ``ensure`` opens it where it is not open; ``slot`` takes one of the eight channels, ``for_lock`` the ninth."""

    def __init__(self, connection: Connection, *, for_lock: bool = False) -> None:
        self.connection = connection
        # Where eight long steps hold the eight, a heartbeat that waited for one would come too late, and the stack's lock would expire.
        self._queue, self._slots = ("lock-queue", ["lock-slot"]) if for_lock else ("queue", [str(n) for n in range(SLOTS)])
        self.base = private_folder() + "/" + _fingerprint(connection)
        self.socket_path = self.base + ".s"
        self._slot = -1

    @property
    def destination(self) -> str:
        """``user@address`` for the ssh command line."""
        return f"{self.connection.user}@{self.connection.address}"

    def command(self) -> list[str]:
        """The ssh command line of a channel. It never logs in by itself: without a master its proxy command fails."""
        return [
            "ssh", "-F", "/dev/null", "-T", "-S", self.socket_path, "-o", "ControlMaster=no", "-o", "ProxyCommand=exit 97",
            "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-p", str(self.connection.port),
        ]  # fmt: skip

    def alive(self) -> bool:
        """Whether a master listens on the socket."""
        probe = socket(AF_UNIX, SOCK_STREAM)
        try:
            probe.connect(self.socket_path)
        except OSError:
            return False
        finally:
            probe.close()
        return True

    def ensure(self) -> bool:
        """Opens the master unless it is open; one process does, the others wait for it. True where this one logged in."""
        if self.alive():
            return False
        with open(self.base + ".lock", "ab") as lock:
            take([lock.fileno()], f"the SSH connection to {self.connection.name}, which another process opens,", OPEN_SECONDS)
            if self.alive():
                return False
            self._open()
            return True

    def _open(self) -> None:
        import subprocess  # once for each login

        connection = self.connection
        known = self.base + ".known"
        _replace(known, "".join(f"mo-{connection.name} {key}\n" for key in connection.host_keys))
        for stale in (self.socket_path, self.base + ".socks"):
            if os.path.lexists(stale):
                os.unlink(stale)
        log = self.base + ".log"
        if os.path.lexists(log):
            os.unlink(log)
        command = [
            "ssh", "-F", "/dev/null", "-M", "-N", "-f", "-T", "-E", log, "-S", self.socket_path,
            "-o", f"ControlPersist={PERSIST_SECONDS}", "-o", "BatchMode=yes", "-o", "PreferredAuthentications=publickey",
            "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=/dev/null",
            "-o", f"HostKeyAlias=mo-{connection.name}", "-o", "CheckHostIP=no", "-o", "UpdateHostKeys=no", "-o", "VerifyHostKeyDNS=no",
            "-o", f"ConnectTimeout={CONNECT_SECONDS}", "-o", f"ServerAliveInterval={max(1, silence() // (ALIVE_COUNT + 1))}",
            "-o", f"ServerAliveCountMax={ALIVE_COUNT}",
            "-o", "ForwardAgent=no", "-o", "ForwardX11=no", "-o", "LogLevel=ERROR", "-p", str(connection.port),
        ]  # fmt: skip
        if connection.key_file:
            if not os.access(connection.key_file, os.R_OK):
                raise Failure(
                    f"The SSH key {connection.key_file} for {connection.name} cannot be "
                    f"read; set mo:host keyFile (or sshPrivateKey) to the key's path."
                )
            command += ["-o", "IdentitiesOnly=yes", "-i", connection.key_file]
            if "SSH_AUTH_SOCK" not in os.environ:
                command += ["-o", "IdentityAgent=none"]
        command += ["--", self.destination]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
                timeout=CONNECT_SECONDS * 3,
            )
            code = done.returncode
        except subprocess.TimeoutExpired:
            code = 255
        except FileNotFoundError:
            raise Failure("The program `ssh` is not installed here; install OpenSSH's client.") from None
        if code == 0 and self.alive():
            return
        raise Failure(_reason(connection, _text(log)))

    def forward_socks(self) -> None:
        """Adds the SOCKS forward on ``127.0.0.1:socks_port`` to the master, once."""
        port = self.connection.socks_port
        if port is None:
            return
        marker = self.base + ".socks"
        with open(self.base + ".lock", "ab") as lock:
            take([lock.fileno()], f"the SSH connection to {self.connection.name}, which another process opens,", OPEN_SECONDS)
            try:
                wanted = f"{port} {os.stat(self.socket_path).st_ino}"
            except FileNotFoundError:
                raise Failure(f"The SSH master of {self.connection.name} ended while it was being used; try again.") from None
            if _text(marker) == wanted:
                return
            import subprocess

            command = [*self.command(), "-O", "forward", "-D", f"127.0.0.1:{port}", "--", self.destination]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
            if done.returncode != 0:
                raise Failure(
                    f"The SOCKS forward to {self.connection.name} cannot listen on 127.0.0.1:{port}"
                    " (another program or sandbox has the port?); free it or set another mo:host socksPort (sandbox: MO_SANDBOX_PORT)."
                )
            _replace(marker, wanted)

    def slot(self) -> int:
        """Takes one of the channels that are for this process and gives the descriptor that holds it, to be handed to the child.

        This process keeps it to its end, for all its channels, one after the other: sshd frees a session a moment after our side has seen
        it end, and a channel opened in that moment would count as one more.
        """
        if self._slot < 0:
            self._slot = self._take_slot()
        return self._slot

    def _take_slot(self) -> int:
        with open(f"{self.base}.{self._queue}", "ab") as queue:
            descriptors = [os.open(f"{self.base}.{n}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for n in self._slots]
            taken = -1
            name = f"a channel on the SSH connection to {self.connection.name}"
            try:
                take([queue.fileno()], f"its turn for {name}", QUEUE_SECONDS)  # first come, first served: one process polls
                taken = take(descriptors, name, QUEUE_SECONDS)
            finally:
                for descriptor in descriptors:
                    if descriptor != taken:
                        os.close(descriptor)
        return taken


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(20_000)
    except OSError:
        return ""


def _replace(path: str, text: str) -> None:
    if _text(path) == text:
        return
    with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(f"{path}.{os.getpid()}", path)


def _reason(connection: Connection, log: str) -> str:
    """One sentence of what ssh said."""
    where = f"{connection.name} ({connection.user}@{connection.address}:{connection.port})"
    if "Host key verification failed" in log or "REMOTE HOST IDENTIFICATION HAS CHANGED" in log or "host key is known for" in log:
        return (
            f"The host {where} shows another host key than the pinned one; nothing was sent. If the key really changed, "
            f"compare `ssh-keyscan -p {connection.port} {connection.address}` with the hoster's and set mo:host hostKeys."
        )
    if "Permission denied" in log or "Too many authentication failures" in log:
        key = connection.key_file or "the SSH agent's keys"
        return (
            f"The host {where} refused the login with {key}; expected a key that "
            f"its authorized_keys holds (mo:host keyFile, mo:sshPrivateKey or the agent)."
        )
    if "invalid format" in log or "error in libcrypto" in log or "bad permissions" in log:
        return (
            f"The SSH key {connection.key_file} for {where} cannot be used "
            f"(not a private key without passphrase, or readable by others)."
        )
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), f"no answer within {CONNECT_SECONDS} s")
    return f"The host {where} cannot be reached by SSH: {last[:300]}; check mo:host address and port, and that the host is up."
