"""A release's manifest: every file of an artefact with its digest, and where it came from. The release id is computed here, once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from catalog.activation import Activation

ReleaseId = Annotated[str, StringConstraints(pattern=r"^(r[0-9a-f]{16}|adopted)$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Frozen):
    """One file: path relative to the artefact's root, size in bytes, SHA-256 in hex, mode ``644`` or ``755``."""

    path: str
    size: int = Field(ge=0)
    sha256: Sha256
    mode: Literal["644", "755"]


class Link(_Frozen):
    """A symbolic link that stays inside the tree."""

    path: str
    target: str


class Manifest(_Frozen):
    """``dist/<service>/manifest.json`` and, on the host, ``releases/<release>.json``. Lists are sorted by path."""

    version: Literal[1] = 1
    service: str
    release: ReleaseId
    files: tuple[File, ...]
    links: tuple[Link, ...] = ()
    migrations: tuple[str, ...] = ()
    migration_parents: dict[str, tuple[str, ...]] = {}
    """What each migration has before it, where that is not the one listed before it (Alembic with merges or several heads)."""
    build_inputs: dict[str, Any] = {}
    commit: str | None = None
    dirty: bool = False
    built_at: str | None = None
    build: str | None = None
    tools: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    """Steps of the specification's build that did not run for this artefact, each with the reason."""
    activation: Activation | None = None
    """How the release is activated and checked, as the catalogue said at its build; ``None`` in a manifest of an earlier version of this
    tool. No part of the release id: the same content under other rules is the same release."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(f.size for f in self.files)


def release_id(files: tuple[File, ...], links: tuple[Link, ...], build_inputs: dict[str, Any]) -> str:
    """The release id of a content: ``r`` and 16 hex digits of the SHA-256 of its canonical JSON. Commit and time play no part."""
    canonical = json.dumps(
        {
            "files": [[f.path, f.mode, f.sha256] for f in sorted(files, key=lambda f: f.path)],
            "links": [[link.path, link.target] for link in sorted(links, key=lambda link: link.path)],
            "build_inputs": build_inputs,
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
    )
    return "r" + hashlib.sha256(canonical.encode("ascii")).hexdigest()[:16]


def is_of(manifest: Manifest, service: str, release: str) -> bool:
    """Whether the manifest is that of this release: its lists give the id. So one from the host can be trusted by an id of the stack's own
    (its state, its history, its settings); commit, time and the names of migrations are no part of the id."""
    return manifest.service == service and manifest.release == release == release_id(
        manifest.files, manifest.links, manifest.build_inputs
    )


def load(path: Path) -> Manifest:
    """Reads a manifest. Raises ``OSError`` where it cannot be read and ``ValueError`` where it is none."""
    return Manifest.model_validate_json(path.read_bytes())
