"""Whether what is about to become live is what a trusted build made: artefacts that are uploaded, by signature and every file; releases
that only the host holds, by their id and, where the stack declares signers, by the attestation that lies beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from catalog.settings import StackSettings
from components.artefacts import ArtefactError, Wishes
from components.facts import ServiceFacts


class Verify(Protocol):
    """Checks the artefacts of ``services``. Raises ``ArtefactError``."""

    def __call__(
        self, project: Path, settings: StackSettings, wished: Wishes, services: Iterable[str], commit: str | None
    ) -> None: ...


def verify(project: Path, settings: StackSettings, wished: Wishes, services: Iterable[str], commit: str | None) -> None:
    """Signature, signer, builder, commit and every file of each artefact in ``dist/``; of an older one in the store, all but the commit.
    Raises ``ArtefactError``."""
    folders = {service: wished.folders[service] for service in services if service in wished.folders}
    if not folders:
        return
    # Imported here: a run that uploads nothing needs no cryptography.
    from catalog import provenance

    demand = (settings.provenance, project)
    dirty = settings.gates.allow_uncommitted
    dist = project / "dist"
    try:
        current = [service for service, folder in folders.items() if folder.parent == dist]
        if current:
            provenance.verify(dist, current, provenance.expectation(*demand, commit, dirty))
        for service, folder in folders.items():
            if service not in current:
                provenance.verify_stored(folder, service, provenance.expectation(*demand, None, dirty))
    except provenance.ProvenanceError as error:
        raise ArtefactError([str(error)]) from None
    except OSError as error:
        raise ArtefactError([f"An artefact cannot be read: {error.filename}: {error.strerror}."]) from None


def attested(settings: StackSettings, releases: Mapping[str, tuple[str, ServiceFacts]]) -> list[str]:
    """Checks the manifests that came from the host. ``releases``: service → the release that becomes live, and what the host told of it.
    What to know, a sentence each: a release without attestation was brought by an earlier version of this program, and is trusted by its
    id. Raises ``ArtefactError`` where an attestation is none, or not of the manifest, or of a foreign signer."""
    if not settings.provenance.signers or not releases:
        return []
    from catalog import provenance

    problems, unsigned = [], []
    for service, (release, known) in releases.items():
        if known.attestation is None:
            unsigned.append(service)
            continue
        place = f"{service}: releases/{release}.attestation on the host"
        try:
            statement = provenance.verify_signature(known.attestation.encode(), place, settings.provenance.signers)
        except provenance.ProvenanceError as error:
            problems.append(str(error))
            continue
        if known.digest is None or statement.subjects.get(f"{service}/manifest.json") != known.digest:
            problems.append(
                f"{service}: the manifest of release {release} on the host is not the one that was signed (build {statement.build}): "
                f"somebody has changed it. Build its commit again (bin/mo build {service}), or take another release; nothing was changed."
            )
    if problems:
        raise ArtefactError(problems)
    if not unsigned:
        return []
    return [
        f"{', '.join(unsigned)}: brought to the host without an attestation, by an earlier version of this program; the files are "
        "verified by the release's id."
    ]
