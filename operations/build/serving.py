"""The ``.htaccess`` that each artefact of files and PHP gets: its own, and the rules that keep the web from what is not for it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from catalog.manifest import File, Link
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


def add(packed: Packed, tree: Path, key: str, service: Service) -> Packed:
    """Writes the rules into the ``.htaccess`` of the tree's web root, unless that file is the site's own (persistent); where the web root
    is a folder, a link there leads to the release's description. Raises ``BuildError``: it is no text, or the folder is missing."""
    prefix = f"{service.web_root}/" if service.web_root else ""
    if prefix and not any(file.path.startswith(prefix) for file in packed.files):
        raise BuildError(f"{key}: its artefact holds no {service.web_root}, which is its web_root in catalog/services.yaml")
    files, links = packed.files, packed.links
    if prefix:
        target = "../" * prefix.count("/") + "release.json"
        os.symlink(target, tree / f"{prefix}release.json")
        links = tuple(sorted((*links, Link(path=f"{prefix}release.json", target=target)), key=lambda link: link.path))
    if prefix + NAME not in service.persistent:
        rules = _rules(tree / f"{prefix}{NAME}", prefix + NAME, key)
        files = tuple(sorted((*(file for file in files if file.path != rules.path), rules), key=lambda file: file.path))
    return Packed(files, links)


def _rules(place: Path, path: str, key: str) -> File:
    if place.is_symlink():
        raise BuildError(f"{key}: {path} is a link; expected a file, to which the build adds its rules")
    try:
        own = place.read_bytes().decode() if place.exists() else ""
    except UnicodeDecodeError:
        raise BuildError(f"{key}: {path} is not UTF-8 text; expected Apache directives") from None
    content = serving.merged(own).encode()
    place.unlink(missing_ok=True)
    place.write_bytes(content)
    place.chmod(0o644)
    digest = hashlib.sha256(content).hexdigest()
    os.utime(place, (modified(digest), modified(digest)))
    return File(path=path, size=len(content), sha256=digest, mode="644")
