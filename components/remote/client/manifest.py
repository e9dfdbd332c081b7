"""A release's manifest, from this machine or from the host, trusted for its list: the release id is the digest of that list.

Whoever has the id from the stack (its state, its history, its settings) needs to trust neither the place that the manifest comes
from nor the way that it took. Commit, build, time and the names of the migrations are no part of the id; the build's signature covers them
(``components/trust.py``).
"""

from __future__ import annotations

from . import jsontext
from .digest import sha256
from .failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ListedFile:
    """One file of a release: ``path`` relative to its root, ``size`` in bytes, ``sha256`` in hex, ``mode`` ``644`` or ``755``."""

    __slots__ = ("mode", "path", "sha256", "size")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.path, self.sha256, self.mode, self.size = str(raw["path"]), str(raw["sha256"]), str(raw["mode"]), int(raw["size"])
        if len(self.sha256) != 64 or not all(c in "0123456789abcdef" for c in self.sha256) or self.size < 0:
            raise ValueError("sha256")


class ListedLink:
    """One symbolic link of a release."""

    __slots__ = ("path", "target")

    def __init__(self, raw: dict[str, Any]) -> None:
        self.path, self.target = str(raw["path"]), str(raw["target"])


class VerifiedManifest:
    """A manifest whose files, links and build inputs give its release id. ``text``: as it was read; ``raw``: its JSON."""

    __slots__ = ("files", "links", "raw", "release", "service", "text")

    def __init__(self, text: bytes, raw: dict[str, Any]) -> None:
        self.text, self.raw = text, raw
        self.service, self.release = str(raw["service"]), str(raw["release"])
        self.files = [ListedFile(file) for file in raw["files"]]
        self.links = [ListedLink(link) for link in raw.get("links") or []]

    @property
    def size(self) -> int:
        """The size of all files in bytes."""
        return sum(file.size for file in self.files)

    @property
    def sums(self) -> bytes:
        """The files' digests as ``sha256sum -c`` reads them, from the release's root; on the host ``releases/<release>.sums``."""
        return "".join(f"{file.sha256}  ./{file.path}\n" for file in self.files).encode("utf-8", "surrogateescape")


def verified(text: bytes, service: str, release: str, place: str, again: str) -> VerifiedManifest:
    """The manifest in ``text``, which must be that of ``release`` of ``service``. ``place``: where it was read, ``again``: what to do, for
    the ``Failure`` where it is none, is another's, lists a path that leads out of the release, or does not give the id."""
    try:
        manifest = VerifiedManifest(text, jsontext.loads(text))
        right = manifest.service == service and manifest.release == release == _id(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Failure(f"{place} is no manifest; {again}.") from None
    if not right:
        raise Failure(
            f"{place} is not the manifest of release {release} of {service}: expected a list of files that gives this id; {again}."
        )
    for path in (*(file.path for file in manifest.files), *(link.path for link in manifest.links)):
        if not path or any(c in path for c in "\n\r\\\0") or path.startswith("/") or ".." in path.split("/"):
            raise Failure(
                f"{service}: the file name {path!r} cannot be deployed (line break, backslash or a way out of the tree); rename it."
            )
    return manifest


def _id(manifest: VerifiedManifest) -> str:
    """As ``catalog.manifest.release_id``."""
    canonical = {
        "files": [[f.path, f.mode, f.sha256] for f in sorted(manifest.files, key=lambda f: f.path)],
        "links": [[link.path, link.target] for link in sorted(manifest.links, key=lambda link: link.path)],
        "build_inputs": manifest.raw.get("build_inputs") or {},
    }
    return "r" + sha256(jsontext.dumps(canonical, sort_keys=True).encode("ascii"))[:16]
