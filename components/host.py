"""The SSH host: what reaches it is written down for the steps, and nothing is opened."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from catalog.settings import OwnerSecrets, StackSettings
from catalog.settings_file import reveal
from components.component import Component


@dataclass(frozen=True)
class HostArgs:
    """``project``: the folder of ``Pulumi.yaml``; the connection is written to ``.mo/<stack>/`` in it."""

    stack: str
    project: Path
    settings: StackSettings
    secrets: OwnerSecrets


class Host(Component):
    """The account on the host. Writes ``.mo/<stack>/connection.json`` (600), which the steps read: no resource's input holds an address,
    a key or a password of the connection."""

    connection: Path

    def __init__(
        self, name: str, args: HostArgs, after: Sequence[pulumi.Resource] = (), opts: pulumi.ResourceOptions | None = None
    ) -> None:
        host = args.settings.host
        super().__init__(name, {"name": host.name, "hostKeys": list(host.host_keys)}, after, opts)
        self.connection = write_connection(args)
        self.register_outputs({"name": host.name, "root": host.root})


def connection(args: HostArgs, key_file: str | None) -> dict[str, Any]:
    """What the steps need to know of the host: the contents of ``connection.json`` (see docs/host-protocol.md)."""
    host, edge = args.settings.host, args.settings.edge
    return {
        "version": 1,
        "name": host.name,
        "address": host.address,
        "port": host.port,
        "user": host.user,
        "root": host.root,
        "host_keys": list(host.host_keys),
        "key_file": key_file,
        "socks_port": host.socks_port,
        "snapshots": {"keep": args.settings.snapshots.keep, "megabytes": args.settings.snapshots.megabytes},
        "edge": {
            "scheme": edge.scheme,
            "port": edge.port,
            "connect": edge.connect,
            "ca_file": _absolute(args.project, edge.ca_file),
        },
        "github": {
            "owner": args.settings.github.owner,
            "repository": args.settings.github.repository,
            "environment": args.settings.github.environment,
            "base_url": args.settings.github.base_url,
            "token": reveal(args.secrets.github_token),
        },
        "servers": {
            name: {
                "engine": server.engine,
                "host": server.host,
                "port": server.port,
                "reach": server.reach,
                "provision": server.provision,
                "tls": server.tls,
                "ca_file": _absolute(args.project, server.ca_file),
                "admin_user": server.admin_user,
                "admin_password": reveal(args.secrets.admin_password(name)),
            }
            for name, server in args.settings.servers.items()
        },
    }


def write_connection(args: HostArgs) -> Path:
    """Writes ``connection.json``, and the SSH key beside it where it came as text. Gives the path. Raises ``pulumi.RunError``."""
    folder = args.project / ".mo" / args.stack
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        key = reveal(args.secrets.ssh_private_key)
        key_file = _absolute(args.project, args.settings.host.key_file)
        if key is not None:
            key_file = str(folder / "ssh-key")
            write_private(Path(key_file), key.rstrip("\n") + "\n")
        target = folder / "connection.json"
        write_private(target, json.dumps(connection(args, key_file), sort_keys=True, indent=1) + "\n")
    except OSError as error:
        raise pulumi.RunError(
            f"The connection to {args.settings.host.name} cannot be written to {folder}: {error.strerror}."
        ) from None
    return target


def _absolute(project: Path, path: str | None) -> str | None:
    return None if path is None else str(project / Path(path).expanduser())


def write_private(path: Path, text: str) -> None:
    """Writes ``text`` to ``path``, 600, whole or not at all; leaves a file alone that holds it."""
    if path.is_file() and path.read_text() == text and path.stat().st_mode & 0o777 == 0o600:
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
