"""Where the host is: ``.mo/<stack>/connection.json``, checked, and the folder of this host's SSH master."""

from __future__ import annotations

import os
import stat

from . import jsontext
from .failure import Failure
from .masking import MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

PROJECT = os.path.realpath(__file__).rsplit("/", 4)[0]
MAX_CONNECTION_BYTES = 1 << 20


class Edge:
    """How public URLs are asked. ``connect`` is ``(address, port)`` or ``None`` for the domain itself."""

    __slots__ = ("_tls", "ca_file", "connect", "port", "scheme")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.scheme: str = raw.get("scheme") or "https"
        self.port: int = int(raw.get("port") or (443 if self.scheme == "https" else 80))
        self.ca_file: str | None = raw.get("ca_file")
        self.connect: tuple[str, int] | None = None
        if raw.get("connect"):
            address, _, port = str(raw["connect"]).rpartition(":")
            self.connect = (address.strip("[]"), int(port))
        self._tls: ssl.SSLContext | None = None

    def tls(self) -> ssl.SSLContext:
        """What certificates are verified with; read once, for it holds every authority that this machine trusts."""
        if self._tls is None:
            import ssl

            self._tls = ssl.create_default_context(cafile=self.ca_file)
        return self._tls


class Connection:
    """The host as the ``Host`` component wrote it. ``folder``: the state folder ``.mo/<stack>``."""

    __slots__ = (
        "address", "edge", "folder", "github", "host_keys", "keep_snapshots", "key_file", "name", "port", "root", "servers",
        "snapshot_megabytes", "socks_port", "stack", "user",
    )  # fmt: skip

    def __init__(self, raw: dict[str, Any], folder: str, stack: str) -> None:
        self.folder, self.stack = folder, stack
        self.name = str(raw["name"])
        self.address = str(raw["address"])
        self.port = int(raw["port"])
        self.user = str(raw["user"])
        self.root = str(raw["root"]).rstrip("/")
        self.host_keys = [str(key).strip() for key in raw["host_keys"]]
        self.key_file: str | None = raw.get("key_file")
        self.socks_port: int | None = raw.get("socks_port")
        self.edge = Edge(raw.get("edge") or {})
        self.servers: dict[str, dict[str, Any]] = raw.get("servers") or {}
        self.github: dict[str, Any] = raw.get("github") or {}
        MASK.know(self.github.get("token"))
        for server in self.servers.values():
            MASK.know(server.get("admin_password"))
        kept: dict[str, Any] = raw.get("snapshots") or {}
        self.keep_snapshots = max(1, int(kept.get("keep") or 10))
        self.snapshot_megabytes = max(1, int(kept.get("megabytes") or 2000))


def load(stack: str) -> Connection:
    """Reads the connection of ``stack``; one sentence for every mistake in it."""
    base = os.environ.get("MO_STATE_DIR") or PROJECT + "/.mo/" + stack
    path = base + "/connection.json"
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_CONNECTION_BYTES + 1)
    except OSError as error:
        raise Failure(
            f"{path} cannot be read ({error.strerror}): the Host component writes it; run `bin/pulumi preview --stack {stack}` first."
        ) from None
    if len(text) > MAX_CONNECTION_BYTES:
        raise Failure(f"{path} is larger than {MAX_CONNECTION_BYTES} bytes; delete it, the Host component writes it anew.")
    try:
        raw = jsontext.loads(text)
        if raw.get("version") != 1:
            raise ValueError("version is not 1")
        connection = Connection(raw, base, stack)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Failure(
            f"{path} is not a connection of version 1 ({type(error).__name__}: {error}); delete it, the Host component writes it anew."
        ) from None
    _check(connection, path)
    return connection


def _check(connection: Connection, path: str) -> None:
    """Refuses values that a command line or a file of ssh would read as something else."""
    for name, value in (("address", connection.address), ("user", connection.user), ("name", connection.name)):
        if not value or value[0] == "-" or not all(c.isalnum() or c in "._:-@%" for c in value):
            raise Failure(f"{path}: {name} {value!r} is not a host or user name.")
    if not connection.root.startswith("/") or any(c in connection.root for c in "\n\r\0"):
        raise Failure(f"{path}: root {connection.root!r} is not an absolute path.")
    if not connection.host_keys or any("\n" in key or len(key.split()) < 2 for key in connection.host_keys):
        raise Failure(
            f"{path}: host_keys must be public keys like 'ssh-ed25519 AAAA…' "
            f"(`ssh-keyscan -p {connection.port} {connection.address}` shows them)."
        )


def private_folder() -> str:
    """A folder of mode 700 that is ours, with a path short enough for a Unix socket (108 bytes)."""
    path = (os.environ.get("MO_RUN_DIR") or f"/tmp/mo-{os.getuid()}").rstrip("/")
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise Failure(f"{path}, the folder of the SSH master's socket, cannot be made: {error.strerror}.") from None
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Failure(
            f"{path} must be a directory of mode 700 that belongs to you (it holds the SSH master's socket); remove it and try again."
        )
    return path
