"""Turns the monorepo into artefacts: one folder a service, with a manifest, a bill of materials and a signed attestation."""

from __future__ import annotations

from operations.build.builder import Built, Event, Outcome, build
from operations.build.errors import BuildError
from operations.build.signing import Signer, load, load_or_make

__all__ = ["BuildError", "Built", "Event", "Outcome", "Signer", "build", "load", "load_or_make"]
