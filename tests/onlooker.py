"""Another user of this machine: what it can call and read of programs that run, tried with its rights where tests may change user."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

NOBODY = 65534
_LISTENING = "0A"
"""The state of a listening socket in /proc/net/tcp."""
_TRY = """
import json, socket, sys
given, found = json.load(sys.stdin), {"called": [], "read": {}}
for kind, name in given["doors"]:
    address = (("::1" if kind == "tcp6" else "127.0.0.1"), int(name)) if kind != "unix" else name.replace("@", "\\0", 1)
    try:
        socket.socket({"tcp": socket.AF_INET, "tcp6": socket.AF_INET6, "unix": socket.AF_UNIX}[kind]).connect(address)
        found["called"].append(f"{kind} {name}")
    except OSError:
        pass
for path in given["files"]:
    try:
        found["read"][path] = open(path, "rb").read().decode("latin-1")
    except OSError:
        pass
json.dump(found, sys.stdout)
"""


@dataclass
class Seen:
    """What another user reaches. ``doors``: all listening sockets; ``called``: those that take its connection; ``read``: path → content."""

    called: set[str] = field(default_factory=set)
    read: dict[str, bytes] = field(default_factory=dict)
    doors: set[str] = field(default_factory=set)

    def holding(self, texts: Iterable[str]) -> dict[str, list[str]]:
        """Of the files that can be read, those in which one of ``texts`` stands."""
        wanted = [text.encode() for text in texts]
        found = {path: [text.decode() for text in wanted if text in content] for path, content in self.read.items()}
        return {path: texts for path, texts in found.items() if texts}


def family(pid: int) -> set[int]:
    """The process and everything that it has started, as long as the line of parents is not broken."""
    parents: dict[int, int] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def doors(pids: Iterable[int]) -> set[tuple[str, str]]:
    """The listening sockets of these processes: ``tcp`` or ``tcp6`` and the port, ``unix`` and the path (``@…``: an abstract one)."""
    held = set()
    for pid in pids:
        try:
            held |= {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
        except OSError:
            continue
    inodes = {link[8:-1] for link in held if link.startswith("socket:[")}
    found = set()
    for kind in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == _LISTENING and words[9] in inodes:
                found.add((kind, str(int(words[1].rpartition(":")[2], 16))))
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        words = line.split(maxsplit=7)
        if int(words[3], 16) & 0x10000 and words[6] in inodes:  # __SO_ACCEPTCON
            found.add(("unix", words[7] if len(words) > 7 else ""))
    return found


def look(pid: int, *folders: Path) -> Seen:
    """What another user can call of the process ``pid`` and its children, and read of them and of ``folders`` at this moment."""
    pids = family(pid)
    sockets = doors(pids)
    files = [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]
    files += [f"/proc/{one}/{name}" for one in pids for name in ("cmdline", "environ")]
    seen = Seen(doors={f"{kind} {name}" for kind, name in sockets})
    if os.geteuid() == 0:
        done = subprocess.run(
            ["/usr/bin/python3", "-I", "-c", _TRY], input=json.dumps({"doors": sorted(sockets), "files": files}), check=True,
            capture_output=True, text=True, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        tried = json.loads(done.stdout)
        seen.called = set(tried["called"])
        seen.read = {path: content.encode("latin-1") for path, content in tried["read"].items()}
        return seen
    # Without the right to become another user: what the permissions say.
    seen.called = {
        f"{kind} {name}" for kind, name in sockets if kind != "unix" or name[:1] in ("", "@") or _open(Path(name), stat.S_IWOTH)
    }
    for path in files:
        if path.endswith("/cmdline") or (not path.startswith("/proc/") and _open(Path(path), stat.S_IROTH)):
            try:
                seen.read[path] = Path(path).read_bytes()
            except OSError:
                continue
    return seen


class Watch:
    """Looks again and again, while the context lasts, at the commands of a deployment that this process runs."""

    PAUSE = 0.5
    """Seconds between two looks."""
    COMMANDS = (b"bin/pulumi", b"bin/mo", b"embedded", b"operations")
    """What the arguments of such a command hold. The servers of a sandbox, which this process may run too, are no part of a deployment."""

    def __init__(self) -> None:
        self.doors: set[str] = set()
        self.called: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Watch:
        self._stop.clear()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(self.PAUSE):
            for child in Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split():
                try:
                    arguments = Path(f"/proc/{child}/cmdline").read_bytes()
                except OSError:
                    continue
                if any(name in arguments for name in self.COMMANDS):
                    sockets = doors(family(int(child)))
                    self.doors |= {f"{kind} {name}" for kind, name in sockets}
                    if sockets:
                        self.called |= look(int(child)).called


def _open(path: Path, right: int) -> bool:
    """Whether the permissions of ``path`` and of the folders above give ``right`` to everybody."""
    try:
        return bool(path.stat().st_mode & right) and all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)
    except OSError:
        return False
