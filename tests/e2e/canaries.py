"""Looks for secrets where none may be: in files, in outputs, in what processes were started with. Every secret in every form that a
program could have brought it into."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import threading
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

LEAST = 12
"""Bytes below which a form would be found by chance."""


def forms(value: str) -> Iterator[bytes]:
    """``value`` as it is, and as JSON (once and twice), URL, shell, SQL, Python, hexadecimal and base64 (three offsets) have it."""
    once = json.dumps(value)[1:-1]
    yield value.encode()
    yield once.encode()
    yield json.dumps(value, ensure_ascii=False)[1:-1].encode()
    yield json.dumps(once)[1:-1].encode()
    yield repr(value)[1:-1].encode()
    yield value.replace("'", "'\\''").encode()
    yield value.replace("'", "''").encode()
    for safe in ("", "/"):
        yield urllib.parse.quote(value, safe=safe).encode()
    yield urllib.parse.quote_plus(value).encode()
    yield value.encode().hex().encode()
    for offset in range(3):
        # What is left and right depends on the neighbours: the signs that these bytes alone decide.
        whole = base64.b64encode(b"\0" * offset + value.encode())
        inner = whole[(0, 2, 3)[offset] : len(whole) - 4]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")


class Canaries:
    """Secrets by value, each with the name that a finding is told by: never the value itself."""

    def __init__(self) -> None:
        self._forms: dict[bytes, str] = {}
        self.names: set[str] = set()

    def add(self, name: str, value: str) -> None:
        """One more. A text of several lines (a key) is looked for line by line."""
        lines = [line for line in value.splitlines() if len(line) >= LEAST and "-----" not in line]
        assert lines, f"{name} is too short to be looked for"
        self.names.add(name)
        for line in lines:
            self._forms.update({form: name for form in forms(line) if len(form) >= LEAST})

    def within(self, content: bytes) -> set[str]:
        """The names of the secrets that stand in ``content``."""
        return {name for form, name in self._forms.items() if form in content}

    def files(self, places: Iterable[Path]) -> dict[Path, set[str]]:
        """Every regular file at or below ``places`` that holds a secret, also where it is compressed."""
        there = [place for place in places if place.exists()]
        if not there:
            return {}
        # In parts: an argument list has a limit.
        hits = [path for start in range(0, len(there), 500) for path in self._grep(there[start : start + 500])]
        found = {path: self.within(path.read_bytes()) for path in hits}
        for place in there:
            for path in place.rglob("*.gz") if place.is_dir() else [place] if place.suffix == ".gz" else []:
                if path.is_file() and not path.is_symlink():
                    try:
                        found[path] = self.within(gzip.decompress(path.read_bytes()))
                    except (OSError, EOFError):
                        continue
        return {path: names for path, names in found.items() if names}

    def _grep(self, places: list[Path]) -> Iterator[Path]:
        argv = ["grep", "-r", "-l", "-a", "-s", "-Z", "-F", "-D", "skip", "-f", "-", "--", *map(str, places)]
        patterns = b"\n".join(self._forms) + b"\n"
        done = subprocess.run(
            argv, input=patterns, capture_output=True, check=False, env={"LC_ALL": "C", "PATH": os.environ["PATH"]}
        )
        for name in filter(None, done.stdout.split(b"\0")):
            path = Path(os.fsdecode(name))
            if path.is_file():
                yield path


class Processes:
    """Notes arguments and environment of every process on this machine that lives long enough to be seen, while the context lasts."""

    PAUSE = 0.02
    """Seconds between two looks."""

    def __init__(self) -> None:
        self.seen: dict[bytes, str] = {}
        """Arguments or environment → what it is."""
        self._last: dict[str, bytes] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Processes:
        self._stop.clear()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(self.PAUSE):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    argv = Path(f"/proc/{pid}/cmdline").read_bytes()
                    if not argv or self._last.get(pid) == argv:
                        continue
                    environment = Path(f"/proc/{pid}/environ").read_bytes()
                except OSError:
                    continue
                self._last[pid] = argv
                program = argv.split(b"\0")[0].decode("utf-8", "replace")
                self.seen.setdefault(argv, f"arguments of {program}")
                self.seen.setdefault(environment, f"environment of {program}")

    def holding(self, canaries: Canaries) -> dict[str, set[str]]:
        """What held a secret, with the secrets' names."""
        found: dict[str, set[str]] = {}
        for content, what in self.seen.items():
            if names := canaries.within(content):
                found.setdefault(what, set()).update(names)
        return found
