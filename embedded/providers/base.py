"""The contract between the engine and a provider: Pulumi's ``ResourceProvider`` service as Python methods.

Values may hold ``Secret`` and, at preview, ``UNKNOWN``; a provider keeps the wrappers of what it passes through, and wraps what its
published schema calls secret. Errors are ``ProviderError`` with a sentence that holds no secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from embedded.values import PropertyMap


class ProviderError(Exception):
    """A failure of an operation, in the words that the published provider uses (they are printed and compared).

    A bridged update or create that failed half-way also carries what is there: ``id`` and ``outputs`` (an *init error*).
    """

    def __init__(self, message: str, *, id: str | None = None, outputs: PropertyMap | None = None) -> None:
        super().__init__(message)
        self.id = id
        self.outputs = outputs


@dataclass(frozen=True)
class CheckFailure:
    """An input that a provider refuses."""

    property: str
    reason: str


@dataclass
class Diff:
    """The answer to ``Diff``. ``changes``: ``"none"``, ``"some"`` or ``"unknown"``; ``replaces``, ``diffs``, ``stables``: property paths;
    ``detailed``: path → {"kind": "add|add-replace|delete|delete-replace|update|update-replace", "inputDiff": bool} or ``None``."""

    changes: str
    replaces: list[str] = field(default_factory=list)
    stables: list[str] = field(default_factory=list)
    diffs: list[str] = field(default_factory=list)
    delete_before_replace: bool = False
    detailed: dict[str, dict[str, Any]] | None = None


@dataclass(frozen=True)
class Resource:
    """What most calls name: the resource's URN, type token, id (empty before it is created)."""

    urn: str
    type: str
    id: str = ""


class Provider(Protocol):
    """One configured provider. The engine makes one for each provider resource and calls it from several threads."""

    def check_config(self, urn: str, olds: PropertyMap, news: PropertyMap) -> tuple[PropertyMap, list[CheckFailure]]: ...

    def diff_config(self, urn: str, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap) -> Diff: ...

    def configure(self, inputs: PropertyMap) -> None: ...

    def check(
        self, resource: Resource, olds: PropertyMap, news: PropertyMap, random_seed: bytes
    ) -> tuple[PropertyMap, list[CheckFailure]]: ...

    def diff(
        self, resource: Resource, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, ignore_changes: list[str]
    ) -> Diff: ...

    def create(self, resource: Resource, inputs: PropertyMap, *, preview: bool, timeout: float) -> tuple[str, PropertyMap]: ...

    def read(
        self, resource: Resource, inputs: PropertyMap | None, outputs: PropertyMap | None
    ) -> tuple[str, PropertyMap, PropertyMap] | None:
        """The id, inputs and outputs as they are; ``None`` where the resource is gone."""

    def update(
        self,
        resource: Resource,
        old_inputs: PropertyMap,
        old_outputs: PropertyMap,
        news: PropertyMap,
        *,
        preview: bool,
        timeout: float,
        ignore_changes: list[str],
    ) -> PropertyMap: ...

    def delete(self, resource: Resource, inputs: PropertyMap, outputs: PropertyMap, *, timeout: float) -> None: ...

    def invoke(self, token: str, args: PropertyMap) -> tuple[PropertyMap, list[CheckFailure]]: ...

    def close(self) -> None: ...


class Log(Protocol):
    """How a provider reports while it works: ``severity`` is ``info``, ``warning``, ``error`` or ``debug``; ephemeral messages are
    progress (what a command prints)."""

    def __call__(self, severity: str, message: str, *, urn: str = "", ephemeral: bool = False) -> None: ...


# ``providers/__init__.py`` has ``load(package, version, project_directory, log) -> Provider`` (raises ``UnknownPackage``: the
# engine then refuses by name, with the Pulumi CLI as the way out) and ``PACKAGES``, the supported packages with versions.
