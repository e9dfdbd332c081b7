"""Whether the artefacts that are about to be uploaded are what a trusted build made. Asked only for those: it reads every file of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from catalog.settings import StackSettings
from components.artefacts import ArtefactError, Wishes


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
