"""Package ``random``: passwords, strings, ids, integers and pet names, as provider 4.21.4 makes them.

``RandomBytes`` is left out on purpose: it keeps its secret in clear as the resource's id (pulumi/pulumi#8946).
"""

from __future__ import annotations

import base64
import binascii
import math
import secrets
import string
from collections.abc import Mapping
from typing import Any, ClassVar

from embedded.providers.base import CheckFailure, Log, ProviderError, Resource
from embedded.providers.bridge import BridgedProvider
from embedded.providers.schema import Field, Schema
from embedded.values import PropertyMap, Secret, Unknown

_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_BCRYPT_LONGEST = 72  # bytes; bcrypt knows no more, the provider hashes that many


def _fixed(kind: str = "str", default: Any = None, required: bool = False) -> Field:
    return Field(kind, required=required, default=default, replace=True)


_STRING = {
    "keepers": _fixed("map"),
    "length": _fixed("int", required=True),
    "lower": _fixed("bool", True),
    "minLower": _fixed("int", 0),
    "minNumeric": _fixed("int", 0),
    "minSpecial": _fixed("int", 0),
    "minUpper": _fixed("int", 0),
    "number": Field("bool", default=True, replace=True, deprecated="**NOTE**: This is deprecated, use `numeric` instead."),
    "numeric": _fixed("bool", True),
    "overrideSpecial": _fixed(),
    "special": _fixed("bool", True),
    "upper": _fixed("bool", True),
}
_OUT = Field(input=False, computed=True)
_OUT_SECRET = Field(input=False, computed=True, secret=True)


def provider(version: str, project_directory: str, log: Log) -> RandomProvider:
    """The provider; it has no settings."""
    return RandomProvider(version, project_directory, log)


def _schema(fields: Mapping[str, Field], meta: str | None = None) -> Schema:
    return Schema(fields, meta_version=meta, writes_defaults=False, detailed=False)


