"""What a command works on: the directory, project, backend, stack, settings and passphrase of this call."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from embedded.cli.flags import TRUTHY, Arguments
from embedded.settings import NO_PROJECT, ProjectFile, StackSettings, Workspace, find_project, pulumi_home
from embedded.state.backend import Backend, StackName, parse_stack_name
from embedded.state.encryption import Crypter, passphrase_from, salt_of
from embedded.state.errors import StackNotFoundError, StateError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Context:
    """One call of the command line. Everything is read when it is first asked for."""

    def __init__(self, arguments: Arguments, environment: Mapping[str, str]) -> None:
        self.arguments = arguments
        self.environment = environment

    @property
    def interactive(self) -> bool:
        """Whether questions may be asked."""
        plain = self.arguments.on("non-interactive") or self.truthy("PULUMI_NON_INTERACTIVE") or self.truthy("CI")
        return not plain and sys.stdin.isatty() and sys.stdout.isatty()

    @property
    def color(self) -> bool:
        """Whether output is coloured."""
        choice = self.arguments.text("color") or "auto"
        if choice not in ("always", "never", "raw", "auto"):
            raise StateError(f"unsupported color option: '{choice}'. Supported values are: always, never, raw, auto")
        return choice == "always" or (choice == "auto" and self.interactive and "NO_COLOR" not in self.environment)

    def truthy(self, variable: str) -> bool:
        """Whether a variable says yes."""
        return self.environment.get(variable, "").lower() in TRUTHY

    @functools.cached_property
    def found_project(self) -> ProjectFile | None:
        """The project of the working directory, if it is in one."""
        return find_project(Path.cwd())

    @property
    def project(self) -> ProjectFile:
        """The project of the working directory. Raises ``StateError`` outside of one."""
        if self.found_project is None:
            raise StateError(NO_PROJECT.format(""))
        return self.found_project

    @functools.cached_property
    def backend(self) -> Backend:
        """The backend of ``PULUMI_BACKEND_URL``, of the project, or of ``pulumi login``."""
        url = self.environment.get("PULUMI_BACKEND_URL") or (self.found_project and self.found_project.backend_url) or logged_in()
        if not url:
            raise StateError(
                "no backend is chosen: set PULUMI_BACKEND_URL=file://<directory> or run `bin/pulumi login file://<directory>` "
                "(the embedded engine has file backends only; the Pulumi CLI has the others)"
            )
        return Backend(url)

    @property
    def _workspace(self) -> Workspace | None:
        return Workspace(pulumi_home(), self.found_project) if self.found_project else None

    def parse(self, name: str) -> StackName:
        """The stack that ``name`` names, in this project where it says none."""
        return parse_stack_name(name, self.found_project.name if self.found_project else None)

    def current(self) -> StackName | None:
        """The selected stack, which may not exist any more."""
        name = self.environment.get("PULUMI_STACK") or (self._workspace.selected(self.backend.url) if self._workspace else None)
        return self.parse(name) if name else None

    def select(self, stack: StackName | None) -> None:
        """Remembers the selected stack of this project."""
        if self._workspace:
            self._workspace.select(self.backend.url, stack.qualified if stack else None)

    def stack(self, name: str | None = None) -> StackName:
        """The stack of ``name``, of ``--stack``, or the selected one. Raises ``StateError`` where there is none."""
        wanted = name or self.arguments.text("stack")
        if wanted:
            stack = self.parse(wanted)
            if not self.backend.exists(stack):
                raise StackNotFoundError(wanted)
            return stack
        backend = self.backend
        current = self.current()
        if current is None or not backend.exists(current):
            raise StateError("no stack selected; please use `pulumi stack select` to choose one")
        return current

    @functools.cached_property
    def passphrase(self) -> str:
        """The passphrase of the environment, or asked for on a terminal."""
        if self.interactive and not self.environment.keys() & {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"}:
            import getpass

            return getpass.getpass("Enter your passphrase to unlock config/secrets: ")
        return passphrase_from(self.environment)

    def unlock(self, salt: str) -> Crypter:
        """The verified crypter of a stack's salt."""
        return Crypter(self.passphrase, salt).verify()

    def settings_path(self, stack: StackName) -> Path:
        """The stack's settings file, ``--config-file`` where given."""
        chosen = self.arguments.text("config-file")
        return Path(os.path.abspath(chosen)) if chosen else self.project.settings_path(stack.name)

    def settings(self, stack: StackName) -> StackSettings:
        """The stack's settings."""
        return StackSettings.load(self.settings_path(stack))

    def salt(self, stack: StackName, settings: StackSettings) -> str | None:
        """The salt of the settings, else the one that the state was encrypted with."""
        if settings.salt or not self.backend.exists(stack):
            return settings.salt
        deployment = self.backend.current(stack).deployment or {}
        return salt_of(deployment.get("secrets_providers"))

    def crypter(self, stack: StackName, settings: StackSettings) -> Crypter:
        """The crypter of the stack's settings, which get a salt if they have none."""
        salt = self.salt(stack, settings)
        crypter = self.unlock(salt) if salt else Crypter.create(self.passphrase)
        if not settings.salt:
            settings.salt = crypter.encryption_salt
        return crypter


def logged_in() -> str | None:
    """The backend that ``pulumi login`` chose."""
    import json

    try:
        current = json.loads((pulumi_home() / "credentials.json").read_bytes()).get("current")
    except (OSError, ValueError, AttributeError):
        return None
    return current if isinstance(current, str) and current else None


def say(text: str) -> None:
    """Prints a line on standard output."""
    print(text, flush=True)


def note(text: str) -> None:
    """Prints a line on standard error, where the CLI puts what is no result."""
    print(text, file=sys.stderr, flush=True)
