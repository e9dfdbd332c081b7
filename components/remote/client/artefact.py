"""A release's artefact on this machine: found by its id, compared with its manifest, listed for the host."""

from __future__ import annotations

import os
import stat
from binascii import a2b_base64

from . import jsontext
from .connection import PROJECT
from .digest import sha256
from .failure import Failure
from .manifest import VerifiedManifest, verified

ATTESTATION = "SLSA-attestation.json"
"""As ``catalog.provenance.ATTESTATION``."""
MAX_ATTESTATION = 16 << 20
RESERVED = ("release.json", ".venv", ".mo-stage")
"""Names in a release's root that ``stage`` makes."""


class Artefact:
    """``tree``: its folder; ``manifest``: its manifest; ``attestation``: the signed statement that names this manifest, ``None`` where
    there is none."""

    __slots__ = ("attestation", "manifest", "tree")

    def __init__(self, folder: str, manifest: VerifiedManifest) -> None:
        self.tree = folder + "/tree"
        self.manifest = manifest
        self.attestation = _attestation(folder, manifest)


class Absent(Failure):
    """This machine has no artefact of the release."""


def dist() -> str:
    """The folder of the artefacts."""
    return os.environ.get("MO_DIST_DIR") or PROJECT + "/dist"


def places(service: str, release: str) -> tuple[str, str]:
    """Where a release's artefact may be on this machine: the current one, and the store."""
    return f"{dist()}/{service}", f"{dist()}/.store/{service}/{release}"


def find(service: str, release: str) -> Artefact:
    """The artefact of ``release``: ``dist/<service>`` or the store ``dist/.store/<service>/<release>``. Raises ``Absent`` where neither
    holds it, ``Failure`` for one that is damaged."""
    again = f"build {service} again (bin/mo build {service})"
    damaged: Failure | None = None
    for folder in places(service, release):
        place = folder + "/manifest.json"
        try:
            with open(place, "rb") as file:
                text = file.read()
        except OSError:
            continue
        try:
            if jsontext.loads(text)["release"] == release:
                return Artefact(folder, verified(text, service, release, place, again))
        except (ValueError, KeyError, TypeError):
            damaged = Failure(f"{place} is no manifest; {again}.")
        except Failure as failure:
            damaged = failure
    if damaged is not None:
        raise damaged
    raise Absent(
        f"{service}: release {release} is neither in dist/{service} nor in dist/.store/{service}; build it (bin/mo build {service})."
    )


def _attestation(folder: str, manifest: VerifiedManifest) -> bytes | None:
    """The build's attestation, or the one kept with the artefact in the store, where it is of this very manifest."""
    digest = sha256(manifest.text).encode()
    for place in (
        f"{dist()}/{ATTESTATION}",
        f"{folder}/{ATTESTATION}",
        f"{places(manifest.service, manifest.release)[1]}/{ATTESTATION}",
    ):
        try:
            with open(place, "rb") as file:
                envelope = file.read(MAX_ATTESTATION + 1)
            if len(envelope) <= MAX_ATTESTATION and digest in a2b_base64(jsontext.loads(envelope)["payload"]):
                return envelope
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return None


def compare(artefact: Artefact, service: str) -> None:
    """Refuses an artefact that is empty or whose tree is not what its manifest lists (names, sizes, modes; the host compares digests)."""
    again = f"build {service} again (bin/mo build {service})"
    if not artefact.manifest.files:
        raise Failure(
            f"{service}: the artefact {artefact.tree} is empty; deploying it would empty the site. Expected at least one file; {again}."
        )
    for name in RESERVED:
        if os.path.lexists(f"{artefact.tree}/{name}"):
            raise Failure(
                f"{service}: the artefact holds {name}, a name that stage makes itself; exclude it in the catalogue and {again}."
            )
    for file in artefact.manifest.files:
        path = file.path
        try:
            found = os.lstat(f"{artefact.tree}/{path}")
        except OSError:
            raise Failure(f"{service}: {path} is in the manifest but not in {artefact.tree}; {again}.") from None
        if not stat.S_ISREG(found.st_mode):
            raise Failure(f"{service}: {path} is not a regular file in {artefact.tree}; {again}.")
        if found.st_size != file.size or (found.st_mode & 0o111 != 0) != (file.mode == "755"):
            raise Failure(f"{service}: {path} has another size or mode than in its manifest; {again}.")
    for link in artefact.manifest.links:
        path, target = link.path, link.target
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
    """What travels beside the files, in ``.mo-stage``: manifest, digests as ``sha256sum -c`` reads them, ``release.json``, attestation."""
    manifest = artefact.manifest
    told = {key: manifest.raw.get(key) for key in ("service", "release", "commit", "build", "built_at")}
    return {
        "manifest.json": manifest.text,
        "sums": manifest.sums,
        "release.json": (jsontext.dumps(told) + "\n").encode(),
        **({"attestation": artefact.attestation} if artefact.attestation is not None else {}),
    }