class RandomProvider(BridgedProvider):
    """The provider ``random``. Randomness is the operating system's."""

    package = "random"
    schemas: ClassVar[Mapping[str, Schema]] = {
        "random:index/randomPassword:RandomPassword": _schema({**_STRING, "bcryptHash": _OUT_SECRET, "result": _OUT_SECRET}, "3"),
        "random:index/randomString:RandomString": _schema({**_STRING, "result": _OUT}, "2"),
        "random:index/randomPet:RandomPet": _schema(
            {"keepers": _fixed("map"), "length": _fixed("int", 2), "prefix": _fixed(), "separator": _fixed("str", "-")}
        ),
        "random:index/randomId:RandomId": _schema(
            {
                "byteLength": _fixed("int", required=True),
                "keepers": _fixed("map"),
                "prefix": _fixed(),
                **dict.fromkeys(("b64Std", "b64Url", "dec", "hex"), _OUT),
            }
        ),
        "random:index/randomInteger:RandomInteger": _schema(
            {
                "keepers": _fixed("map"),
                "max": _fixed("int", required=True),
                "min": _fixed("int", required=True),
                "seed": _fixed(),
                "result": _OUT,
            }
        ),
    }

    def validate(self, resource: Resource, inputs: dict[str, Any]) -> list[CheckFailure]:
        known = {key: value for key, value in self.complete(resource, inputs).items() if not isinstance(value, Unknown)}
        least = {"length": 1, "byteLength": 1}
        failures = [
            CheckFailure(key, f"Attribute {_snake(key)} value must be at least {limit}, got: {known[key]}")
            for key, limit in least.items()
            if key in known and known[key] < limit
        ]
        wanted = sum(known.get(key) or 0 for key in ("minUpper", "minLower", "minNumeric", "minSpecial"))
        if not failures and "length" in known and known["length"] < wanted:
            rule = "min_upper + min_lower + min_numeric + min_special"
            failures.append(
                CheckFailure("length", f"Attribute length value must be at least sum of {rule}, got: {known['length']}")
            )
        return failures

    def complete(self, resource: Resource, inputs: dict[str, Any]) -> dict[str, Any]:
        completed = super().complete(resource, inputs)
        if "number" in completed:  # two names of one switch; the newer one wins
            given = inputs.get("numeric", inputs.get("number"))
            completed["number"] = completed["numeric"] = True if given is None else given
        return completed

    def make(self, resource: Resource, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        match resource.type.rsplit(":", 1)[-1]:
            case "RandomPassword":
                return "none", self._string(inputs, _generate(inputs), hashed=True)
            case "RandomString":
                result = _generate(inputs)
                return result, self._string(inputs, result, hashed=False)
            case "RandomPet":
                name = _pet(inputs)
                return name, inputs
            case "RandomId":
                return _identified(secrets.token_bytes(int(inputs["byteLength"])), inputs)
            case _:
                return _integer(inputs)

    def look(self, resource: Resource, known: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        if known:
            return resource.id, {key: value for key, value in known.items() if key != "id"}
        defaults = self.complete(resource, {})
        match resource.type.rsplit(":", 1)[-1]:
            case "RandomPassword":
                return "none", self._string({**defaults, "length": len(resource.id)}, resource.id, hashed=True)
            case "RandomString":
                return resource.id, self._string({**defaults, "length": len(resource.id)}, resource.id, hashed=False)
            case "RandomId":
                return _imported_id(resource.id)
            case "RandomInteger":
                return _imported_integer(resource.id)
            case _:
                raise ProviderError(
                    "Resource Import Not Implemented: This resource does not support import. Please contact the provider developer."
                )

    def change(self, resource: Resource, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        """Every change replaces; an update only happens where a difference is ignored, and keeps what was made."""
        return {**{key: value for key, value in old.items() if key != "id"}, **new}

    def remove(self, resource: Resource, known: dict[str, Any]) -> None:
        """Nothing exists outside the state."""

    def delta(self, resource: Resource, outputs: dict[str, Any]) -> PropertyMap | None:
        properties: PropertyMap = {}
        for name in ("keepers", "overrideSpecial", "prefix", "seed"):
            if name in self.schema(resource.type).fields:
                if outputs.get(name) is None:
                    properties[name] = Secret({"replace": {"raw": None}})
                elif name == "keepers":
                    properties[name] = {"map": {}}
        return {"obj": {"ps": properties}} if properties else {"obj": {}}

    def _string(self, inputs: dict[str, Any], result: str, *, hashed: bool) -> dict[str, Any]:
        outputs = {**{key: value for key, value in inputs.items() if value is not None}, "result": result}
        if hashed:
            import bcrypt

            digest = bcrypt.hashpw(result.encode()[:_BCRYPT_LONGEST], bcrypt.gensalt(10, prefix=b"2a"))
            outputs["bcryptHash"] = digest.decode()
        return outputs


def _snake(name: str) -> str:
    return "".join("_" + char.lower() if char.isupper() else char for char in name)


def _generate(inputs: dict[str, Any]) -> str:
    """A string of the wanted length with the wanted least number of each kind, in random order."""
    kinds = [
        ("upper", "minUpper", string.ascii_uppercase),
        ("lower", "minLower", string.ascii_lowercase),
        ("numeric", "minNumeric", string.digits),
        ("special", "minSpecial", inputs.get("overrideSpecial") or _SPECIAL),
    ]
    alphabet = "".join(chars for switch, _, chars in kinds if inputs[switch])
    picked = [secrets.choice(chars) for switch, least, chars in kinds for _ in range(int(inputs[least]))]
    missing = int(inputs["length"]) - len(picked)
    if missing and not alphabet:
        raise ProviderError("Create Random String Error: the character set specified is empty")
    picked += [secrets.choice(alphabet) for _ in range(missing)]
    secrets.SystemRandom().shuffle(picked)
    return "".join(picked)


def _pet(inputs: dict[str, Any]) -> str:
    from embedded.providers.random_words import ADJECTIVES, ADVERBS, ANIMALS

    length = int(inputs["length"])
    words = [secrets.choice(ANIMALS)]
    if length > 1:
        words.insert(0, secrets.choice(ADJECTIVES))
    words[:0] = [secrets.choice(ADVERBS) for _ in range(length - 2)]
    if inputs.get("prefix"):
        words.insert(0, inputs["prefix"])
    return str(inputs["separator"]).join(words)


def _identified(data: bytes, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    url = base64.urlsafe_b64encode(data).decode().rstrip("=")
    prefix = inputs.get("prefix") or ""
    return url, {
        **inputs,
        "b64Std": prefix + base64.b64encode(data).decode(),
        "b64Url": prefix + url,
        "dec": prefix + str(int.from_bytes(data, "big")),
        "hex": prefix + data.hex(),
    }


def _imported_id(identity: str) -> tuple[str, dict[str, Any]]:
    prefix, separator, encoded = identity.rpartition(",")
    try:
        if not encoded.isascii() or any(char not in string.ascii_letters + string.digits + "-_" for char in encoded):
            raise binascii.Error
        data = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (binascii.Error, ValueError):
        place = next((i for i, char in enumerate(encoded) if char not in string.ascii_letters + string.digits + "-_"), len(encoded))
        raise ProviderError(
            "Import Random ID Error: While attempting to import a random id there was a decoding error.\n\n+Retry the Terraform operation. "
            "If the error still occurs or happens regularly, please contact the provider developer with hardware and operating system "
            f"information.\n\nOriginal Error: illegal base64 data at input byte {place}"
        ) from None
    return _identified(data, {"byteLength": len(data), **({"prefix": prefix} if separator else {})})


def _integer(inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    low, high = math.floor(inputs["min"]), math.floor(inputs["max"])
    if high < low:
        raise ProviderError(
            "Create Random Integer Error: The minimum (min) value needs to be smaller than or equal to maximum (max) value."
        )
    if inputs.get("seed"):
        raise ProviderError("seed is not supported by the embedded engine: leave it out, or use the Pulumi CLI for this program")
    result = low + secrets.randbelow(high - low + 1)
    return str(result), {**inputs, "result": result}


def _imported_integer(identity: str) -> tuple[str, dict[str, Any]]:
    parts = identity.split(",")
    try:
        result, low, high = (int(part) for part in parts[:3])
    except ValueError:
        raise ProviderError(
            "Import Random Integer Error: Invalid import usage: expecting {result},{min},{max} or {result},{min},{max},{seed}"
        ) from None
    return str(result), {"result": result, "min": low, "max": high, **({"seed": parts[3]} if len(parts) > 3 else {})}
