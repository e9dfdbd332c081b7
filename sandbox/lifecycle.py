"""Up, down and status of a sandbox."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sandbox import account, authority, databases, host, ports, processes, settings, site, stand_ins, web
from sandbox.layout import WEB_PARTS, Layout, SandboxError
from sandbox.site import Part, Site

_DATABASES, _OTHERS = ("mariadb-plesk", "mariadb-external-mariadb", "postgresql"), ("panel", "sshd", "github", "hooks", "mail")
_ALL = (*_DATABASES, "php-fpm", "apache", "nginx", *_OTHERS)
_PORTS = {
    "mariadb-plesk": ("plesk",),
    "mariadb-external-mariadb": ("external-mariadb",),
    "postgresql": ("external-postgresql",),
    "sshd": ("ssh", "ssh-bare"),
    "github": ("github",),
    "hooks": ("hooks",),
    "mail": ("smtp",),
}
"""The ports that each part listens at. The panel's are those of the process services, the web server's depend on its profile."""


@dataclass(frozen=True)
class State:
    """One part as it is: its process id, or ``None`` where it does not run."""

    name: str
    pid: int | None


def parts(layout: Layout) -> tuple[str, ...]:
    """The names of a sandbox's parts."""
    return (*_DATABASES, *WEB_PARTS[layout.web], *_OTHERS)


def up(layout: Layout, link: bool = True, say: Callable[[str], None] = lambda _: None) -> Site:
    """Makes the sandbox run as the catalogue says; what runs already and is as it should be is left alone.

    ``say`` is told of each part that is started. Raises ``SandboxError``: a port is taken, a program is missing, a part does not start.
    """
    with _locked(layout):
        if link:
            _check_link(layout)
        _same_base(layout)
        made = _site(layout)
        _check_ports(made)
        parts = _prepare(made)
        with ThreadPoolExecutor(len(parts)) as pool:
            for started in pool.map(lambda part: bring_up(layout, part), parts):
                if started:
                    say(started)
        settings.write(made)
        if link:
            _link(layout)
    return made


def down(layout: Layout, keep_data: bool = False) -> None:
    """Ends every process of the sandbox and, unless ``keep_data``, removes its folder, its account and its link."""
    with _locked(layout):
        if not layout.directory.exists():
            _unlink(layout)
            return
        _check_ours(layout)
        user = account.own(layout)
        _stop_all(layout, gently=keep_data)
        # Sessions, host programs and applications that outlive their parent.
        for _ in range(5):
            left = processes.of_sandbox(layout, user)
            if not left:
                break
            processes.end_all(left, 1.0)
        if keep_data:
            return
        _remove_tree(layout)
        if user:
            account.remove(user)
        _unlink(layout)


def status(layout: Layout) -> list[State]:
    """Each part with its process; nothing is changed."""
    return [State(name, processes.running(layout, name)) for name in parts(layout)]


def _site(layout: Layout) -> Site:
    owner_marker = layout.directory / ".mo-sandbox"
    if layout.directory.exists() and not owner_marker.exists() and any(layout.directory.iterdir()):
        raise SandboxError(f"{layout.directory} exists and is no sandbox; choose another folder with MO_SANDBOX_DIR")
    account.directory(layout.directory)
    owner_marker.touch()
    for folder in (layout.etc, layout.run, layout.logs, layout.data):
        account.directory(folder)
    _check_traversal(layout)
    user = account.name(layout)
    account.create(user, layout.home)
    services = site.services(layout.clone / "catalog" / "services.yaml")
    return Site(layout, user, services, site.passwords(layout))


def _prepare(made: Site) -> list[Part]:
    """Writes what the parts need; the two kinds of database side by side, since their first set-up takes longest."""
    layout = made.layout
    authority.authority(layout.ca, layout.etc / "ca.key")
    with ThreadPoolExecutor(2) as pool:
        mariadb = pool.submit(databases.mariadb, made)
        postgresql = pool.submit(databases.postgresql, made)
        host.programs(made)
        host.home(made)
        others = [
            *web.parts(made),
            host.panel(made),
            host.sshd(made),
            stand_ins.github(made),
            stand_ins.hooks(made),
            stand_ins.mail(made),
        ]
        return [*mariadb.result(), postgresql.result(), *others]


