"""An artefact is deployed only where a trusted build made it so; every fault has its own message."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalog import provenance
from catalog.provenance import Expectation, ProvenanceError
from catalog.settings import ProvenanceSettings
from operations.build import BuildError, Signer, build, signing

from .monorepo import Monorepo, service

BUILDER = "https://example.org/builder"
SERVICES = {"a": service("a"), "b": service("b")}


def commit(folder: Path) -> str:
    """Commits everything; the commit."""
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(folder)]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


class Made:
    """A signed build of two services, and what a deploy expects of it."""

    def __init__(self, monorepo: Monorepo) -> None:
        self.monorepo = monorepo
        self.out = monorepo.out
        self.signer = signing.load_or_make(monorepo.folder / "key.pem", BUILDER)
        monorepo.write("a/index.html", "a")
        monorepo.write("b/index.html", "b")
        self.build()

    def build(self, *names: str, signer: Signer | None = None) -> None:
        """Commits, builds (all, or those that are named), signs."""
        self.commit = commit(self.monorepo.source)
        self.again(*names, signer=signer)

    def again(self, *names: str, signer: Signer | None = None) -> None:
        """Builds and signs what is there, committed or not."""
        chosen = {name: SERVICES[name] for name in names or SERVICES}
        build(chosen, self.monorepo.source, self.out, cache_folder=self.monorepo.cache, signer=signer or self.signer)

    @property
    def expected(self) -> Expectation:
        """What a deploy of this commit demands."""
        return Expectation((self.signer.public,), BUILDER, self.commit)

    def verify(self, expected: Expectation | None = None) -> provenance.Statement:
        """Verifies as a deploy does."""
        return provenance.verify(self.out, SERVICES, expected or self.expected)

    def refused(self, kind: str, expected: Expectation | None = None) -> str:
        """Verifies, expects a refusal of this kind, gives its words."""
        with pytest.raises(ProvenanceError) as caught:
            self.verify(expected)
        assert caught.value.kind == kind, str(caught.value)
        return str(caught.value)


@pytest.fixture
def made(monorepo: Monorepo) -> Made:
    """A signed build."""
    return Made(monorepo)


def test_an_honest_build_is_accepted(made: Made) -> None:
    statement = made.verify()
    assert (statement.commit, statement.dirty, statement.builder, statement.signer) == (
        made.commit,
        False,
        BUILDER,
        made.signer.public,
    )
    assert set(statement.subjects) == {"SBOM.json", "manifest.json", "a/manifest.json", "b/manifest.json"}
    assert (
        statement.subjects["a/manifest.json"]
        == subprocess.run(["sha256sum", made.out / "a/manifest.json"], check=True, capture_output=True, text=True).stdout.split()[0]
    )


def test_openssl_agrees_on_the_signature(made: Made, tmp_path: Path) -> None:
    envelope = json.loads((made.out / provenance.ATTESTATION).read_bytes())
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    (tmp_path / "message").write_bytes(f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload)
    (tmp_path / "signature").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    files = ["-inkey", f"{made.monorepo.folder}/key.pem", "-in", f"{tmp_path}/message", "-sigfile", f"{tmp_path}/signature"]
    command = ["openssl", "pkeyutl", "-verify", "-rawin", *files]
    assert b"Signature Verified Successfully" in subprocess.run(command, check=True, capture_output=True).stdout


def edit(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes a JSON file."""
    document = json.loads(place.read_bytes())
    change(document)
    place.write_text(json.dumps(document))


def test_a_tampered_file_is_named(made: Made) -> None:
    (made.out / "a/tree/index.html").write_text("x")
    assert "a: 'index.html' was altered after the build" in made.refused("file")


def test_an_added_a_missing_and_a_replaced_file_are_named(made: Made) -> None:
    extra = made.out / "a/tree/shell.php"
    extra.write_text("<?php")
    assert "'shell.php' is in the artefact but not in its manifest" in made.refused("file")
    extra.unlink()
    extra.symlink_to("/etc/passwd")
    assert "'shell.php' is a link that the manifest does not have so" in made.refused("file")
    extra.unlink()
    (made.out / "b/tree/index.html").unlink()
    assert "b: index.html is in the manifest but not in the artefact" in made.refused("file")


