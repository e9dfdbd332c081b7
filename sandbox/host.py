"""The account's shell: sshd with a host key of its own, and a PATH that holds what the shared host gives and nothing more."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from sandbox import account, authority
from sandbox.layout import SandboxError
from sandbox.processes import MARK, Daemon
from sandbox.site import Part, Site

_POSTGRESQL = ("psql", "pg_dump", "pg_restore")
_PIP = ("PIP_CERT", "PIP_FIND_LINKS", "PIP_DEFAULT_TIMEOUT")
"""What a machine behind a mirror needs for pip; handed to the account, since a real host has its own."""


def programs(site: Site) -> None:
    """Fills the account's PATH with links to the programs of a shared host."""
    folder = account.directory(site.layout.programs)
    search = "/usr/bin:/bin"
    for name in (Path(__file__).parent / "programs.txt").read_text().split():
        found = shutil.which(name, path=search)
        if found is None:
            raise SandboxError(f"{name} is not installed; bin/setup installs what the sandbox needs")
        _link(folder / name, found)
    busybox = shutil.which("busybox", path=search)
    if busybox is None:
        raise SandboxError("busybox is not installed; bin/setup installs what the sandbox needs")
    bare = account.directory(site.layout.bare_programs)
    if not (bare / "sh").is_symlink():
        for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
            _link(bare / name, busybox)
    # Debian's own psql is a Perl program that picks a cluster; the account gets the plain one.
    for name in _POSTGRESQL:
        _link(folder / name, str(postgresql_program(name)))
    text = f'#!/bin/sh\nexec /usr/bin/python3 -I {_brought(site, "pleskctl.py")} {site.layout.run}/panel/control "$@"\n'
    account.write(folder / "pleskctl", text, 0o755)


def postgresql_program(name: str) -> Path:
    """The newest installed PostgreSQL's program of this name."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if not found:
        raise SandboxError(f"PostgreSQL's {name} is not installed; bin/setup installs what the sandbox needs")
    return found[-1]


def home(site: Site) -> None:
    """The account's home, the host's root and an empty directory where the panel would have made a site."""
    layout = site.layout
    account.directory(layout.home, site.user)
    path = layout.home
    for name in ("www", "htdocs", "w01234567"):
        path = account.directory(path / name, site.user)
    account.directory(layout.root / "logs", site.user)
    for service in site.services.values():
        path = layout.root
        for name in service.path.split("/"):
            path = path / name
            if not path.is_symlink() and not path.is_dir():
                account.directory(path, site.user)
    account.directory(layout.home / ".ssh", site.user, 0o700)
    # A login shell reads /etc/profile, which sets a PATH of its own.
    account.write(layout.home / ".profile", f"PATH={layout.programs}\nexport PATH\n", 0o644, site.user)


def sshd(site: Site) -> Part:
    """sshd with Debian's defaults for MaxStartups and MaxSessions; admits the account by the deployer's key only."""
    layout = site.layout
    account.directory(layout.key.parent, mode=0o755)
    authority.ssh_key(layout.host_key, "mo-sandbox-host")
    public = authority.ssh_key(layout.key, "mo-sandbox-deployer")
    account.write(layout.home / ".ssh" / "authorized_keys", f"{public} mo-sandbox-deployer\n", 0o600, site.user)
    environment = {"LANG": "C.UTF-8", MARK: str(layout.directory)}
    environment.update({name: os.environ[name] for name in _PIP if os.environ.get(name)})
    lines = [
        f"ListenAddress 127.0.0.1:{layout.port('ssh')}",
        f"ListenAddress 127.0.0.1:{layout.port('ssh-bare')}",
        f"HostKey {layout.host_key}",
        "PidFile none",
        f"AllowUsers {site.user}",
        "PermitRootLogin no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "AuthorizedKeysFile .ssh/authorized_keys"
        if account.own(layout)
        else f"AuthorizedKeysFile {layout.home}/.ssh/authorized_keys",
        # Where nobody made an account for us the home is below a world-writable folder, which the strict modes refuse.
        f"StrictModes {'yes' if account.own(layout) else 'no'}",
        "UsePAM no",
        "PrintMotd no",
        "Subsystem sftp internal-sftp",
        _set_environment({"PATH": str(layout.programs), **environment}),
        f"Match LocalPort {layout.port('ssh-bare')}",
        _set_environment({"PATH": str(layout.bare_programs), **environment}),
    ]
    changed = account.write(layout.etc / "sshd_config", "\n".join(lines) + "\n", 0o600)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = layout.port("ssh")
    return Part(
        Daemon("sshd", ("/usr/sbin/sshd", "-D", "-e", "-f", str(layout.etc / "sshd_config"))),
        lambda: _greets(port),
        changed,
        signal.SIGHUP,
    )


def panel(site: Site) -> Part:
    """The account's process supervisor, which ``pleskctl`` speaks to."""
    layout = site.layout
    lines = [f"{key}\t{port}\t{layout.root / site.services[key].path}" for key, port in site.processes().items()]
    changed = account.write(layout.etc / "panel.tsv", "\n".join(lines) + "\n")
    folder = account.directory(layout.run / "panel", site.user)
    supervisor = layout.directory / "panel" / "supervisor.py"
    before = supervisor.read_text() if supervisor.exists() else ""
    renewed = _brought(site, "supervisor.py").read_text() != before
    return Part(
        Daemon(
            "panel",
            (
                "/usr/bin/python3",
                "-I",
                "-u",
                str(supervisor),
                str(layout.etc / "panel.tsv"),
                str(folder),
                str(layout.root / "logs"),
            ),
            site.user,
            layout.home,
            # The mail sink's certificate is of the sandbox's own authority.
            {"PATH": str(layout.programs), "HOME": str(layout.home), "SSL_CERT_FILE": str(layout.ca)},
        ),
        lambda: connects(folder / "control"),
        changed or renewed,
        None if renewed else signal.SIGHUP,
    )


def connects(path: Path) -> bool:
    """Whether something accepts connections at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def _brought(site: Site, name: str) -> Path:
    """A program of the panel, copied to where the account may read it: the checkout may lie in a folder closed to others."""
    folder = account.directory(site.layout.directory / "panel")
    account.write(folder / name, (Path(__file__).parent / "panel" / name).read_text())
    return folder / name


def _set_environment(environment: dict[str, str]) -> str:
    return "SetEnv " + " ".join(f'"{name}={value}"' for name, value in environment.items())


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as client:
            return client.recv(4) == b"SSH-"
    except OSError:
        return False


def _link(link: Path, target: str) -> None:
    if link.is_symlink() and str(link.readlink()) == target:
        return
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
