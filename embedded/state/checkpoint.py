"""The checkpoint (deployment version 3, or 4 with features) as text and as a ``Snapshot``.

Secrets are encrypted on the way out, decrypted on the way in."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final

from embedded.model import PendingOperation, ResourceState, Snapshot
from embedded.state.errors import StateError
from embedded.values import (
    ARCHIVE_SIGNATURE,
    ASSET_SIGNATURE,
    RESOURCE_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN_STRING,
    Archive,
    Asset,
    Output,
    PropertyValue,
    ResourceReference,
    Secret,
    Unknown,
)

VERSION: Final = "v3.259.0"
# The checksum of the version, which the CLI verifies.
MAGIC: Final = "ab35920a3077459b09dd1a3f7ddc28df4e3efc81b3240013bb6906688abc684d"

Encrypt = Callable[[str], str]

# Checkpoint key → attribute, in the order in which the CLI writes them.
_KEYS: Final = {
    "urn": "urn", "custom": "custom", "delete": "delete", "id": "id", "type": "type", "inputs": "inputs", "outputs": "outputs",
    "parent": "parent", "protect": "protect", "external": "external", "dependencies": "dependencies", "initErrors": "init_errors",
    "provider": "provider", "propertyDependencies": "property_dependencies", "pendingReplacement": "pending_replacement",
    "additionalSecretOutputs": "additional_secret_outputs", "aliases": "aliases", "customTimeouts": "custom_timeouts",
    "importID": "import_id", "retainOnDelete": "retain_on_delete", "deletedWith": "deleted_with", "replaceWith": "replace_with",
    "created": "created", "modified": "modified", "sourcePosition": "source_position", "stackTrace": "stack_trace",
    "ignoreChanges": "ignore_changes", "replaceOnChanges": "replace_on_changes",
}  # fmt: skip
_FEATURES: Final = {"taint": "taint", "replaceWith": "replaceWith"}
"""Field of a resource → the feature of deployment version 4 that it needs; without either the version is 3."""
_ALWAYS: Final = frozenset({"urn", "custom", "type"})
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    f.name: {"str": (str,), "bool": (bool,), "list": (list,), "dict": (dict,), "Prop": (dict,)}[str(f.type)[:4].rstrip("[")]
    for f in fields(ResourceState)
    if f.name in _KEYS.values()
}


def go_json(value: Any, *, html: bool = False, indent: int | None = None) -> str:
    """JSON as Go's encoder writes it: sorted keys, compact; ``html`` escapes ``<``, ``>`` and ``&``."""
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=separators, indent=indent, allow_nan=False)
    if html:
        text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def now() -> str:
    """The time in RFC 3339, UTC, as the checkpoint has it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def number(value: float) -> int | float:
    """A number as the wire and the checkpoint hold it: a double, without ``.0`` where it is whole."""
    double = float(value)
    if not math.isfinite(double):
        raise StateError("a property is an infinite number or not a number, which the state cannot hold")
    return int(double) if double.is_integer() and abs(double) < 1e21 else double


def encode_value(value: PropertyValue, encrypt: Encrypt | None) -> Any:
    """A property value in the checkpoint's form. Without ``encrypt`` secrets stand there as ``plaintext`` (``--show-secrets``)."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, dict):
        return {key: encode_value(value[key], encrypt) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [encode_value(item, encrypt) for item in value]
    if isinstance(value, Secret):
        plaintext = go_json(encode_value(_unwrapped(value.value), None), html=True)
        return {SIGNATURE_KEY: SECRET_SIGNATURE} | ({"ciphertext": encrypt(plaintext)} if encrypt else {"plaintext": plaintext})
    return _encode_special(value, encrypt)


def _encode_special(value: PropertyValue, encrypt: Encrypt | None) -> Any:
    if isinstance(value, Output):
        return encode_value(Secret(value.value) if value.secret else value.value, encrypt)
    if isinstance(value, (Asset, Archive)):
        signature = ASSET_SIGNATURE if isinstance(value, Asset) else ARCHIVE_SIGNATURE
        return dict(sorted(({SIGNATURE_KEY: signature} | {k: encode_value(v, encrypt) for k, v in value.fields.items()}).items()))
    if isinstance(value, ResourceReference):
        reference = {SIGNATURE_KEY: RESOURCE_SIGNATURE, "urn": value.urn, "packageVersion": value.package_version}
        if value.has_id:
            reference["id"] = "" if isinstance(value.id, Unknown) else encode_value(value.id, encrypt)
        return reference
    if isinstance(value, Unknown):
        return UNKNOWN_STRING
    raise StateError(f"a property of the Python type {type(value).__name__} cannot be saved in the state")


def _unwrapped(value: PropertyValue) -> PropertyValue:
    """Secrets inside a secret need no wrapper of their own."""
    if isinstance(value, Secret):
        return _unwrapped(value.value)
    if isinstance(value, dict):
        return {key: _unwrapped(item) for key, item in value.items()}
    return [_unwrapped(item) for item in value] if isinstance(value, (list, tuple)) else value


def decode_value(value: Any, decrypt: Callable[[str], str]) -> PropertyValue:
    """A property value from the checkpoint's form."""
    if isinstance(value, list):
        return [decode_value(item, decrypt) for item in value]
    if not isinstance(value, dict):
        return value
    signature = value.get(SIGNATURE_KEY)
    if signature is None:
        return {key: decode_value(item, decrypt) for key, item in value.items()}
    if signature == SECRET_SIGNATURE:
        plaintext = value["plaintext"] if isinstance(value.get("plaintext"), str) else decrypt(str(value.get("ciphertext", "")))
        return Secret(_unwrapped(decode_value(json.loads(plaintext), decrypt)))
    rest = {key: item for key, item in value.items() if key != SIGNATURE_KEY}
    if signature == ASSET_SIGNATURE:
        return Asset(rest)
    if signature == ARCHIVE_SIGNATURE:
        return Archive({key: _decode_assets(item, decrypt) if key == "assets" else item for key, item in rest.items()})
    if signature == RESOURCE_SIGNATURE:
        return ResourceReference(rest.get("urn", ""), rest.get("id"), "id" in rest, rest.get("packageVersion", ""))
    raise StateError(f"the state holds a value of an unknown kind (signature {signature}): a newer Pulumi CLI wrote it")


def _decode_assets(value: Any, decrypt: Callable[[str], str]) -> PropertyValue:
    return {name: decode_value(item, decrypt) for name, item in value.items()} if isinstance(value, dict) else value


def encode_resource(state: ResourceState, encrypt: Encrypt | None) -> dict[str, Any]:
    """A resource in the checkpoint's form; fields of a newer CLI that came with it follow."""
    encoded: dict[str, Any] = {}
    for key, attribute in _KEYS.items():
        value = getattr(state, attribute)
        if key in ("inputs", "outputs"):
            value = encode_value(value, encrypt) if value else None
        if value or key in _ALWAYS:
            encoded[key] = value
    return encoded | state.extra


def decode_resource(encoded: Any, decrypt: Callable[[str], str]) -> ResourceState:
    """A resource from the checkpoint's form. Raises ``StateError`` where a field has another type than Pulumi's."""
    if not isinstance(encoded, dict) or not isinstance(encoded.get("urn"), str) or not encoded["urn"].startswith("urn:pulumi:"):
        raise StateError("a resource in the state has no URN")
    known: dict[str, Any] = {}
    for key, attribute in _KEYS.items():
        value = encoded.get(key)
        if value is None:
            continue
        if not isinstance(value, _TYPES[attribute]):
            raise StateError(f"the field {key!r} of {encoded['urn']} in the state is of another type than expected")
        known[attribute] = decode_value(value, decrypt) if key in ("inputs", "outputs") else value
    known.setdefault("custom", False)
    known.setdefault("type", encoded["urn"].split("::")[2].split("$")[-1] if encoded["urn"].count("::") >= 3 else "")
    return ResourceState(**known, extra={key: value for key, value in encoded.items() if key not in _KEYS})


@dataclass
class Checkpoint:
    """A stack's checkpoint as it stands in its file: ``deployment`` is undecoded JSON, ``None`` for a stack without an update."""

    stack: str
    deployment: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def resources(self) -> list[dict[str, Any]]:
        """The undecoded resources."""
        return (self.deployment or {}).get("resources") or []

    def snapshot(self, decrypt: Callable[[str], str]) -> Snapshot:
        """The decoded resources and pending operations."""
        return decode_deployment(self.deployment or {}, decrypt)

    def updated(self, snapshot: Snapshot, encrypt: Encrypt | None, salt: str | None) -> Checkpoint:
        """This checkpoint with the resources of ``snapshot``, encrypted anew, and a new manifest."""
        old = dict(self.deployment or {})
        new: dict[str, Any] = {"manifest": {"time": now(), "magic": MAGIC, "version": VERSION}}
        if salt:
            new["secrets_providers"] = {"type": "passphrase", "state": {"salt": salt}}
        if snapshot.resources:
            new["resources"] = [encode_resource(state, encrypt) for state in snapshot.resources]
        if snapshot.pending:
            new["pending_operations"] = [
                {"resource": encode_resource(p.resource, encrypt), "type": p.type} for p in snapshot.pending
            ]
        new["metadata"] = old.get("metadata", {})
        known = ("manifest", "secrets_providers", "resources", "pending_operations", "metadata")
        return Checkpoint(self.stack, new | {key: value for key, value in old.items() if key not in known}, self.extra)

    def text(self) -> str:
        """The file's content: one line."""
        checkpoint: dict[str, Any] = {"stack": self.stack}
        if self.deployment is not None:
            checkpoint["latest"] = self.deployment
        return _ordered_json({**version_of(self.deployment), **self.extra, "checkpoint": checkpoint})


def version_of(deployment: dict[str, Any] | None) -> dict[str, Any]:
    """``version`` and ``features`` of a document that holds the undecoded ``deployment``."""
    resources = (deployment or {}).get("resources") or []
    features = sorted({feature for key, feature in _FEATURES.items() if any(resource.get(key) for resource in resources)})
    return {"version": 4, "features": features} if features else {"version": 3}


def check_version(document: dict[str, Any]) -> None:
    """Refuses a document of a newer version, or with features that this engine does not know. Raises ``StateError``."""
    if document["version"] > 4:
        raise StateError(
            f"has the version {document['version']}, newer than the 4 that this engine knows: update it, or use the Pulumi CLI"
        )
    unknown = [str(name) for name in document.get("features") or () if name not in _FEATURES.values()]
    if unknown:
        raise StateError(f"uses features of a newer Pulumi CLI ({', '.join(unknown)}): use the Pulumi CLI")


def _ordered_json(value: Any) -> str:
    # Property maps were sorted when they were encoded; the rest keeps the order of Pulumi's structures.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def decode_deployment(deployment: dict[str, Any], decrypt: Callable[[str], str]) -> Snapshot:
    """The snapshot in a deployment. Raises ``StateError`` where its parts have other types than Pulumi's."""
    resources, pending = deployment.get("resources") or [], deployment.get("pending_operations") or []
    if not isinstance(resources, list) or not isinstance(pending, list) or not all(isinstance(p, dict) for p in pending):
        raise StateError("the deployment's resources or pending operations are not lists")
    return Snapshot(
        [decode_resource(item, decrypt) for item in resources],
        [PendingOperation(str(item.get("type", "")), decode_resource(item.get("resource"), decrypt)) for item in pending],
    )


def parse(text: bytes) -> Checkpoint:
    """The checkpoint in a file's content. Raises ``StateError`` for what is no checkpoint, is cut short, or comes from a newer CLI."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise StateError(f"is not whole JSON ({str(problem)[:80]})") from None
    if not isinstance(document, dict) or not isinstance(document.get("version"), int):
        raise StateError("is no Pulumi checkpoint: expected an object with a version and a checkpoint")
    check_version(document)
    checkpoint = document.get("checkpoint")
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("stack"), str):
        raise StateError("is no Pulumi checkpoint: it names no stack")
    latest = checkpoint.get("latest")
    if latest is not None and not (isinstance(latest, dict) and isinstance(latest.get("resources") or [], list)):
        raise StateError("is no Pulumi checkpoint: its deployment or resources have another type")
    if latest is not None and document["version"] not in (0, 3, 4):
        raise StateError(f"has the version {document['version']}, which only the Pulumi CLI upgrades")
    return Checkpoint(
        checkpoint["stack"], latest, {k: v for k, v in document.items() if k not in ("version", "features", "checkpoint")}
    )
