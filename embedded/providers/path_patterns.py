"""The files that a list of path patterns picks, as assets."""

from __future__ import annotations

import hashlib
import os
import re

from embedded.providers.base import ProviderError
from embedded.providers.wording import go_quote
from embedded.values import Asset


def matching(directory: str, patterns: list[str]) -> dict[str, Asset]:
    """The files below ``directory`` that ``patterns`` pick, as assets; a pattern with ``!`` takes earlier picks away."""
    rules = [(pattern.startswith("!"), _glob(pattern.removeprefix("!"))) for pattern in patterns]
    found: dict[str, Asset] = {}
    for folder, folders, files in os.walk(directory):
        folders.sort()
        for name in sorted(files):
            path = os.path.relpath(os.path.join(folder, name), directory)
            chosen = False
            for exclude, pattern in rules:
                if pattern.fullmatch(path):
                    chosen = not exclude
            if chosen:
                full = os.path.join(directory, path)
                found[path] = Asset({"hash": _digest(full), "path": full})
    return found


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _glob(pattern: str) -> re.Pattern[str]:
    """A glob of gobwas/glob with ``/`` as separator: ``*``, ``**``, ``?``, ``[…]``, ``{a,b}``."""
    parts: list[str] = []
    depth = 0
    index = 0
    while index < len(pattern):
        char = pattern[index]
        index += 1
        if pattern.startswith("**", index - 1):
            parts.append(".*")
            index += 1
        elif char == "*":
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "[" and "]" in pattern[index:]:
            end = pattern.index("]", index)
            body = pattern[index:end].replace("\\", "\\\\")
            parts.append("[" + ("^" + body[1:] if body.startswith("!") else body) + "]")
            index = end + 1
        elif char == "{":
            parts.append("(?:")
            depth += 1
        elif char == "}" and depth:
            parts.append(")")
            depth -= 1
        elif char == "," and depth:
            parts.append("|")
        elif char == "\\" and index < len(pattern):
            parts.append(re.escape(pattern[index]))
            index += 1
        else:
            parts.append(re.escape(char))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        raise ProviderError(f"invalid path pattern {go_quote(pattern)}") from None
