"""How a release is activated and checked: the part of the catalogue that belongs to a release, and stays with it.

A release keeps the rules that it was built with. When it becomes live again after the catalogue has changed, it is migrated, started and
checked as it was then: today's migration command or health path may mean nothing to its code.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from catalog.models import EnvName, Health, Migration, RelativePath, Restart, Runtime, Service, Strict


class Activation(Strict):
    """Rules of one release. ``programs``: what the catalogue declares, without those that the steps begin with. ``secrets``: names of the
    application secrets that the release reads; ``None`` where that is not recorded."""

    version: Literal[1] = 1
    runtime: Runtime
    dependencies: Literal["venv"] | None = None
    persistent: tuple[RelativePath, ...] = ()
    migrate: Migration | None = None
    schema_query: str | None = None
    restart: Restart | None = None
    programs: tuple[str, ...] = ()
    health: Health = Health()
    secrets: tuple[EnvName, ...] | None = None

    @classmethod
    def of(cls, service: Service) -> Activation:
        """The rules that the catalogue has for a release that is built now."""
        steps = service.steps
        # Where the version stands in the sources concerns the build alone: its result is in the manifest.
        migrate = steps.migrate.model_copy(update={"version": None}) if steps.migrate else None
        return cls(
            runtime=service.runtime,
            dependencies=steps.dependencies,
            persistent=service.persistent,
            migrate=migrate,
            schema_query=service.schema_query,
            restart=steps.restart,
            programs=steps.programs,
            health=service.health,
            secrets=service.secrets,
        )

    def applied_to(self, service: Service, links: Iterable[str] = ()) -> Service:
        """The catalogue's entry with the rules of this release. ``links``: paths of the release's symbolic links.

        A path that has become persistent since stays so: what visitors have uploaded there is the site's, whichever release is live. Only
        a release that has a link at such a path, or above it, cannot have it. Secrets are the release's own, then the catalogue's.
        """
        # Unchanged rules give the catalogue's own entry: what follows from it must not differ by a byte.
        own = self.model_copy(update={"secrets": service.secrets})
        if own == Activation.of(service) and service.secrets == (self.secrets or service.secrets):
            return service
        held = set(links)
        # Of a path and one below it the release's own counts: both lead to the same place in shared/.
        added = [
            path
            for path in service.persistent
            if not _leads_through(path, held) and not any(_within(path, one) or _within(one, path) for one in self.persistent)
        ]
        secrets = tuple(dict.fromkeys([*(self.secrets or ()), *service.secrets]))
        steps = service.steps.model_copy(
            update={
                "dependencies": self.dependencies,
                "migrate": self.migrate,
                "restart": self.restart,
                "programs": self.programs,
            }
        )
        return service.model_copy(
            update={
                "runtime": self.runtime,
                "persistent": (*self.persistent, *added),
                "schema_query": self.schema_query,
                "steps": steps,
                "health": self.health,
                "secrets": secrets,
            }
        )


def _within(path: str, folder: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def _leads_through(path: str, links: set[str]) -> bool:
    parts = path.rstrip("/").split("/")
    return any("/".join(parts[: n + 1]) in links for n in range(len(parts)))
