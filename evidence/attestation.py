"""The artefacts to deploy against the build's signed attestation, as a figure: how many of them have none that is valid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from catalog.provenance import ATTESTATION, Expectation, ProvenanceError, verify_artefact, verify_statement


@dataclass(frozen=True)
class Attested:
    """``artefacts`` were looked at, ``mismatches`` of them are not what a trusted build made; ``faults`` say why, in sentences."""

    artefacts: int
    mismatches: int
    faults: tuple[str, ...]


def check(out: Path, services: Iterable[str], expectation: Expectation) -> Attested:
    """Verifies every artefact of ``services`` that stands in ``out`` (``dist``), each by itself."""
    present = [service for service in services if (out / service / "manifest.json").is_file()]
    try:
        statement = verify_statement(out / ATTESTATION, expectation)
    except ProvenanceError as error:
        return Attested(len(present), max(len(present), 1), (str(error),))
    faults: list[str] = []
    for service in present:
        try:
            verify_artefact(out / service, service, statement)
        except ProvenanceError as error:
            faults.append(str(error))
    return Attested(len(present), len(faults), tuple(faults))
