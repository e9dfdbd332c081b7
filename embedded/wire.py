"""Property values on the wire: Pulumi's protobuf ``Struct`` with signature keys, to and from the values of ``values.py``."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from google.protobuf.struct_pb2 import NullValue, Struct, Value

from embedded.values import (
    ARCHIVE_SIGNATURE,
    ASSET_SIGNATURE,
    OUTPUT_SIGNATURE,
    RESOURCE_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN,
    UNKNOWN_STRING,
    Archive,
    Asset,
    Output,
    PropertyMap,
    PropertyValue,
    ResourceReference,
    Secret,
    Unknown,
)

_SAFE_INTEGER = 2**53
_PLAIN_DIGITS = 1e21  # from here on the JSON of the real engine has an exponent


class WireError(ValueError):
    """A message that does not follow the protocol."""


def number(value: float) -> int | float:
    """A double as the state shows it: whole numbers without ``.0``, large ones with the shortest digits that give the same double."""
    if value.is_integer() and abs(value) < _PLAIN_DIGITS:
        return int(value) if abs(value) < _SAFE_INTEGER else int(Decimal(repr(value)))
    return value


def secret(value: PropertyValue) -> Secret:
    """``value`` as a secret, without nesting."""
    return value if isinstance(value, Secret) else Secret(value)


def from_struct(struct: Struct | None, *, hash_assets: Callable[[PropertyValue], PropertyValue] | None = None) -> PropertyMap:
    """The values of ``struct``; output values stay :class:`Output`. ``hash_assets`` completes each asset and archive."""
    if struct is None:
        return {}
    return {key: from_value(value, hash_assets) for key, value in struct.fields.items()}


def from_value(value: Value, hash_assets: Callable[[PropertyValue], PropertyValue] | None = None) -> PropertyValue:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_STRING else value.string_value
    if kind == "struct_value":
        fields = {key: from_value(item, hash_assets) for key, item in value.struct_value.fields.items()}
        return _special(fields, hash_assets) if SIGNATURE_KEY in fields else fields
    if kind == "number_value":
        return number(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [from_value(item, hash_assets) for item in value.list_value.values]
    return None


def _special(fields: dict[str, Any], hash_assets: Callable[[PropertyValue], PropertyValue] | None) -> PropertyValue:
    signature = fields.pop(SIGNATURE_KEY)
    if signature == SECRET_SIGNATURE:
        if "value" not in fields:
            raise WireError("malformed RPC secret: missing value")
        return secret(fields["value"])
    if signature == OUTPUT_SIGNATURE:
        value = fields.get("value", UNKNOWN)
        is_secret = bool(fields.get("secret", False)) or isinstance(value, Secret)
        inner = value.value if isinstance(value, Secret) else value
        return Output(inner, is_secret, tuple(fields.get("dependencies") or ()))
    if signature in (ASSET_SIGNATURE, ARCHIVE_SIGNATURE):
        asset: PropertyValue = Asset(fields) if signature == ASSET_SIGNATURE else Archive(fields)
        return hash_assets(asset) if hash_assets else asset
    if signature == RESOURCE_SIGNATURE:
        if not isinstance(fields.get("urn"), str):
            raise WireError("malformed resource reference: missing urn")
        identity = fields.get("id")
        return ResourceReference(fields["urn"], identity, "id" in fields, fields.get("packageVersion") or "")
    raise WireError(f"unrecognized signature '{signature}' in property map")


def settle_outputs(value: PropertyValue, dependencies: set[str]) -> PropertyValue:
    """``value`` with each :class:`Output` as a plain, secret or unknown value; the URNs they name are added to ``dependencies``."""
    if isinstance(value, Output):
        dependencies.update(value.dependencies)
        inner = settle_outputs(value.value, dependencies)
        return secret(inner) if value.secret else inner
    if isinstance(value, dict):
        return {key: settle_outputs(item, dependencies) for key, item in value.items()}
    if isinstance(value, list):
        return [settle_outputs(item, dependencies) for item in value]
    if isinstance(value, Secret):
        return secret(settle_outputs(value.value, dependencies))
    return value


def to_struct(
    values: PropertyMap, *, keep_secrets: bool = True, keep_resources: bool = True, skip_internal: bool = False
) -> Struct:
    """``values`` for a peer that takes secrets and resource references (or plain values in their place); unknowns are kept.

    ``skip_internal`` leaves out keys that begin with ``__``, as analyzers get them.
    """
    struct = Struct()
    for key, value in values.items():
        if not (skip_internal and key.startswith("__")):
            _fill(struct.fields[key], value, keep_secrets, keep_resources, skip_internal)
    return struct


def _fill(target: Value, value: PropertyValue, secrets: bool, resources: bool, skip: bool) -> None:  # noqa: PLR0912 - one case a type
    if value is None:
        target.null_value = NullValue.NULL_VALUE
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, Unknown):
        target.string_value = UNKNOWN_STRING
    elif isinstance(value, dict):
        target.struct_value.SetInParent()
        for key, item in value.items():
            if not (skip and key.startswith("__")):
                _fill(target.struct_value.fields[key], item, secrets, resources, skip)
    elif isinstance(value, (list, tuple)):
        target.list_value.SetInParent()
        for item in value:
            _fill(target.list_value.values.add(), item, secrets, resources, skip)
    elif isinstance(value, Secret):
        if secrets:
            _fill(target, {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value.value}, True, resources, False)
        else:
            _fill(target, value.value, False, resources, skip)
    elif isinstance(value, ResourceReference) and not resources:
        _fill(target, (value.id or "") if value.has_id else value.urn, secrets, resources, skip)
    else:
        _fill(target, special_fields(value), secrets, resources, False)


def special_fields(value: PropertyValue) -> dict[str, Any]:
    """Asset, archive, resource reference or output value as a map with its signature."""
    if isinstance(value, Asset):
        return {SIGNATURE_KEY: ASSET_SIGNATURE, **value.fields}
    if isinstance(value, Archive):
        return {SIGNATURE_KEY: ARCHIVE_SIGNATURE, **value.fields}
    if isinstance(value, ResourceReference):
        fields: dict[str, Any] = {SIGNATURE_KEY: RESOURCE_SIGNATURE, "urn": value.urn}
        if value.has_id:
            fields["id"] = value.id
        if value.package_version:
            fields["packageVersion"] = value.package_version
        return fields
    if isinstance(value, Output):
        return {
            SIGNATURE_KEY: OUTPUT_SIGNATURE,
            "value": value.value,
            "secret": value.secret,
            "dependencies": list(value.dependencies),
        }
    raise WireError(f"no wire form for a value of type {type(value).__name__}")
