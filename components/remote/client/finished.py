"""A release that lies finished on the host: it needs no artefact to become live. The client verifies what the host says it is."""

from __future__ import annotations

from .channel import Host
from .digest import sha256
from .failure import Failure
from .manifest import VerifiedManifest, verified


def look(host: Host, service: str, release: str, target: str, dependencies: str) -> VerifiedManifest | None:
    """The manifest of ``release`` where the host has it finished; ``None`` where it has not. The host compares the files of one that was
    never live with their digests, and makes its virtual environment anew where that is gone (as ``stage`` does, docs/host-protocol.md).
    Raises ``Failure`` where the release was changed on the host."""
    name = host.connection.name
    fields = {"service": service, "release": release, "target": target, "dependencies": dependencies}
    reply = host.call("finished", fields, f"{service}: looking for {release}")
    if not reply.all("already"):
        return None
    way = "build its commit again and stage it (bin/mo build, bin/mo deploy), or take another release; nothing was changed"
    place = f"{service}: releases/{release}.json on {name}"
    text = "".join("\t".join(values) + "\n" for values in reply.all("manifest")).encode("utf-8", "surrogateescape")
    manifest = verified(text, service, release, place, way)
    if (sums := reply.first("sums")) and sums != sha256(manifest.sums):
        raise Failure(
            f"{service}: releases/{release}.sums on {name} is not the list of its manifest: somebody has changed it; {way}."
        )
    return manifest
