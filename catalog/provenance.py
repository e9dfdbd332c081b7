"""Whether an artefact is what a trusted build made: the attestation's signature and claims, the manifest's digest, every file's digest.

An attestation is an in-toto statement v1 with SLSA provenance v1 in a DSSE envelope signed with Ed25519. Its subjects are the files
``<service>/manifest.json`` of ``dist/`` (each manifest names every file of its artefact), the build's ``manifest.json`` and ``SBOM.json``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from catalog import manifest as manifests
from catalog.manifest import Manifest
from catalog.settings import ProvenanceSettings

ATTESTATION = "SLSA-attestation.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://menschlichkeit-oesterreich.at/mo-deploy/build/v1"
OWN_KEY = ".mo/signing.pub"
"""The public half of the checkout's own signing key, 64 hex digits, relative to the project; ``bin/mo build`` makes both."""
_MAX_BYTES = 16 << 20
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")


class ProvenanceError(ValueError):
    """An artefact or its attestation is not to be trusted; the text is one sentence with the way out. ``kind`` names the reason."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        super().__init__(text)


@dataclass(frozen=True)
class Expectation:
    """What a deploy demands.

    ``signers``: trusted public keys (64 hex digits each); ``builder``: the builder's id; ``commit``: the monorepo's, ``None`` for a release
    out of the store, whose commit may be any; ``allow_dirty``: uncommitted changes are accepted.
    """

    signers: tuple[str, ...]
    builder: str
    commit: str | None
    allow_dirty: bool = False


@dataclass(frozen=True)
class Statement:
    """A verified attestation. ``subjects``: path below ``dist`` -> SHA-256; ``finished``: time of the build's end (ISO 8601)."""

    subjects: Mapping[str, str]
    builder: str
    commit: str | None
    dirty: bool
    build: str
    finished: str
    signer: str


def expectation(settings: ProvenanceSettings, project: Path, commit: str | None, allow_dirty: bool = False) -> Expectation:
    """What a stack's settings demand of artefacts. Without declared signers the project's own key (``.mo/signing.pub``) is trusted: the
    sandbox's case alone, since ``settings_file`` loads no other stack without them."""
    signers = settings.signers
    if not signers:
        try:
            own = (project / OWN_KEY).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            own = ""
        signers = (own,) if _PUBLIC_KEY.fullmatch(own) else ()
    return Expectation(signers, settings.builder, commit, allow_dirty)


def pre_authentication_encoding(payload: bytes) -> bytes:
    """The bytes that DSSE signs."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def verify_statement(place: Path, expectation: Expectation) -> Statement:
    """The attestation in ``place``, its signature and claims checked. Raises ``ProvenanceError``."""
    statement = verify_signature(_read(place), place, expectation.signers)
    if statement.builder != expectation.builder:
        raise ProvenanceError(
            "builder",
            f"{place} names the builder {statement.builder}, expected {expectation.builder}; build on the declared builder.",
        )
    if expectation.commit is not None and statement.commit != expectation.commit:
        raise ProvenanceError(
            "commit",
            f"{place} is for commit {statement.commit or 'unknown'}, expected {expectation.commit}; build that commit (bin/mo build).",
        )
    if statement.dirty and not expectation.allow_dirty:
        raise ProvenanceError("dirty", f"{place} is for a checkout with uncommitted changes; commit them and build again.")
    return statement


def verify_signature(raw: bytes, place: Path | str, signers: tuple[str, ...]) -> Statement:
    """The statement in the envelope ``raw``, signed by one of ``signers``; its claims are for the caller to judge. ``place``: where it was
    read. Raises ``ProvenanceError``."""
    payload, signatures = _envelope(raw, place)
    return _statement(payload, _signer(payload, signatures, signers, place), place)


def verify(out: Path, services: Iterable[str], expectation: Expectation) -> Statement:
    """Checks a build's artefacts ``<out>/<service>`` against its attestation, every file. Raises ``ProvenanceError`` at the first fault."""
    statement = verify_statement(out / ATTESTATION, expectation)
    if _digest(out / "manifest.json") != statement.subjects.get("manifest.json"):
        raise ProvenanceError(
            "replayed",
            f"{out / ATTESTATION} is of build {statement.build}, which is not the one in {out}; an older one was put back: "
            "build again (bin/mo build).",
        )
    for service in services:
        verify_artefact(out / service, service, statement)
    return statement


def verify_stored(folder: Path, service: str, expectation: Expectation) -> Statement:
    """Checks ``dist/.store/<service>/<release>`` against the attestation kept with it. Raises ``ProvenanceError``."""
    statement = verify_statement(folder / ATTESTATION, expectation)
    verify_artefact(folder, service, statement)
    return statement


def verify_artefact(folder: Path, service: str, statement: Statement) -> Manifest:
    """Checks ``folder``'s manifest against a verified statement, and its ``tree`` against the manifest. Raises ``ProvenanceError``."""
    place = folder / "manifest.json"
    digest = _digest(place)
    again = f"build it again (bin/mo build {service})"
    attested = statement.subjects.get(f"{service}/manifest.json")
    if attested is None:
        raise ProvenanceError("unattested", f"{service}: {_unattested(place, statement)}; {again}.")
    if digest != attested:
        raise ProvenanceError(
            "manifest",
            f"{service}: {place} is not the manifest that was attested (SHA-256 {digest}, attested {attested}); {again}.",
        )
    try:
        manifest = manifests.load(place)
    except (OSError, ValueError):
        raise ProvenanceError("manifest", f"{service}: {place} is no manifest; {again}.") from None
    if manifest.service != service:
        raise ProvenanceError("manifest", f"{service}: {place} is the manifest of {manifest.service}; {again}.")
    if manifests.release_id(manifest.files, manifest.links, manifest.build_inputs) != manifest.release:
        raise ProvenanceError("manifest", f"{service}: {place} names a release id that its content does not have; {again}.")
    _compare(folder / "tree", manifest, again)
    return manifest


