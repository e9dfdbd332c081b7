"""Writes what a build says of itself: ``dist/manifest.json`` and the signed ``dist/SLSA-attestation.json``."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalog import manifest as manifests
from catalog import provenance
from catalog.manifest import Manifest
from catalog.provenance import ATTESTATION
from operations.build.service import Context
from operations.build.signing import Signer
from operations.build.store import write


def current(out: Path, known: Mapping[str, Manifest]) -> dict[str, Manifest]:
    """The manifests of all artefacts that stand in ``out`` now, by service. ``known`` are read already."""
    found: dict[str, Manifest] = {}
    for place in sorted(out.glob("*/manifest.json")):
        if place.parent.name in known:
            found[place.parent.name] = known[place.parent.name]
            continue
        try:
            manifest = manifests.load(place)
        except (OSError, ValueError):
            continue
        if manifest.service == place.parent.name:
            found[manifest.service] = manifest
    return found


def write_build_manifest(context: Context, artefacts: Mapping[str, Manifest]) -> bool:
    """Writes ``manifest.json`` of ``artefacts`` where it would say something new; whether they differ from those it named."""
    out = context.store.out
    services = {
        service: {
            "release": manifest.release,
            "manifest": _sha256(out / service / "manifest.json"),
            "files": len(manifest.files),
            "bytes": manifest.size,
            "commit": manifest.commit,
            "dirty": manifest.dirty,
        }
        for service, manifest in sorted(artefacts.items())
    }
    said = {"version": 1, "commit": context.checkout.commit, "dirty": bool(context.checkout.changed), "services": services}
    try:
        before = json.loads((out / "manifest.json").read_bytes())
        if all(before.get(name) == value for name, value in said.items()):
            return False
    except (OSError, ValueError, AttributeError):
        pass
    write(
        out / "manifest.json", json.dumps({**said, "build": context.build, "built_at": context.built_at}, indent=1).encode() + b"\n"
    )
    return True


def outdated(out: Path, signer: Signer) -> bool:
    """Whether ``out`` has no attestation of this signer for the build manifest that stands there."""
    expectation = provenance.Expectation((signer.public,), signer.builder, None, allow_dirty=True)
    try:
        statement = provenance.verify_statement(out / ATTESTATION, expectation)
    except provenance.ProvenanceError:
        return True
    return statement.subjects.get("manifest.json") != _sha256(out / "manifest.json") or statement.subjects.get(
        "SBOM.json"
    ) != _sha256(out / "SBOM.json")


def write_signed(context: Context, artefacts: Mapping[str, Manifest], signer: Signer, finished: str) -> None:
    """Signs ``artefacts``, which stand in ``dist``, and keeps the attestation with each of them in the store. ``finished``: ISO 8601."""
    out = context.store.out
    build = json.loads((out / "manifest.json").read_bytes())
    names = ["SBOM.json", "manifest.json", *(f"{service}/manifest.json" for service in sorted(artefacts))]
    statement = {
        "_type": provenance.STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": _sha256(out / name)}} for name in sorted(names)],
        "predicateType": provenance.PREDICATE_TYPE,
        "predicate": _predicate(context, build, artefacts, signer, finished),
    }
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    signature = signer.key.sign(provenance.pre_authentication_encoding(payload))
    envelope = {
        "payloadType": provenance.PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": signer.key_id, "sig": base64.b64encode(signature).decode()}],
    }
    write(out / ATTESTATION, json.dumps(envelope, indent=1).encode() + b"\n")
    for service, manifest in artefacts.items():
        stored = context.store.root / service / manifest.release
        if stored.is_dir() and _sha256(stored / "manifest.json") == _sha256(out / service / "manifest.json"):
            _link(out / ATTESTATION, stored / ATTESTATION)


def _predicate(
    context: Context, build: Mapping[str, Any], artefacts: Mapping[str, Manifest], signer: Signer, finished: str
) -> dict[str, Any]:
    commit = context.checkout.commit
    source: dict[str, Any] = {"name": "monorepo", "annotations": {"dirty": bool(context.checkout.changed)}}
    if commit:
        source["digest"] = {"gitCommit": commit}
    tools = {name: version for manifest in artefacts.values() for name, version in manifest.tools.items()}
    return {
        "buildDefinition": {
            "buildType": provenance.BUILD_TYPE,
            "externalParameters": {"services": {service: manifest.release for service, manifest in sorted(artefacts.items())}},
            "internalParameters": {"tools": tools},
            "resolvedDependencies": [source],
        },
        "runDetails": {
            "builder": {"id": signer.builder},
            "metadata": {"invocationId": build["build"], "startedOn": build["built_at"], "finishedOn": finished},
        },
    }


def _sha256(place: Path) -> str:
    with place.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _link(source: Path, target: Path) -> None:
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    os.link(source, fresh)
    os.replace(fresh, target)
