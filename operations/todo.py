"""Ticks the deployment's item in the monorepo's ``TODO.md``."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from catalog.settings import TodoSettings
from operations.deployment.outcome import Outcome

NAME = "todo"
_ITEM = re.compile(r"^(\s*[-*+] \[)([ xX])(\] +)(.*?)([ \t]*\r?\n?)$")
_MAX_BYTES = 4 << 20


class TodoError(Exception):
    """The item cannot be ticked; one sentence."""


def tick(source: Path, wish: TodoSettings) -> Outcome:
    """Ticks the item that the stack names, in the checkout ``source``, whose commit and push are left to who has it: the operator, or the
    workflow. An item that is ticked already stays so; other lines stay byte for byte. What cannot be done is said, and fails no
    deployment."""
    try:
        changed = _ticked(_place(source, wish.file), wish)
    except TodoError as error:
        return Outcome(NAME, False, str(error))
    except OSError as error:
        return Outcome(NAME, False, f"{wish.file} cannot be changed: {error.strerror}")
    except UnicodeDecodeError:
        return Outcome(NAME, False, f"{wish.file} is no UTF-8 text, so no item of it was ticked")
    if not changed:
        return Outcome(NAME, True, f"{wish.file}: was ticked already: {wish.item}", {"changed": False})
    left = "the workflow's next step pushes it" if os.environ.get("GITHUB_ACTIONS") == "true" else "commit and push it"
    return Outcome(NAME, True, f"{wish.file}: ticked: {wish.item}; {left}", {"changed": True})


def _place(source: Path, name: str) -> Path:
    place = (source / name).resolve()
    if not place.is_relative_to(source.resolve()):
        raise TodoError(f"mo:todo.file {name!r} leads out of the monorepo; nothing was ticked")
    if not place.is_file():
        raise TodoError(f"{name} is not in the monorepo ({source}); nothing was ticked")
    if place.stat().st_size > _MAX_BYTES:
        raise TodoError(f"{name} is larger than {_MAX_BYTES >> 20} MiB; nothing was ticked")
    return place


def _ticked(place: Path, wish: TodoSettings) -> bool:
    lines = place.read_bytes().decode("utf-8").splitlines(keepends=True)
    found = [
        (number, match)
        for number, line in enumerate(lines)
        if (match := _ITEM.match(line)) is not None and match[4] == wish.item.strip()
    ]
    if not found:
        raise TodoError(f"{wish.file} has no item {wish.item!r} (`- [ ] …`, the text exactly); nothing was ticked")
    if len(found) > 1:
        raise TodoError(f"{wish.file} has the item {wish.item!r} {len(found)} times; nothing was ticked")
    ((number, match),) = found
    if match[2] != " ":
        return False
    lines[number] = f"{match[1]}x{match[3]}{match[4]}{match[5]}"
    _replace(place, "".join(lines).encode())
    return True


def _replace(place: Path, content: bytes) -> None:
    """Writes beside it and renames: whoever reads sees the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, place.stat().st_mode & 0o777)
        os.replace(name, place)
    except OSError:
        os.unlink(name)
        raise
