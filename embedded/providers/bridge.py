"""What the bridged providers (random, mysql, postgresql, github) have in common: schemas, defaults, differences, outputs.

A bridged provider is a Terraform provider behind Pulumi's bridge. The bridge writes into inputs ``__defaults`` (which inputs came from
defaults), and into outputs ``__meta`` (the schema's version) and ``__pulumi_raw_state_delta`` (how the outputs differ from Terraform's
own form of them). They are made here as the bridge makes them, so that the published plugin finds its own state.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from embedded.providers.base import CheckFailure, Diff, Log, ProviderError, Resource
from embedded.providers.differences import bare, join
from embedded.providers.schema import DEFAULTS, Schema, field_differences, validate, with_defaults
from embedded.values import UNKNOWN, Output, PropertyMap, PropertyValue, Secret, Unknown, contains, plain

DELTA = "__pulumi_raw_state_delta"
META = "__meta"


class BareError(ProviderError):
    """An error whose text is printed as it is, without the bridge's words around it."""


def annotate(value: PropertyValue, like: PropertyValue) -> PropertyValue:
    """``value`` with the ``Secret`` wrappers that ``like`` has at the same places: what the engine does for providers that know none."""
    if isinstance(like, Secret) or (isinstance(like, Output) and like.secret):
        return value if isinstance(value, Secret) else Secret(plain(value))
    like = bare(like)
    if isinstance(value, dict) and isinstance(like, dict):
        return {key: annotate(item, like[key]) if key in like else item for key, item in value.items()}
    if isinstance(value, list) and isinstance(like, (list, tuple)):
        return [annotate(item, like[index]) if index < len(like) else item for index, item in enumerate(value)]
    return value


