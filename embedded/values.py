"""Property values as the engine holds them in memory.

Plain JSON values (``None``, ``bool``, ``float``/``int``, ``str``, ``list``, ``dict``) stand for themselves; the classes
below stand for what JSON has no word for. The wire form (protobuf ``Struct`` with signature keys) is in ``wire.py``, the
form in the state (ciphertexts) in ``state/``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

PropertyValue = Any
PropertyMap = dict[str, PropertyValue]

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"
ASSET_SIGNATURE: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIGNATURE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE_SIGNATURE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@dataclass(frozen=True)
class Secret:
    """A value that is encrypted in the state and masked on every display. Never nested in another ``Secret``."""

    value: PropertyValue

    def __repr__(self) -> str:
        return "Secret([secret])"


@dataclass(frozen=True)
class Unknown:
    """A value that a preview cannot know yet. Use the single instance ``UNKNOWN``."""


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Output:
    """An output value on the wire: a value (or ``UNKNOWN``), whether it is secret, and the URNs it depends on."""

    value: PropertyValue
    secret: bool = False
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asset:
    """A Pulumi asset: the fields as in the wire form (``text``, ``path``, ``uri``, ``hash``)."""

    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Archive:
    """A Pulumi archive: the fields as in the wire form (``assets``, ``path``, ``uri``, ``hash``)."""

    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ResourceReference:
    """A reference to another resource: its URN, its id (``None`` for components), its package version."""

    urn: str
    id: PropertyValue = None
    has_id: bool = False
    package_version: str = ""


def contains(value: PropertyValue, kind: type) -> bool:
    """Whether ``value`` is, or holds at any depth, an instance of ``kind``."""
    if isinstance(value, kind):
        return True
    if isinstance(value, (Secret, Output)):
        return contains(value.value, kind)
    if isinstance(value, dict):
        return any(contains(v, kind) for v in value.values())
    if isinstance(value, (list, tuple)):
        return any(contains(v, kind) for v in value)
    return False


def plain(value: PropertyValue) -> PropertyValue:
    """``value`` with every ``Secret`` and ``Output`` wrapper taken off, at any depth."""
    if isinstance(value, (Secret, Output)):
        return plain(value.value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value
