"""What the parts are made from: the sandbox's folder, its account, the catalogue's services and the secrets of its servers."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from catalog import reader
from catalog.models import Service
from sandbox import account
from sandbox.layout import DOMAIN, PROCESS_OFFSET, PROCESSES, Layout, SandboxError
from sandbox.processes import Daemon

_SECRETS = (
    "plesk",
    "external-mariadb",
    "external-postgresql",
    "postgresql-superuser",
    "github-token",
    "smtp-password",
    "webhook-secret",
    "monitor",
)


@dataclass(frozen=True)
class Site:
    """One sandbox's data. ``user`` is the account's name, ``services`` those of the stack ``sandbox``, ``passwords`` by what they open."""

    layout: Layout
    user: str
    services: dict[str, Service]
    passwords: dict[str, str] = field(repr=False)

    def domain(self, service: Service) -> str:
        """The host name of a service."""
        return f"{service.host}.{DOMAIN}" if service.host else DOMAIN

    def document_root(self, service: Service) -> Path:
        """Where the web server looks, links unresolved."""
        path = self.layout.root / service.path
        return path / service.web_root if service.web_root else path

    def processes(self) -> dict[str, int]:
        """The port of each process service, in the order of the keys."""
        keys = sorted(key for key, service in self.services.items() if service.runtime == "process")
        if len(keys) > PROCESSES:
            raise SandboxError(f"The catalogue has {len(keys)} process services; the sandbox has ports for {PROCESSES}")
        return {key: self.layout.base + PROCESS_OFFSET + index for index, key in enumerate(keys)}


@dataclass(frozen=True)
class Part:
    """A daemon with what tells that it works. ``changed``: its configuration is new; a running one is sent ``reload``, or restarted."""

    daemon: Daemon
    ready: Callable[[], bool]
    changed: bool = False
    reload: signal.Signals | None = None
    patience: float = 20.0
    """Seconds that it may take to become ready."""


def services(catalogue: Path) -> dict[str, Service]:
    """The services of the stack ``sandbox``. Raises ``SandboxError`` where the catalogue cannot be read."""
    try:
        return reader.read(catalogue).of_stack("sandbox")
    except reader.CatalogError as error:
        raise SandboxError(str(error)) from None


def passwords(layout: Layout) -> dict[str, str]:
    """The servers' passwords, made once and kept in ``secrets.json`` (600)."""
    path = layout.directory / "secrets.json"
    try:
        held = json.loads(path.read_text())
    except (OSError, ValueError):
        held = {}
    complete = {name: held.get(name) or secrets.token_urlsafe(24) for name in _SECRETS}
    account.write(path, json.dumps(complete), 0o600)
    return complete