class BridgedProvider(ABC):
    """A provider made of schemas; a subclass has ``schemas`` (by type token) and the four operations on real things."""

    package: ClassVar[str]
    schemas: ClassVar[Mapping[str, Schema]]
    secret_settings: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, version: str, project_directory: str, log: Log) -> None:
        self.version = version
        self.directory = project_directory
        self.log = log
        self.settings: dict[str, Any] = {}

    @abstractmethod
    def make(self, resource: Resource, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Makes the thing: its id and all output properties, plain. Raises ``ProviderError``."""

    @abstractmethod
    def look(self, resource: Resource, known: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """The thing's id and output properties as they are, given what is known of it (nothing at an import); ``None``: it is gone."""

    @abstractmethod
    def change(self, resource: Resource, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        """Changes the thing in place: its output properties."""

    @abstractmethod
    def remove(self, resource: Resource, known: dict[str, Any]) -> None:
        """Removes the thing; one that is gone already is no error."""

    def schema(self, token: str) -> Schema:
        """The schema of a resource type. Raises ``ProviderError`` for one that is not supported."""
        if token not in self.schemas:
            raise ProviderError(
                f"resource type {token} is not supported by the embedded engine; use the Pulumi CLI for this program"
            )
        return self.schemas[token]

    def check_config(self, urn: str, olds: PropertyMap, news: PropertyMap) -> tuple[PropertyMap, list[CheckFailure]]:
        return {
            key: Secret(plain(value)) if key in self.secret_settings and not contains(value, Unknown) else value
            for key, value in news.items()
        }, []

    def diff_config(self, urn: str, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap) -> Diff:
        old, new = _visible(plain(old_inputs)), _visible(plain(news))
        changed = sorted(key for key in old.keys() | new.keys() if key != "version" and old.get(key) != new.get(key))
        return Diff("some" if changed else "none", diffs=changed)

    def configure(self, inputs: PropertyMap) -> None:
        """Keeps the settings; nothing is asked of a server before an operation needs it."""
        self.settings = {
            key: value for key, value in plain(inputs).items() if not key.startswith("__") and not contains(value, Unknown)
        }

    def check(
        self, resource: Resource, olds: PropertyMap, news: PropertyMap, random_seed: bytes
    ) -> tuple[PropertyMap, list[CheckFailure]]:
        schema = self.schema(resource.type)
        failures = validate(schema.fields, {key: value for key, value in news.items() if key != DEFAULTS}, "")
        given = {**news, **self._made_name(resource, schema, olds, news, random_seed)}
        checked = with_defaults(schema.fields, given) if schema.writes_defaults else dict(news)
        if schema.writes_defaults:
            checked[DEFAULTS] = sorted({*checked[DEFAULTS], *(key for key in given if key not in news)})
        for key in news:
            hint = schema.fields[key].deprecated if key in schema.fields else ""
            if hint:
                before = f"{resource.urn} verification warning: " if schema.detailed else "[WARNING] "
                message = f'{before}property "{key}" is deprecated: {hint}'
                self.log("warning", message, urn=resource.urn)
        for key, value in checked.items():
            spec = schema.fields.get(key)
            if spec is not None and spec.secret and schema.writes_defaults and not contains(value, Unknown):
                checked[key] = Secret(plain(value))
        failures += [] if failures else self.validate(resource, {key: plain(value) for key, value in checked.items()})
        return checked, failures

    def _made_name(
        self, resource: Resource, schema: Schema, olds: PropertyMap, news: PropertyMap, random_seed: bytes
    ) -> PropertyMap:
        """A name for what has none: the one that it has, or the resource's with seven random digits."""
        for key, spec in schema.fields.items():
            if spec.named and news.get(key) is None:
                if key in olds.get(DEFAULTS, []) and olds.get(key):
                    return {key: olds[key]}
                digits = hashlib.sha256(random_seed or secrets.token_bytes(16)).hexdigest()[:7]
                return {key: f"{resource.urn.rsplit('::', 1)[-1]}-{digits}"}
        return {}

    def validate(self, resource: Resource, inputs: dict[str, Any]) -> list[CheckFailure]:
        """Rules that concern several properties; unknown values may be among them."""
        return []

    def diff(
        self, resource: Resource, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, ignore_changes: list[str]
    ) -> Diff:
        schema = self.schema(resource.type)
        old = self.comparable(resource, _visible(plain(old_outputs)), True)
        new = self.comparable(resource, self.complete(resource, _visible(plain(news))), False)
        detailed: dict[str, dict[str, Any]] = {}
        for name, spec in sorted(schema.fields.items()):
            if not spec.input or name in ignore_changes:
                continue
            before, after = old.get(name), new.get(name)
            if after is None and spec.computed:
                continue
            if (
                spec.kind == "map"
                and not schema.writes_defaults
                and before in (None, {})
                and after in (None, {})
                and before != after
            ):
                detailed[name] = {"kind": "update", "inputDiff": False}  # none and an empty one differ, and that replaces nothing
            for path, kind in field_differences(name, spec, before, after, schema.counts_sets):
                count = spec.kind == "set" and path == name and kind == "update" and not isinstance(after, Unknown)
                # At a path that is ignored the engine has put the old value back; what could not be put back replaces nothing.
                replaces = spec.replace and not count and not _ignored(path, before, after, ignore_changes)
                detailed[path] = {"kind": kind + ("-replace" if replaces else ""), "inputDiff": False}
        names = sorted({re.split(r"[.\[]", path, maxsplit=1)[0] for path in detailed})
        replaced = [path for path, entry in detailed.items() if entry["kind"].endswith("-replace")]
        replacing = sorted({re.split(r"[.\[]", path, maxsplit=1)[0] for path in replaced})
        changes = "some" if detailed else "none"
        if not schema.detailed:
            return Diff(changes, replaces=replacing, diffs=names)
        same_name = any(
            spec.named and name not in news.get(DEFAULTS, []) and old.get(name) == new.get(name)
            for name, spec in schema.fields.items()
        )
        first = bool(replacing) and (schema.delete_first or same_name)
        return Diff(
            changes, replaces=replacing, diffs=names, detailed=detailed, stables=schema.stables, delete_before_replace=first
        )

    def complete(self, resource: Resource, inputs: dict[str, Any]) -> dict[str, Any]:
        """Inputs with the values that an absent one stands for."""
        fields = self.schema(resource.type).fields
        return {**{name: spec.default for name, spec in fields.items() if spec.default is not None}, **inputs}

    def comparable(self, resource: Resource, values: dict[str, Any], outputs: bool) -> dict[str, Any]:
        """Values in the form in which old outputs and new inputs are compared: a hook for write-only forms such as hashes."""
        return values

    def create(self, resource: Resource, inputs: PropertyMap, *, preview: bool, timeout: float) -> tuple[str, PropertyMap]:
        schema = self.schema(resource.type)
        given = self.complete(resource, _visible(plain(inputs)))
        if preview:
            planned: dict[str, Any] = {
                name: given.get(name, UNKNOWN if spec.computed or not spec.input else None) for name, spec in schema.fields.items()
            }
            planned = {key: value for key, value in planned.items() if value is not None}
            return "", annotate({**planned, "id": UNKNOWN}, _visible(inputs))
        try:
            identity, outputs = self.make(resource, given)
        except BareError:
            raise
        except ProviderError as error:
            if schema.detailed:
                raise ProviderError(_occurred(str(error))) from None
            self._say(resource, error)
            raise
        return identity, self._finished(resource, identity, outputs, inputs)

    def read(
        self, resource: Resource, inputs: PropertyMap | None, outputs: PropertyMap | None
    ) -> tuple[str, PropertyMap, PropertyMap] | None:
        schema = self.schema(resource.type)
        try:
            found = self.look(resource, _visible(plain(outputs or {})))
        except ProviderError as error:
            if not schema.detailed:
                self._say(resource, error)
            raise
        if found is None:
            return None
        identity, known = found
        read_inputs = self.inputs_of(resource, known, inputs or {})
        return identity, read_inputs, self._finished(resource, identity, known, {**(outputs or {}), **(inputs or {})})

    def _say(self, resource: Resource, error: ProviderError) -> None:
        """The newer bridge (random's) also logs an error, detail before summary."""
        summary, _, detail = str(error).partition(": ")
        self.log("error", f"[ERROR] {detail}: {summary}", urn=resource.urn)

    def inputs_of(self, resource: Resource, outputs: dict[str, Any], inputs: PropertyMap) -> PropertyMap:
        """The inputs that lead to ``outputs``: at a refresh those that were given, with their present values."""
        schema = self.schema(resource.type)
        names = (
            [name for name in schema.fields if name in inputs] if inputs else [n for n, spec in schema.fields.items() if spec.input]
        )
        found: PropertyMap = {}
        for name in names:
            spec = schema.fields[name]
            value = outputs.get(name)
            if inputs or (value is not None and value not in ("", 0, False, [], {})):
                value = _as_given(value, plain(inputs.get(name)))
                found[name] = Secret(value) if spec.secret and value is not None else value
        kept = [name for name in inputs.get(DEFAULTS) or [] if found.get(name) == plain(inputs.get(name))]
        if kept:
            found[DEFAULTS] = kept
        return annotate(found, {key: value for key, value in inputs.items() if key != DEFAULTS})  # type: ignore[no-any-return]

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
        old = _visible(plain(old_outputs))
        given = self.complete(resource, _visible(plain(news)))
        if preview:
            return annotate({**old, **given}, _visible(news))  # type: ignore[no-any-return]
        try:
            outputs = self.change(resource, old, given)
        except BareError:
            raise
        except ProviderError as error:
            partial = {key: value for key, value in {**old, **given}.items() if key != "id"}
            message = f"updating {resource.urn}: {_occurred(str(error))}"
            # An earlier update may have changed the id that Terraform knows (a renamed role); the engine's own stays.
            identity = str(old.get("id") or resource.id)
            raise ProviderError(message, id=resource.id, outputs=self._finished(resource, identity, partial, news)) from None
        return self._finished(resource, str(outputs.get("id", resource.id)), outputs, news)

    def delete(self, resource: Resource, inputs: PropertyMap, outputs: PropertyMap, *, timeout: float) -> None:
        schema = self.schema(resource.type)
        try:
            self.remove(resource, _visible(plain(outputs)))
        except BareError:
            raise
        except ProviderError as error:
            raise ProviderError(f"deleting {resource.urn}: {_occurred(str(error))}" if schema.detailed else str(error)) from None

    def invoke(self, token: str, args: PropertyMap) -> tuple[PropertyMap, list[CheckFailure]]:
        raise ProviderError(f"function {token} is not supported by the embedded engine; use the Pulumi CLI for this program")

    def close(self) -> None:  # noqa: B027
        """Lets go of connections; a subclass that has some overrides it."""

    def _finished(self, resource: Resource, identity: str, outputs: dict[str, Any], inputs: PropertyMap) -> PropertyMap:
        """Outputs as the bridge and the engine leave them: id, meta, raw state delta, secrets."""
        schema = self.schema(resource.type)
        finished: PropertyMap = {}
        for name, value in outputs.items():
            spec = schema.fields.get(name)
            finished[name] = Secret(value) if spec is not None and spec.secret else value
        finished["id"] = identity
        if schema.meta_version is not None:
            finished[META] = json.dumps({"schema_version": schema.meta_version}, separators=(",", ":"))
        delta = self.delta(resource, outputs)
        if delta is not None:
            finished[DELTA] = delta
        annotated: PropertyMap = annotate(finished, _visible(inputs))
        return dict(sorted(annotated.items()))

    def delta(self, resource: Resource, outputs: dict[str, Any]) -> PropertyMap | None:
        """``__pulumi_raw_state_delta`` of a resource; ``None`` where its provider writes none."""
        return None


def _ignored(path: str, before: Any, after: Any, ignored: list[str]) -> bool:
    """Whether each element that differs is at or below one of the ``ignored`` paths; of a map that came or went, those are its keys."""
    if not ignored:
        return False
    from embedded.engine import paths  # the engine, which imports the providers, has the notation

    one = before or after
    whole = isinstance(one, dict) and not (before and after)
    elements = [join(path, str(key)) for key in one] if whole and one else [path]
    patterns = [paths.parse(text) for text in ignored if paths.is_path(text)]
    return all(any(paths.contains(pattern, paths.parse(element)) for pattern in patterns) for element in elements)


def _visible(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.startswith("__")}


def _occurred(message: str) -> str:
    """An error as the bridge lists it."""
    return f"1 error occurred:\n\t* {message}\n\n"


def _as_given(value: Any, given: Any) -> Any:
    """``value`` with only those members of nested objects that were given: outputs know more of them than the program says."""
    if isinstance(value, dict) and isinstance(given, dict):
        return {key: _as_given(item, given[key]) for key, item in value.items() if key in given}
    if isinstance(value, list) and isinstance(given, list):
        return [_as_given(item, given[index]) if index < len(given) else item for index, item in enumerate(value)]
    return value
