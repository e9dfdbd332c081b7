"""The providers of a run: loading, configuring, default providers, and the engine's own package ``pulumi``."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from embedded import providers
from embedded.engine import urns
from embedded.model import EngineError, Project, ResourceState
from embedded.providers.base import CheckFailure, Diff, Log, Provider, ProviderError, Resource
from embedded.values import UNKNOWN, UNKNOWN_STRING, PropertyMap, Secret, contains

INTERNAL_KEY = "__internal"


class Registry:
    """Configured providers by their reference. It is itself the provider of provider resources."""

    def __init__(self, project: Project, preview: bool, log: Log, builtin: Provider) -> None:
        self._project = project
        self._preview = preview
        self._log = log
        self._builtin = builtin
        self._configured: dict[str, Provider] = {}
        self._checked: dict[str, Provider] = {}
        self._aliases: dict[str, str] = {}
        self._lock = threading.RLock()

    def get(self, reference: str) -> Provider | None:
        return self._configured.get(reference)

    def add_alias(self, urn: str, old: str) -> None:
        self._aliases[urn] = old

    def ensure(self, reference: str, states: dict[str, list[ResourceState]]) -> None:
        """Makes sure that the provider ``reference`` of the old state is there to be used."""
        if not reference or reference in self._configured:
            return
        urn, identity = urns.split_reference(reference)
        for state in states.get(urn, ()):
            if state.id == identity:
                self.same(state, checked=False)
                return
        raise EngineError(f"could not find provider {reference}")

    def same(self, state: ResourceState, *, checked: bool) -> None:
        """Configures the provider resource ``state`` as it stands, unless that is done."""
        with self._lock:
            reference = f"{state.urn}::{state.id}"
            if reference in self._configured:
                return
            provider = self._checked.pop(state.urn, None) if checked else None
            if provider is None:
                provider = self._load(state.type, state.inputs or {})
            self._configure(provider, state.urn, state.id, state.inputs or {})

    def close(self) -> None:
        for provider in {id(p): p for p in (*self._configured.values(), *self._checked.values())}.values():
            provider.close()

    # The operations on provider resources, as a provider has them.

    def check(
        self, resource: Resource, olds: PropertyMap, news: PropertyMap, random_seed: bytes
    ) -> tuple[PropertyMap, list[CheckFailure]]:
        version = news.get("version")
        package = urns.provider_package(resource.type)
        if package in providers.PACKAGES and version not in (None, UNKNOWN, providers.PACKAGES[package]):
            raise EngineError(
                f"version {version} of package '{package}' is not supported by the embedded engine, which follows "
                f"{providers.PACKAGES[package]}; use the Pulumi CLI for this program"
            )
        provider = self._load(resource.type, news)
        checked, failures = provider.check_config(resource.urn, _public(olds), _public(news))
        if failures:
            return checked, failures
        with self._lock:
            self._checked[resource.urn] = provider
        if "version" in news:
            checked.setdefault("version", news["version"])
        if INTERNAL_KEY in news:
            checked[INTERNAL_KEY] = news[INTERNAL_KEY]
        return checked, []

    def diff(
        self, resource: Resource, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, ignore_changes: list[str]
    ) -> Diff:
        provider = self._checked.get(resource.urn) or self._configured[f"{resource.urn}::{resource.id}"]
        diff = provider.diff_config(resource.urn, _public(old_inputs), old_outputs, _public(news))
        if diff.changes == "unknown":
            diff.changes = "none" if old_outputs == _public(news) else "some"
        return diff

    def create(self, resource: Resource, inputs: PropertyMap, *, preview: bool, timeout: float) -> tuple[str, PropertyMap]:
        with self._lock:
            provider = self._checked.pop(resource.urn, None) or self._load(resource.type, inputs)
        identity = UNKNOWN_STRING if preview else str(uuid.uuid4())
        self._configure(provider, resource.urn, identity, inputs)
        return identity, _public(inputs)

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
    ) -> PropertyMap:
        with self._lock:
            provider = self._checked.pop(resource.urn, None) or self._load(resource.type, news)
        self._configure(provider, resource.urn, resource.id, news)
        return _public(news)

    def delete(self, resource: Resource, inputs: PropertyMap, outputs: PropertyMap, *, timeout: float) -> None:
        with self._lock:
            provider = self._configured.pop(f"{resource.urn}::{resource.id}", None)
        if provider is not None and provider not in self._configured.values():
            provider.close()

    def read(self, resource: Resource, inputs: Any, outputs: Any) -> tuple[str, PropertyMap, PropertyMap] | None:
        raise ProviderError("provider resources may not be read")

    def _configure(self, provider: Provider, urn: str, identity: str, inputs: PropertyMap) -> None:
        provider.configure(_public(inputs))
        with self._lock:
            self._configured[f"{urn}::{identity}"] = provider
            if urn in self._aliases:
                self._configured[f"{self._aliases[urn]}::{identity}"] = provider

    def _load(self, type_: str, inputs: PropertyMap) -> Provider:
        package = urns.provider_package(type_)
        if package == "pulumi":
            return self._builtin
        version = inputs.get("version")
        return providers.load(package, version if isinstance(version, str) else "", self._project.directory, self._log)


def _public(inputs: PropertyMap) -> PropertyMap:
    return {key: value for key, value in inputs.items() if key != INTERNAL_KEY}


def default_inputs(project: Project, package: str, version: str) -> PropertyMap:
    """The inputs of the default provider of ``package``: the settings in its namespace, and its version."""
    inputs: PropertyMap = {}
    for key, value in project.config.items():
        namespace, _, name = key.partition(":")
        if namespace == package:
            inputs[name] = Secret(value) if key in project.secret_keys else value
    if version:
        inputs |= {"version": version, INTERNAL_KEY: {}}
    return inputs


class Builtin:
    """The package ``pulumi`` of the engine itself: stack references, and looking up a resource of this run."""

    def __init__(self, project: Project, news: dict[str, ResourceState], reads: dict[str, ResourceState]) -> None:
        self._project = project
        self._news = news
        self._reads = reads

    def check_config(self, urn: str, olds: PropertyMap, news: PropertyMap) -> tuple[PropertyMap, list[CheckFailure]]:
        return {}, []

    def diff_config(self, urn: str, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap) -> Diff:
        return Diff("none")

    def configure(self, inputs: PropertyMap) -> None:
        pass

    def check(
        self, resource: Resource, olds: PropertyMap, news: PropertyMap, random_seed: bytes
    ) -> tuple[PropertyMap, list[CheckFailure]]:
        raise self._refused(resource)

    def diff(
        self, resource: Resource, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, ignore_changes: list[str]
    ) -> Diff:
        raise self._refused(resource)

    def create(self, resource: Resource, inputs: PropertyMap, *, preview: bool, timeout: float) -> tuple[str, PropertyMap]:
        raise self._refused(resource)

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
    ) -> PropertyMap:
        raise self._refused(resource)

    def delete(self, resource: Resource, inputs: PropertyMap, outputs: PropertyMap, *, timeout: float) -> None:
        pass

    def read(
        self, resource: Resource, inputs: PropertyMap | None, outputs: PropertyMap | None
    ) -> tuple[str, PropertyMap, PropertyMap] | None:
        if resource.type != urns.STACK_REFERENCE_TYPE:
            raise self._refused(resource)
        if not inputs or "name" not in inputs:
            raise ProviderError("stack reference can not be imported")
        return resource.id, inputs, self._stack(inputs["name"])

    def invoke(self, token: str, args: PropertyMap) -> tuple[PropertyMap, list[CheckFailure]]:
        if token == "pulumi:pulumi:readStackOutputs":
            return self._stack(args.get("name")), []
        if token == "pulumi:pulumi:getResource":
            urn = args.get("urn")
            state = self._news.get(str(urn)) or self._reads.get(str(urn))
            if state is None:
                raise ProviderError(f"unknown resource {urn}")
            return {"urn": urn, "id": state.id, "provider": state.provider, "state": state.outputs or {}}, []
        raise ProviderError(f"unrecognized function name: '{token}'")

    def close(self) -> None:
        pass

    def _stack(self, name: Any) -> PropertyMap:
        if not isinstance(name, str):
            raise ProviderError("a stack reference needs the name of a stack")
        if self._project.stack_outputs is None:
            raise ProviderError("no backend client is available")
        try:
            outputs = self._project.stack_outputs(name)
        except EngineError as error:
            raise ProviderError(str(error)) from None
        return {"name": name, "outputs": outputs, "secretOutputNames": sorted(k for k, v in outputs.items() if contains(v, Secret))}

    @staticmethod
    def _refused(resource: Resource) -> ProviderError:
        return ProviderError(f"unrecognized resource type '{resource.type}'")