def _check_ports(made: Site) -> None:
    """Names every port that somebody else has, before anything is made or started."""
    layout = made.layout
    for other in set(_ALL) - set(parts(layout)):
        processes.stop(layout, other)  # of another profile of the web server
    web_ports = {
        name: ("apache",) if name == "apache" and "nginx" in parts(layout) else ("http", "https") for name in ("apache", "nginx")
    }
    wanted = {part: {name: layout.port(name) for name in (_PORTS | web_ports).get(part, ())} for part in parts(layout)}
    wanted["panel"] = made.processes()
    stopped = [part for part in wanted if processes.running(layout, part) is None]
    for part in stopped:
        # What a killed part of ours left behind may have its ports and sockets still.
        processes.end_all(processes.of_part(layout, part), 2.0)
    taken = []
    until = time.monotonic() + 5.0
    for part in stopped:
        for label, port in wanted[part].items():
            # The kernel may free the port of a killed server only a moment after the process is gone.
            if not processes.wait_until(partial(ports.free, port), partial(_held_by_none, port), until - time.monotonic()):
                taken.append(f"Port {port} (for {label}) is taken by {ports.owner(port)}")
    # Command lines are shortened, so that a name may have come in parts.
    names = set(re.findall(r"(?<=[ =])/\S*/mo-sandbox-[\w-]+", "; ".join(taken)))
    if others := sorted(name for name in names if not any(other != name and other.startswith(name) for other in names)):
        raise SandboxError(
            f"Another sandbox ({', '.join(others)}) has the ports from {layout.base}. Stop it (make sandbox-down in its clone), or choose "
            f"another base, e.g. MO_SANDBOX_PORT={layout.base + 1000 if layout.base < 60000 else 20000} make sandbox-up"
        )
    if taken:
        raise SandboxError("; ".join(taken) + ". Stop it, or choose another base with MO_SANDBOX_PORT")


def _held_by_none(port: int) -> bool:
    return ports.holder(port) is None


def bring_up(layout: Layout, part: Part) -> str | None:
    """Starts or reloads one part where needed; says what was done. Raises ``SandboxError`` where it does not start."""
    name = part.daemon.name
    pid = processes.running(layout, name)
    done = None
    if pid is not None and part.changed:
        if part.reload is not None:
            os.kill(pid, part.reload)
            done = f"{name}: reloaded"
        else:
            processes.stop(layout, name)
            pid = None
    if pid is None:
        processes.start(layout, part.daemon)
        done = f"{name}: started"
    if not processes.wait_until(part.ready, lambda: processes.running(layout, name) is not None, part.patience):
        raise SandboxError(f"{name} does not start: {processes.last_words(layout, name)} (log: {layout.logs / name}.log)")
    return done


def _stop_all(layout: Layout, gently: bool) -> None:
    """Ends the parts; ``gently``: so that the databases write out what they hold."""

    def stop(name: str) -> None:
        # PostgreSQL's SIGTERM waits for its clients to leave.
        calmly = signal.SIGINT if name == "postgresql" else signal.SIGTERM
        processes.stop(layout, name, how=calmly if gently else signal.SIGKILL)

    with ThreadPoolExecutor(len(_ALL)) as pool:
        list(pool.map(stop, _ALL))


def _same_base(layout: Layout) -> None:
    """A sandbox that runs on other ports than those now asked for is stopped first."""
    record = layout.directory / "base"
    if record.is_file() and record.read_text() != str(layout.base):
        _stop_all(layout, gently=True)
    if layout.directory.is_dir():
        account.write(record, str(layout.base))


def _check_traversal(layout: Layout) -> None:
    """Another account must be able to pass through every parent folder."""
    if os.geteuid() != 0:
        return
    for parent in layout.directory.parents:
        if not parent.stat().st_mode & 0o001:
            raise SandboxError(f"{parent} may not be entered by other accounts; choose a folder below /var/tmp with MO_SANDBOX_DIR")


def _check_ours(layout: Layout) -> None:
    if not (layout.directory / ".mo-sandbox").exists():
        raise SandboxError(f"{layout.directory} is no sandbox; it is left as it is")


def _check_link(layout: Layout) -> None:
    link = layout.link
    if link.exists() and not link.is_symlink():
        raise SandboxError(f"{link} is a file or folder of yours; the link to the sandbox belongs there: move it away")


def _link(layout: Layout) -> None:
    if layout.link.is_symlink() and layout.link.readlink() == layout.directory:
        return
    layout.link.unlink(missing_ok=True)
    layout.link.symlink_to(layout.directory)


def _unlink(layout: Layout) -> None:
    if layout.link.is_symlink() and layout.link.readlink() == layout.directory:
        layout.link.unlink()


def _remove_tree(layout: Layout) -> None:
    for mounted in _mounted(layout):
        subprocess.run(["umount", "-l", mounted], check=False, capture_output=True)
    # Releases are read-only folders: a plain removal by their owner fails on them.
    if os.geteuid() != 0:
        for folder, _, _ in os.walk(layout.directory):
            with contextlib.suppress(OSError):
                Path(folder).chmod(0o700)
    marker = layout.directory / ".mo-sandbox"
    for entry in layout.directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != marker:
            entry.unlink()
    marker.unlink()
    layout.directory.rmdir()


def _mounted(layout: Layout) -> list[str]:
    """File systems that a test mounted below the folder, the innermost first; removing through them would be removing elsewhere."""
    points = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    return sorted((point for point in points if point.startswith(f"{layout.directory}/")), reverse=True)


@contextlib.contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    """One up or down at a time. The lock file goes with its last user."""
    path = layout.lock
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = path.open("a")
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever held the lock before may have removed the file.
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                    break
            file.close()
    except OSError as error:
        raise SandboxError(f"{path} cannot be locked: {error.strerror}; choose another folder with MO_SANDBOX_DIR") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()
