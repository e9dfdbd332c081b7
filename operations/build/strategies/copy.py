"""The source as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from operations.build.strategies.base import Project


class Copy:
    """Packs the source's files unchanged."""

    version = 1

    def cached(self, project: Project) -> bool:
        return False

    def inputs(self, project: Project) -> Mapping[str, Any]:
        return {}

    def tools(self, project: Project) -> Mapping[str, str]:
        return {}

    def notes(self, project: Project) -> Sequence[str]:
        return ()

    def make(self, project: Project) -> list[tuple[str, Path]]:
        return [("", project.source)]
