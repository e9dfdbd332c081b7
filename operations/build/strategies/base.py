"""What a strategy is: says what else its result depends on, and turns a source into the folders that are packed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from catalog.models import Service
from operations.build.steps import Steps
from operations.build.tree import Listing


@dataclass(frozen=True)
class Project:
    """One service's build. ``checkout`` is the monorepo, ``source`` the service's folder in it, ``listing`` what that holds,
    ``work`` an empty folder of the build's own, ``cache`` the user's cache."""

    key: str
    service: Service
    checkout: Path
    source: Path
    listing: Listing
    work: Path
    cache: Path
    steps: Steps

    def copy_source(self, target: Path) -> None:
        """Copies the source's listed files and links to ``target``, so that a build never writes into the checkout."""
        for entry in (*self.listing.files, *self.listing.links):
            place = target / entry.path
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.target is not None:
                place.symlink_to(entry.target)
            else:
                shutil.copyfile(entry.place, place)
                place.chmod(0o755 if entry.mode == "755" else 0o644)


class Strategy(Protocol):
    """One way to make an artefact."""

    version: int
    """Raised where the same source would now give another artefact: cached ones of before are not used then."""

    def cached(self, project: Project) -> bool:
        """Whether the result is worth keeping in the cache (it took other programs to make)."""

    def inputs(self, project: Project) -> Mapping[str, Any]:
        """What besides the source decides the result: lock files outside of it, tool versions. JSON values."""

    def tools(self, project: Project) -> Mapping[str, str]:
        """Names and versions of the programs used, for the manifest."""

    def notes(self, project: Project) -> Sequence[str]:
        """Steps of the specification's build that do not run for this source, each with the reason. Asked of cached artefacts too."""

    def make(self, project: Project) -> list[tuple[str, Path]]:
        """Builds, and returns the folders to pack, each with its prefix in the artefact (empty for the root)."""
