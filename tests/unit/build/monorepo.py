"""A small monorepo and the means to build it."""

from __future__ import annotations

from pathlib import Path

from catalog.models import Service
from operations.build import Built, build


def service(source: str, kind: str = "copy", **more: object) -> Service:
    """A service with the given source and kind of build; ``build`` adds to its build, all else to the service."""
    build_ = {"kind": kind, **(more.pop("build", {}) or {})}  # type: ignore[dict-item]
    plain = {"title": source, "host": "x", "path": "x", "technology": "static", "runtime": "files", "stacks": ["sandbox"]}
    return Service.model_validate({**plain, "source": source, "build": build_, **more})


class Monorepo:
    """Sources of services, with a ``dist`` and a cache beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "monorepo"
        self.out = folder / "dist"
        self.cache = folder / "cache"
        self.source.mkdir(parents=True)

    def write(self, path: str, content: str | bytes = "content\n", mode: int = 0o644) -> Path:
        """A file of the monorepo."""
        place = self.source / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)
        return place

    def build(self, **services: Service) -> Built:
        """Builds the services."""
        return build(services, self.source, self.out, cache_folder=self.cache)

    def states(self, **services: Service) -> dict[str, str]:
        """Builds, and tells what became of each."""
        return {key: outcome.state for key, outcome in self.build(**services).outcomes.items()}

    def error(self, **services: Service) -> str:
        """Builds, and gives the one error that must come of it."""
        [error] = [outcome.error for outcome in self.build(**services).outcomes.values() if outcome.error]
        return error
