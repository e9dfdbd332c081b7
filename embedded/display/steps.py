"""Steps and resource states as the display reads them out of engine events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from embedded.model import ResourceState
from embedded.values import (
    ARCHIVE_SIGNATURE,
    ASSET_SIGNATURE,
    RESOURCE_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN,
    UNKNOWN_STRING,
    Archive,
    Asset,
    PropertyMap,
    PropertyValue,
    ResourceReference,
    Secret,
)

ROOT_TYPE = "pulumi:pulumi:Stack"


@dataclass
class State:
    """One side of a step."""

    id: str = ""
    parent: str = ""
    custom: bool = False
    protect: bool = False
    retain: bool = False
    provider: str = ""
    inputs: PropertyMap = field(default_factory=dict)
    outputs: PropertyMap = field(default_factory=dict)
    init_errors: bool = False
    full: ResourceState | None = None


@dataclass
class Step:
    """What an event says of one resource."""

    op: str
    urn: str = ""
    type: str = ""
    old: State | None = None
    new: State | None = None
    keys: list[str] | None = None
    diffs: list[str] | None = None
    detailed: dict[str, dict[str, Any]] | None = None
    logical: bool = True
    provider: str = ""

    @property
    def is_root(self) -> bool:
        return is_root(self.urn)

    @property
    def either(self) -> State | None:
        """The new state, or the old one where there is no new one."""
        return self.new or self.old


def is_root(urn: str) -> bool:
    """Whether ``urn`` is the stack's own."""
    return qualified_type(urn) == ROOT_TYPE


def is_default_provider(urn: str) -> bool:
    """Whether ``urn`` is a provider that the engine made by itself: it is shown nowhere."""
    return qualified_type(urn).startswith("pulumi:providers:") and name_of(urn).startswith("default")


def qualified_type(urn: str) -> str:
    parts = urn.split("::", 3)
    return parts[2] if len(parts) == 4 else ""


def name_of(urn: str) -> str:
    return urn.split("::", 3)[-1]


def type_of(urn: str) -> str:
    """The type of a URN, as it is shown: ``random:index/randomPet:RandomPet`` as ``random:index:RandomPet``."""
    token = qualified_type(urn).rsplit("$", 1)[-1]
    parts = token.split(":")
    if len(parts) == 3 and "/" in parts[1] and parts[2]:
        module, _, file = parts[1].rpartition("/")
        if file == parts[2][0].lower() + parts[2][1:]:
            return f"{parts[0]}:{module}:{parts[2]}"
    return token


def read_step(event: dict[str, Any], body: dict[str, Any]) -> Step:
    """The step of a resource event; ``_states`` beside it, where there, has the values without their event form."""
    data = body.get("metadata") or {}
    old, new = event.get("_states") or (None, None)
    return Step(
        op=data.get("op", "same"),
        urn=data.get("urn", ""),
        type=data.get("type", ""),
        old=_state(data.get("old"), old),
        new=_state(data.get("new"), new),
        keys=data.get("keys"),
        diffs=data.get("diffs"),
        detailed=data.get("detailedDiff"),
        logical=data.get("logical", False),
        provider=data.get("provider", ""),
    )


def _state(data: dict[str, Any] | None, full: ResourceState | None) -> State | None:
    if data is None:
        return None
    known = full is not None
    return State(
        id=data.get("id", ""),
        parent=data.get("parent", ""),
        custom=data.get("custom", False),
        protect=data.get("protect", False),
        retain=data.get("retainOnDelete", False),
        provider=data.get("provider", ""),
        inputs=(full.inputs or {}) if known and full else decode(data.get("inputs") or {}),
        outputs=(full.outputs or {}) if known and full else decode(data.get("outputs") or {}),
        init_errors=bool(data.get("initErrors")),
        full=full,
    )


def decode(value: Any) -> PropertyValue:
    """A value of an event as a property value; a secret's content is not in it."""
    if isinstance(value, dict):
        signature = value.get(SIGNATURE_KEY)
        fields = {key: item for key, item in value.items() if key != SIGNATURE_KEY}
        if signature == SECRET_SIGNATURE:
            return Secret(None)
        if signature == ASSET_SIGNATURE:
            return Asset(fields)
        if signature == ARCHIVE_SIGNATURE:
            return Archive({key: decode(item) for key, item in fields.items()})
        if signature == RESOURCE_SIGNATURE:
            return ResourceReference(fields.get("urn", ""), fields.get("id"), "id" in fields, fields.get("packageVersion", ""))
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode(item) for item in value]
    if value == UNKNOWN_STRING:
        return UNKNOWN
    return Secret(None) if value == "[secret]" else value
