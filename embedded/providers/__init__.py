"""The providers of the embedded engine: for exactly the packages and types that are named here, each in a module of its own.

A module is imported when a program uses its package; client libraries (PyMySQL, psycopg, httpx, …) only when a server is first asked.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

from embedded.providers.base import Log, Provider

PACKAGES: Final[dict[str, str]] = {
    "command": "1.2.1",
    "github": "6.15.0",
    "mysql": "3.3.3",
    "postgresql": "3.18.2",
    "random": "4.21.4",
}
"""The supported packages, each with the version of the published provider that it follows."""


class UnknownPackage(Exception):  # noqa: N818 - it names what is unknown
    """A package that the embedded engine has no provider for."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"package {package!r} is not supported by the embedded engine, which has {', '.join(PACKAGES)}: "
            "use the Pulumi CLI for this program"
        )
        self.package = package


def load(package: str, version: str, project_directory: str, log: Log) -> Provider:
    """A provider of ``package``, not configured yet. ``version`` is what the program asked for; it does not choose an implementation.

    Raises ``UnknownPackage``.
    """
    if package not in PACKAGES:
        raise UnknownPackage(package)
    module = importlib.import_module(f"embedded.providers.{package}")
    provider: Provider = module.provider(version, project_directory, log)
    return provider


def kill_children() -> None:
    """Kills every process that a ``local.Command`` has running: for the second Ctrl-C, just before the engine exits."""
    command = sys.modules.get("embedded.providers.command")
    if command is not None:
        command.kill_children()
