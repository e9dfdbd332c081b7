"""A release's artefact on this machine: found by its id, compared with its manifest, listed for the host."""

from __future__ import annotations

import os
import stat

from . import jsontext
from .connection import PROJECT
from .failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RESERVED = ("release.json", ".venv", ".mo-stage")
"""Names in a release's root that ``stage`` makes."""


class Artefact:
    """``tree``: its folder; ``manifest``: its manifest as read, ``text``: as it stands on disk."""

    __slots__ = ("manifest", "text", "tree")

    def __init__(self, folder: str, text: bytes, manifest: dict[str, Any]) -> None:
        self.tree = folder + "/tree"
        self.text = text
        self.manifest = manifest

    @property
    def files(self) -> list[dict[str, Any]]:
        """The manifest's files."""
        files: list[dict[str, Any]] = self.manifest["files"]
        return files

    @property
    def links(self) -> list[dict[str, Any]]:
        """The manifest's links."""
        links: list[dict[str, Any]] = self.manifest.get("links") or []
        return links

    @property
    def bytes(self) -> int:
        """The size of all files in bytes."""
        return sum(int(file["size"]) for file in self.files)


def find(service: str, release: str) -> Artefact:
    """The artefact of ``release``: ``dist/<service>`` or the store ``dist/.store/<service>/<release>``."""
    dist = os.environ.get("MO_DIST_DIR") or PROJECT + "/dist"
    for folder in (f"{dist}/{service}", f"{dist}/.store/{service}/{release}"):
        try:
            with open(folder + "/manifest.json", "rb") as file:
                text = file.read()
        except OSError:
            continue
        try:
            manifest = jsontext.loads(text)
            found = manifest["release"]
        except (ValueError, KeyError, TypeError):
            raise Failure(f"{folder}/manifest.json is no manifest; build {service} again (bin/mo build {service}).") from None
        if found == release:
            return Artefact(folder, text, manifest)
    raise Failure(
        f"{service}: release {release} is neither in dist/{service} nor in dist/.store/{service}; build it (bin/mo build {service})."
    )


def compare(artefact: Artefact, service: str) -> None:
    """Refuses an artefact that is empty or whose tree is not what its manifest lists (names, sizes, modes; the host compares digests)."""
    again = f"build {service} again (bin/mo build {service})"
    if not artefact.files:
        raise Failure(
            f"{service}: the artefact {artefact.tree} is empty; deploying it would empty the site. Expected at least one file; {again}."
        )
    for name in RESERVED:
        if os.path.lexists(f"{artefact.tree}/{name}"):
            raise Failure(
                f"{service}: the artefact holds {name}, a name that stage makes itself; exclude it in the catalogue and {again}."
            )
    for file in artefact.files:
        path = file["path"]
        if any(c in path for c in "\n\r\\\0") or path.startswith("/") or ".." in path.split("/"):
            raise Failure(
                f"{service}: the file name {path!r} cannot be deployed (line break, backslash or a way out of the tree); rename it."
            )
        try:
            found = os.lstat(f"{artefact.tree}/{path}")
        except OSError:
            raise Failure(f"{service}: {path} is in the manifest but not in {artefact.tree}; {again}.") from None
        if not stat.S_ISREG(found.st_mode):
            raise Failure(f"{service}: {path} is not a regular file in {artefact.tree}; {again}.")
        if found.st_size != file["size"] or (found.st_mode & 0o111 != 0) != (file["mode"] == "755"):
            raise Failure(f"{service}: {path} has another size or mode than in its manifest; {again}.")
    for link in artefact.links:
        path, target = link["path"], link["target"]
        try:
            same = os.readlink(f"{artefact.tree}/{path}") == target
        except OSError:
            same = False
        if not same:
            raise Failure(f"{service}: {path} is not the link to {target!r} that its manifest lists; {again}.")
        inside = os.path.normpath(os.path.join(os.path.dirname(path), target))
        if target.startswith("/") or inside == ".." or inside.startswith(("../", "/")):
            raise Failure(f"{service}: the link {path!r} leads out of the artefact, to {target!r}; expected one that stays inside.")


def lists(artefact: Artefact) -> dict[str, bytes]:
    """What travels beside the files, in ``.mo-stage``: manifest, digests as ``sha256sum -c`` reads them, and ``release.json``."""
    manifest = artefact.manifest
    sums = "".join(f"{file['sha256']}  ./{file['path']}\n" for file in artefact.files)
    told = {key: manifest.get(key) for key in ("service", "release", "commit", "build", "built_at")}
    return {
        "manifest.json": artefact.text,
        "sums": sums.encode("utf-8", "surrogateescape"),
        "release.json": (jsontext.dumps(told) + "\n").encode(),
    }