def test_a_swapped_manifest_is_refused(made: Made) -> None:
    shutil.copy(made.out / "b/manifest.json", made.out / "a/manifest.json")
    assert "is not the manifest that was attested" in made.refused("manifest")


def test_a_manifest_edited_with_its_file_is_refused(made: Made) -> None:
    (made.out / "a/tree/index.html").write_text("x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    edit(made.out / "a/manifest.json", lambda m: m["files"][0].update(size=1, sha256=digest))
    assert "is not the manifest that was attested" in made.refused("manifest")


def test_a_foreign_key_is_refused(made: Made, tmp_path: Path) -> None:
    foreign = signing.load_or_make(tmp_path / "foreign.pem", BUILDER)
    made.build(signer=foreign)
    words = made.refused("signer")
    assert foreign.key_id in words
    assert made.signer.key_id in words


def test_another_builder_is_refused(made: Made) -> None:
    made.build(signer=replace(made.signer, builder="https://example.org/laptop"))
    assert "names the builder https://example.org/laptop, expected https://example.org/builder" in made.refused("builder")


def test_another_commit_is_refused(made: Made) -> None:
    assert f"is for commit {made.commit}, expected {'0' * 40}" in made.refused("commit", replace(made.expected, commit="0" * 40))


def test_a_checkout_with_changes_is_refused_unless_allowed(made: Made) -> None:
    made.monorepo.write("a/index.html", "changed")
    build(SERVICES, made.monorepo.source, made.out, cache_folder=made.monorepo.cache, signer=made.signer)
    assert "uncommitted changes" in made.refused("dirty")
    assert made.verify(replace(made.expected, allow_dirty=True)).dirty


def test_a_replayed_older_attestation_is_refused(made: Made, tmp_path: Path) -> None:
    old = (made.out / provenance.ATTESTATION).read_bytes()
    made.monorepo.write("a/index.html", "newer")
    made.build()
    made.verify()
    (made.out / provenance.ATTESTATION).write_bytes(old)
    made.refused("commit")
    assert "an older one was put back" in made.refused("replayed", replace(made.expected, commit=None))


def test_an_older_artefact_with_the_newer_attestation_is_refused(made: Made) -> None:
    shutil.copytree(made.out / "a", made.out.parent / "old")
    made.monorepo.write("a/index.html", "newer")
    made.build()
    shutil.rmtree(made.out / "a")
    (made.out.parent / "old").rename(made.out / "a")
    assert "is not the manifest that was attested" in made.refused("manifest")


def test_unsigned_is_refused(made: Made) -> None:
    edit(made.out / provenance.ATTESTATION, lambda e: e.update(signatures=[]))
    assert "has no signature" in made.refused("unsigned")
    (made.out / provenance.ATTESTATION).unlink()
    assert "the artefacts have no attestation" in made.refused("unsigned")


def test_an_altered_statement_is_refused(made: Made) -> None:
    def change(envelope: dict[str, Any]) -> None:
        statement = json.loads(base64.b64decode(envelope["payload"]))
        statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"] = "0" * 40
        envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()

    edit(made.out / provenance.ATTESTATION, change)
    assert "was altered after it was signed" in made.refused("signature")


def test_a_service_that_no_build_made_is_refused(made: Made) -> None:
    with pytest.raises(ProvenanceError, match="does not name it") as caught:
        provenance.verify(made.out, ["c"], made.expected)
    assert caught.value.kind == "unattested"


def test_every_cut_of_an_attestation_is_refused(made: Made) -> None:
    whole = (made.out / provenance.ATTESTATION).read_bytes().rstrip()
    for length in range(0, len(whole), max(1, len(whole) // 100)):
        (made.out / provenance.ATTESTATION).write_bytes(whole[:length])
        made.refused("unreadable")


@pytest.mark.parametrize(
    "content",
    [b"null", b"[]", b"7", b'{"payloadType": 1}', b"\xff\xfe", b"[" * 100_000, b'{"payloadType":"x","payload":"","signatures":[]}'],
)
def test_what_is_no_attestation_is_refused(made: Made, content: bytes) -> None:
    (made.out / provenance.ATTESTATION).write_bytes(content)
    made.refused("unreadable")


def test_an_artefact_of_the_store_is_verified_with_the_attestation_kept_with_it(made: Made) -> None:
    first = next((made.out / ".store/a").iterdir())
    made.monorepo.write("a/index.html", "newer")
    made.build()
    expected = replace(made.expected, commit=None)
    provenance.verify_stored(first, "a", expected)
    (first / "tree/index.html").write_text("x")
    with pytest.raises(ProvenanceError, match="was altered after the build"):
        provenance.verify_stored(first, "a", expected)


def test_a_new_commit_that_touches_nothing_changes_the_attestation_only(made: Made) -> None:
    before = {name: (made.out / name / "manifest.json").read_bytes() for name in SERVICES}
    old = made.commit
    made.build()
    assert made.commit != old
    made.verify()
    assert {name: (made.out / name / "manifest.json").read_bytes() for name in SERVICES} == before


def test_an_artefact_of_another_commit_that_this_build_did_not_confirm_is_not_attested(made: Made) -> None:
    old = made.commit
    for name in SERVICES:
        made.monorepo.write(f"{name}/index.html", "newer")
    made.build("b")
    words = made.refused("unattested")
    assert f"a: its artefact is of commit {old[:12]}, and no build has made or confirmed it for commit {made.commit[:12]}" in words
    assert "bin/mo build a" in words
    provenance.verify(made.out, ["b"], made.expected)
    assert set(json.loads((made.out / "manifest.json").read_bytes())["services"]) == {"b"}
    made.again("a")
    made.verify()


def test_services_built_one_by_one_of_one_commit_are_all_attested(made: Made) -> None:
    made.monorepo.write("a/index.html", "newer")
    made.build("a")
    made.refused("unattested")
    made.again("b")
    made.verify()


def test_after_a_failed_build_the_former_artefact_is_not_attested_for_the_new_commit(made: Made) -> None:
    made.monorepo.write("b/index.html", "newer")
    made.monorepo.write("a/.env", "PASSWORD=x")  # stops the service's build
    made.build()
    assert "a: its artefact is of commit" in made.refused("unattested")
    provenance.verify(made.out, ["b"], made.expected)


def test_what_was_built_with_uncommitted_changes_is_not_attested_once_they_are_gone(made: Made) -> None:
    made.monorepo.write("a/index.html", "tried")
    made.again("a")
    made.monorepo.write("a/index.html", "a")
    made.again("b")
    assert "bin/mo build a" in made.refused("unattested")
    made.again("a")
    made.verify()


def test_without_declared_signers_the_checkouts_own_key_is_trusted(made: Made, tmp_path: Path) -> None:
    project = tmp_path / "project"
    assert provenance.expectation(ProvenanceSettings(), project, None).signers == ()
    signer = signing.load_or_make(project / ".mo/signing.pem", BUILDER)
    assert provenance.expectation(ProvenanceSettings(), project, "c").signers == (signer.public,)
    declared = provenance.expectation(ProvenanceSettings(signers=("0" * 64,)), project, "c")
    assert declared.signers == ("0" * 64,)


def test_a_signing_key_is_the_owners_alone_and_checked(tmp_path: Path) -> None:
    place = tmp_path / "key.pem"
    signer = signing.load_or_make(place, BUILDER)
    assert place.stat().st_mode & 0o777 == 0o600
    assert signing.load_or_make(place, BUILDER).public == signer.public
    assert (tmp_path / "key.pub").read_text() == signer.public + "\n"
    place.chmod(0o640)
    with pytest.raises(BuildError, match="can be read by others"):
        signing.load(place, BUILDER)
    place.chmod(0o600)
    for content in (b"", b"x", b"-----BEGIN PRIVATE KEY-----\n", place.read_bytes()[:60]):
        place.write_bytes(content)
        with pytest.raises(BuildError, match="is no Ed25519 private key"):
            signing.load(place, BUILDER)
    with pytest.raises(BuildError, match="cannot be read"):
        signing.load(tmp_path / "missing", BUILDER)