_AGAIN = "build again (bin/mo build)"


def _read(place: Path) -> bytes:
    try:
        with place.open("rb") as stream:
            return stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ProvenanceError("unsigned", f"{place} is not there: the artefacts have no attestation; {_AGAIN}.") from None
    except OSError as error:
        raise ProvenanceError("unreadable", f"{place} cannot be read: {error.strerror}.") from None


def _envelope(raw: bytes, place: Path | str) -> tuple[bytes, list[tuple[str, bytes]]]:
    again = _AGAIN
    try:
        if len(raw) > _MAX_BYTES:
            raise ValueError
        envelope = json.loads(raw)
        kind = envelope["payloadType"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [(str(s.get("keyid", "")), base64.b64decode(s["sig"], validate=True)) for s in envelope["signatures"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ProvenanceError("unreadable", f"{place} is no DSSE envelope; {again}.") from None
    if kind != PAYLOAD_TYPE:
        raise ProvenanceError("unreadable", f"{place} holds {str(kind)[:80]!r}, expected {PAYLOAD_TYPE}; {again}.")
    if not signatures:
        raise ProvenanceError("unsigned", f"{place} has no signature; {again} with a signing key.")
    return payload, signatures


def _signer(payload: bytes, signatures: list[tuple[str, bytes]], trusted: tuple[str, ...], place: Path | str) -> str:
    """The trusted public key that made one of the signatures."""
    message = pre_authentication_encoding(payload)
    names = {hashlib.sha256(bytes.fromhex(key)).hexdigest()[:16]: key for key in trusted}
    for key in trusted:
        for _, signature in signatures:
            try:
                Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, message)
            except InvalidSignature:
                continue
            return key
    claimed = [name for name, _ in signatures if name in names]
    if claimed:
        raise ProvenanceError(
            "signature",
            f"{place} was altered after it was signed: the signature of key {claimed[0]} does not fit; build again (bin/mo build).",
        )
    shown = ", ".join(name or "without a name" for name, _ in signatures)[:200]
    raise ProvenanceError(
        "signer",
        f"{place} is signed by a foreign key ({shown}); trusted are {', '.join(names) or 'none'} (`mo:provenance.signers`).",
    )


def _statement(payload: bytes, signer: str, place: Path | str) -> Statement:
    try:
        statement: dict[str, Any] = json.loads(payload)
        if statement["_type"] != STATEMENT_TYPE or statement["predicateType"] != PREDICATE_TYPE:
            raise ValueError
        definition, run = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
        if definition["buildType"] != BUILD_TYPE:
            raise ValueError
        source = definition["resolvedDependencies"][0]
        return Statement(
            subjects={str(s["name"]): str(s["digest"]["sha256"]) for s in statement["subject"]},
            builder=str(run["builder"]["id"]),
            commit=source.get("digest", {}).get("gitCommit"),
            dirty=source.get("annotations", {}).get("dirty") is not False,
            build=str(run["metadata"]["invocationId"]),
            finished=str(run["metadata"]["finishedOn"]),
            signer=signer,
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise ProvenanceError(
            "unreadable", f"{place} holds no SLSA provenance v1 of this program's builds; build again (bin/mo build)."
        ) from None


def _compare(tree: Path, manifest: Manifest, again: str) -> None:
    """Raises ``ProvenanceError`` for the first file or link of ``tree`` that the manifest does not describe, or that is missing."""
    service = manifest.service
    files = {file.path: file for file in manifest.files}
    links = {link.path: link.target for link in manifest.links}
    found: set[str] = set()
    for folder, directories, names in os.walk(tree):
        for name in [*names, *(d for d in directories if os.path.islink(os.path.join(folder, d)))]:
            place = Path(folder, name)
            path = place.relative_to(tree).as_posix()
            found.add(path)
            if place.is_symlink():
                if links.get(path) != os.readlink(place):
                    raise ProvenanceError("file", f"{service}: {path!a} is a link that the manifest does not have so; {again}.")
            elif path not in files:
                raise ProvenanceError("file", f"{service}: {path!a} is in the artefact but not in its manifest; {again}.")
            elif _digest(place) != files[path].sha256:
                raise ProvenanceError(
                    "file", f"{service}: {path!a} was altered after the build (its SHA-256 is not the manifest's); {again}."
                )
    for path in (*files, *links):
        if path not in found:
            raise ProvenanceError("file", f"{service}: {path} is in the manifest but not in the artefact; {again}.")


def _unattested(place: Path, statement: Statement) -> str:
    try:
        commit = manifests.load(place).commit or "unknown"
    except (OSError, ValueError):
        return f"the attestation of build {statement.build} does not name it"
    wanted = (statement.commit or "unknown")[:12]
    return f"its artefact is of commit {commit[:12]}, and no build has made or confirmed it for commit {wanted}"


def _digest(place: Path) -> str | None:
    """SHA-256 in hex of a file, ``None`` where it cannot be read."""
    try:
        with place.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
