"""``version``, ``whoami``, ``about``, ``plugin ls``, ``login``, ``logout``."""

from __future__ import annotations

import getpass
import json
import os
import platform
import sys

from embedded.cli.context import Context, say
from embedded.cli.text import pretty, table
from embedded.settings import pulumi_home
from embedded.state import files
from embedded.state.backend import Backend
from embedded.state.checkpoint import VERSION, now
from embedded.state.errors import NotSupportedError, StateError


def version(context: Context) -> None:
    """The version of the CLI whose behaviour this engine has."""
    say(VERSION)


def whoami(context: Context) -> None:
    """The user and the backend."""
    user, url = getpass.getuser(), context.backend.url
    if context.arguments.on("json"):
        say(pretty({"user": user, "url": url}))
    elif context.arguments.on("verbose"):
        say(f"User: {user}\nOrganizations:\nBackend URL: {url}\nToken type: personal")
    else:
        say(user)


def about(context: Context) -> None:
    """What runs here."""
    from embedded.providers import PACKAGES

    plugins = [{"name": name, "version": str(PACKAGES[name])} for name in sorted(PACKAGES)]
    try:
        backend: dict[str, str] | None = {"name": os.uname().nodename, "url": context.backend.url, "user": getpass.getuser()}
    except StateError:
        backend = None
    if context.arguments.on("json"):
        cli = {"version": VERSION.removeprefix("v"), "engine": "embedded", "goVersion": ""}
        host = {"os": sys.platform, "arch": platform.machine(), "version": platform.release()}
        runtime = {"language": "python", "executable": sys.executable, "version": platform.python_version()}
        say(pretty({"cliAbout": cli, "host": host, "backend": backend, "plugins": plugins, "runtime": runtime}))
        return
    say(f"CLI\nVersion      {VERSION.removeprefix('v')} (embedded engine)\nPython       {platform.python_version()}\n")
    say("Plugins (built in)\n" + table(["NAME", "VERSION"], [[p["name"], p["version"]] for p in plugins]) + "\n")
    say(f"Backend\n{table(['NAME', 'URL'], [[backend['name'], backend['url']]])}" if backend else "No backend is chosen")


def plugin_ls(context: Context) -> None:
    """The providers, all of which are part of this engine."""
    from embedded.providers import PACKAGES

    plugins = [{"name": name, "kind": "resource", "version": str(PACKAGES[name])} for name in sorted(PACKAGES)]
    if context.arguments.on("json"):
        # The Automation API reads sizes and times: what is built in takes no room, and is in use.
        say(pretty([{**plugin, "size": 0, "lastUsedTime": now()} for plugin in plugins]))
        return
    say(table(["NAME", "KIND", "VERSION"], [[p["name"], p["kind"], p["version"]] for p in plugins]))
    say("\nThese are built into the embedded engine; nothing is downloaded.")


def _credentials(current: str | None) -> None:
    path = pulumi_home() / "credentials.json"
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        document = {}
    document["current"] = current or ""
    if current:
        document.setdefault("accounts", {})[current] = {"lastValidatedAt": "0001-01-01T00:00:00Z"}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.replace(path, json.dumps(document, indent=4).encode(), mode=0o600)


def login(context: Context) -> None:
    """Chooses a file backend for later calls."""
    given = context.arguments.positional
    url = "file://~" if context.arguments.on("local") else (given[0] if given else context.arguments.text("cloud-url"))
    if not url:
        raise NotSupportedError("Pulumi Cloud")
    backend = Backend(url)
    _credentials(url)
    say(f"Logged in to {os.uname().nodename} as {getpass.getuser()} ({backend.url})")


def logout(context: Context) -> None:
    """Forgets the chosen backend."""
    from embedded.cli.context import logged_in

    url = logged_in()
    _credentials(None)
    say(f"Logged out of {url}" if url else "Not logged in")
