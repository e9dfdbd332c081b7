"""The ``.htaccess`` that each artefact of files and PHP gets: its own, and the rules that keep the web from what is not for it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from catalog.manifest import File
from catalog.models import Service
from components.remote.client import serving
from operations.build.errors import BuildError
from operations.build.packing import Packed, modified

NAME = ".htaccess"
VERSION = 1
"""Of the rules: another one makes a new artefact of unchanged sources."""


def applies(service: Service) -> bool:
    """Whether the service's release is served as files; a process answers for itself."""
    return service.runtime != "process"


def add(packed: Packed, tree: Path, service: str) -> Packed:
    """Writes the rules into the tree's ``.htaccess``. Raises ``BuildError`` where that is a link or no text."""
    place = tree / NAME
    if place.is_symlink():
        raise BuildError(f"{service}: {NAME} is a link; expected a file, to which the build adds its rules")
    try:
        own = place.read_bytes().decode() if place.exists() else ""
    except UnicodeDecodeError:
        raise BuildError(f"{service}: {NAME} is not UTF-8 text; expected Apache directives") from None
    content = serving.merged(own).encode()
    place.unlink(missing_ok=True)
    place.write_bytes(content)
    place.chmod(0o644)
    digest = hashlib.sha256(content).hexdigest()
    os.utime(place, (modified(digest), modified(digest)))
    rules = File(path=NAME, size=len(content), sha256=digest, mode="644")
    files = (*(file for file in packed.files if file.path != NAME), rules)
    return Packed(tuple(sorted(files, key=lambda file: file.path)), packed.links)
