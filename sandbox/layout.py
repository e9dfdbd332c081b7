"""Where everything of one sandbox is: its folder, its ports, its account. Pure; touches nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DOMAIN = "mo.localhost"
DEFAULT_BASE = 28000
WEB_PARTS = {
    "apache": ("php-fpm", "apache"),
    "apache-mod-php": ("apache",),
    "nginx": ("php-fpm", "nginx"),
    "nginx+apache": ("php-fpm", "apache", "nginx"),
}
"""The profiles of the web server with the daemons of each: Apache with PHP-FPM, Apache with PHP inside, nginx, nginx in front of Apache."""
DEFAULT_WEB = "apache"
OFFSETS = {
    "ssh": 22,
    "ssh-bare": 23,
    "smtp": 25,
    "prometheus": 60,
    "alertmanager": 61,
    "blackbox": 62,
    "mysqld-plesk": 63,
    "mysqld-external-mariadb": 64,
    "postgres-exporter": 65,
    "node-exporter": 66,
    "http": 80,
    "apache": 81,
    "github": 88,
    "hooks": 90,
    "socks": 122,
    "plesk": 306,
    "external-mariadb": 307,
    "external-postgresql": 432,
    "https": 443,
}
"""Each port's distance from the base. Process services follow from ``PROCESS_OFFSET`` on, in the order of their keys."""
PROCESS_OFFSET = 101
PROCESSES = 20
"""How many process services fit below ``socks``'s offset and the next part's."""


class SandboxError(Exception):
    """What a person can mend: one sentence that names the thing, what was expected and the way out."""


@dataclass(frozen=True)
class Layout:
    """One sandbox. ``directory`` holds all of it; ``clone`` is the checkout whose catalogue it serves and where it is linked.
    ``builds_of``: the stack whose builds are deployed to it; ``None`` for its own, of ``sandbox/monorepo``."""

    directory: Path
    clone: Path
    base: int = DEFAULT_BASE
    builds_of: str | None = None
    web: str = DEFAULT_WEB
    """The web server's profile, one of ``WEB_PARTS``."""

    def port(self, name: str) -> int:
        """The TCP port of a part, on 127.0.0.1."""
        return self.base + OFFSETS[name]

    @property
    def mark(self) -> str:
        """Eight hex digits that name this sandbox, for its account."""
        return hashlib.sha256(str(self.directory).encode()).hexdigest()[:8]

    @property
    def home(self) -> Path:
        """The account's home directory."""
        return self.directory / "home"

    @property
    def root(self) -> Path:
        """The host's root, ``/www/htdocs/w01234567`` of the real one."""
        return self.home / "www" / "htdocs" / "w01234567"

    @property
    def programs(self) -> Path:
        """The directory that is the account's whole ``PATH``."""
        return self.directory / "bin"

    @property
    def bare_programs(self) -> Path:
        """The ``PATH`` of a login at the port ``ssh-bare``: busybox and nothing else, as the poorest host gives."""
        return self.directory / "bare"

    @property
    def etc(self) -> Path:
        """Configuration of the parts."""
        return self.directory / "etc"

    @property
    def run(self) -> Path:
        """Process records and sockets."""
        return self.directory / "run"

    @property
    def logs(self) -> Path:
        """What the parts themselves say (the site's own logs are below ``root``)."""
        return self.directory / "log"

    @property
    def data(self) -> Path:
        """The database servers' data directories."""
        return self.directory / "data"

    @property
    def mail(self) -> Path:
        """The messages that the mail sink took, one file each."""
        return self.directory / "mail"

    @property
    def github(self) -> Path:
        """The GitHub stand-in's state and request log."""
        return self.directory / "github"

    @property
    def hooks(self) -> Path:
        """The webhook calls that came, one file each."""
        return self.directory / "hooks"

    @property
    def monitoring(self) -> Path:
        """What the monitoring machine has: settings, exported files, credentials, the tools' data."""
        return self.directory / "monitoring"

    @property
    def ca(self) -> Path:
        """The certificate of the sandbox's own authority."""
        return self.directory / "ca.pem"

    @property
    def key(self) -> Path:
        """The deployer's private SSH key."""
        return self.directory / "ssh" / "id_ed25519"

    @property
    def host_key(self) -> Path:
        """sshd's private host key."""
        return self.directory / "ssh" / "host_ed25519"

    @property
    def settings(self) -> Path:
        """The overlay that ``mo:settingsFile`` names; holds secrets."""
        return self.directory / "settings.yaml"

    @property
    def lock(self) -> Path:
        """Held by whoever starts or stops this sandbox; beside the folder, so that removing the folder does not remove it."""
        return self.directory.with_name(self.directory.name + ".lock")

    @property
    def link(self) -> Path:
        """The link in the clone."""
        return self.clone / ".sandbox"


def of_clone(clone: Path, environment: dict[str, str] | None = None) -> Layout:
    """The sandbox of a checkout: ``MO_SANDBOX_DIR`` and ``MO_SANDBOX_PORT``, else a folder named after the checkout and port base 28000;
    for the builds of ``MO_SANDBOX_STACK``, where it is given.

    Raises ``SandboxError`` for a relative folder, a port base that leaves no room, a stack or a profile of the web server that does not
    exist.
    """
    env = dict(os.environ) if environment is None else environment
    clone = clone.resolve()
    given = env.get("MO_SANDBOX_DIR")
    if given:
        directory = Path(given)
        if not directory.is_absolute() or directory.resolve() == Path("/"):
            raise SandboxError(f"MO_SANDBOX_DIR is {given!r}; an absolute path of a folder of its own is expected")
    else:
        name = hashlib.sha256(str(clone).encode()).hexdigest()[:8]
        directory = Path("/var/tmp") / f"mo-sandbox-{name}"
    stack, web = _stack(clone, env.get("MO_SANDBOX_STACK")), web_profile(env)
    return Layout(directory.resolve(), clone, _base(env.get("MO_SANDBOX_PORT")), stack, web)


def web_profile(environment: Mapping[str, str]) -> str:
    """The profile that ``MO_SANDBOX_WEB`` names, else the default. Raises ``SandboxError`` for an unknown one."""
    name = environment.get("MO_SANDBOX_WEB") or DEFAULT_WEB
    if name not in WEB_PARTS:
        raise SandboxError(f"MO_SANDBOX_WEB is {name[:40]!r}; one of {', '.join(WEB_PARTS)} is expected")
    return name


def _stack(clone: Path, name: str | None) -> str | None:
    if not name or name == "sandbox":
        return None
    known = sorted(path.name.split(".")[1] for path in clone.glob("Pulumi.*.yaml"))
    if name not in known:
        raise SandboxError(f"MO_SANDBOX_STACK is {name!r}; a stack is expected: {', '.join(known)}")
    return name


def _base(text: str | None) -> int:
    if not text:
        return DEFAULT_BASE
    highest = 65535 - max(OFFSETS.values())
    if not (text.isascii() and text.isdigit() and len(text) <= 5) or not 1024 <= int(text) <= highest:
        raise SandboxError(f"MO_SANDBOX_PORT is {text!r}; a number from 1024 to {highest} is expected")
    return int(text)
