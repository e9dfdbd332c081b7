"""The attestation gate: every artefact is what a trusted build signed, or it counts."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from catalog import provenance
from catalog.manifest import File, Manifest, release_id
from evidence.attestation import check
from operations.build.signing import Signer, load_or_make
from tests.unit.evidence.folder import COMMIT

BUILDER = "https://example.at/builder"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def built(out: Path, signer: Signer, *services: str, commit: str = COMMIT) -> provenance.Expectation:
    """A build of ``services`` with one file each, signed."""
    for service in services:
        tree = out / service / "tree"
        tree.mkdir(parents=True)
        (tree / "index.html").write_text(service)
        files = (File(path="index.html", size=len(service), sha256=digest(tree / "index.html"), mode="644"),)
        manifest = Manifest(service=service, release=release_id(files, (), {}), files=files, commit=commit)
        (out / service / "manifest.json").write_text(manifest.model_dump_json())
    names = [f"{service}/manifest.json" for service in services]
    statement = {
        "_type": provenance.STATEMENT_TYPE,
        "predicateType": provenance.PREDICATE_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest(out / name)}} for name in names],
        "predicate": {
            "buildDefinition": {
                "buildType": provenance.BUILD_TYPE,
                "resolvedDependencies": [{"digest": {"gitCommit": commit}, "annotations": {"dirty": False}}],
            },
            "runDetails": {"builder": {"id": BUILDER}, "metadata": {"invocationId": "b1", "finishedOn": "2026-11-23T21:00:00Z"}},
        },
    }
    payload = json.dumps(statement).encode()
    envelope = {
        "payloadType": provenance.PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {
                "keyid": signer.key_id,
                "sig": base64.b64encode(signer.key.sign(provenance.pre_authentication_encoding(payload))).decode(),
            }
        ],
    }
    (out / provenance.ATTESTATION).write_text(json.dumps(envelope))
    return provenance.Expectation((signer.public,), BUILDER, COMMIT)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return load_or_make(tmp_path / "key.pem", BUILDER)


def test_a_signed_build_has_no_mismatch(tmp_path: Path, signer: Signer) -> None:
    expectation = built(tmp_path / "dist", signer, "votes", "forum")
    found = check(tmp_path / "dist", ["votes", "forum", "absent"], expectation)
    assert (found.artefacts, found.mismatches, found.faults) == (2, 0, ())


def test_each_altered_artefact_counts_once(tmp_path: Path, signer: Signer) -> None:
    expectation = built(tmp_path / "dist", signer, "votes", "forum", "docs")
    (tmp_path / "dist" / "votes" / "tree" / "index.html").write_text("evil")
    (tmp_path / "dist" / "forum" / "tree" / "more.php").write_text("<?php")
    found = check(tmp_path / "dist", ["votes", "forum", "docs"], expectation)
    assert (found.artefacts, found.mismatches) == (3, 2)
    assert ["votes" in found.faults[0], "forum" in found.faults[1]] == [True, True]


def test_no_attestation_another_commit_or_a_foreign_key_is_a_mismatch_of_all(tmp_path: Path, signer: Signer) -> None:
    foreign = load_or_make(tmp_path / "other.pem", BUILDER)
    expectation = built(tmp_path / "a", foreign, "votes", "forum")
    assert check(tmp_path / "a", ["votes", "forum"], provenance.Expectation((signer.public,), BUILDER, COMMIT)).mismatches == 2
    assert check(tmp_path / "a", ["votes", "forum"], expectation).mismatches == 0
    built(tmp_path / "b", signer, "votes", "forum", commit="f" * 40)
    assert check(tmp_path / "b", ["votes", "forum"], provenance.Expectation((signer.public,), BUILDER, COMMIT)).mismatches == 2
    (tmp_path / "b" / provenance.ATTESTATION).unlink()
    assert check(tmp_path / "b", ["votes", "forum"], expectation).mismatches == 2


def test_nothing_built_is_a_mismatch_too(tmp_path: Path, signer: Signer) -> None:
    (tmp_path / "dist").mkdir()
    found = check(tmp_path / "dist", ["votes"], provenance.Expectation((signer.public,), BUILDER, COMMIT))
    assert (found.artefacts, found.mismatches) == (0, 1)
