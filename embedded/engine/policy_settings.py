"""Settings of policy packs: defaults, the pack's own, the file of ``--policy-pack-config``, and their validation."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from embedded.values import PropertyMap

LEVELS: Final = ("advisory", "mandatory", "disabled", "remediate")  # by their numbers in the protocol


class SettingsError(Exception):
    """A settings file that cannot be used."""


@dataclass
class Config:
    """The enforcement level of a policy (empty: not given) and its properties."""

    level: str
    properties: PropertyMap = field(default_factory=dict)


def initial(level: str, schema: dict[str, Any]) -> Config:
    """What a policy has when nobody says anything."""
    properties = schema.get("properties") or {}
    return Config(
        level, {name: part["default"] for name, part in properties.items() if isinstance(part, dict) and "default" in part}
    )


def read_settings(path: str) -> dict[str, Config]:
    """The settings in the JSON file ``path``."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        given = json.loads(text) if text.strip() else {}
    except FileNotFoundError:
        raise SettingsError(f"open {path}: no such file or directory") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"policy settings {path}: {error}") from None
    if not isinstance(given, dict):
        raise SettingsError(f"policy settings {path}: expected a JSON object")
    result = {}
    for name, value in given.items():
        properties: dict[str, Any] = {}
        level: Any = value
        if isinstance(value, dict):
            properties = dict(value)
            level = properties.pop("enforcementLevel", "")
        elif not isinstance(value, str):
            raise SettingsError(f'parsing "{name}": {value} is not a valid value; must be a string or object')
        if not isinstance(level, str):
            raise SettingsError(
                f'parsing enforcement level for "{name}": {level} is not a valid enforcement level; must be a string'
            )
        if level not in LEVELS and (level or isinstance(value, str)):
            raise SettingsError(f'parsing enforcement level for "{name}": "{level}" is not a valid enforcement level')
        if level or properties:
            result[name] = Config(level, properties)
    return result


def reconciled(
    defaults: dict[str, Config], schemas: dict[str, dict[str, Any]], *layers: dict[str, Config] | None
) -> tuple[dict[str, Config], list[str]]:
    """The settings of each policy with all ``layers`` applied in order, and what is wrong with them."""
    result = {name: Config(config.level, dict(config.properties)) for name, config in defaults.items()}
    for layer in layers:
        if not layer:
            continue
        everything = layer.get("all")
        if everything is not None and everything.level:
            for config in result.values():
                config.level = everything.level
        for name, given in layer.items():
            if name == "all" and name not in result:
                if given.level:
                    result[name] = Config(given.level, dict(given.properties))
                continue
            config = result.setdefault(name, Config("advisory"))
            config.level = given.level or config.level
            config.properties.update(given.properties)
    complaints = []
    for name, schema in schemas.items():
        whole = {"type": "object", **schema}
        complaints += [f"{name}: {complaint}" for complaint in _validate(result[name].properties, whole, "")]
    return result, complaints


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "integer" if float(value).is_integer() else "number"
    return next(name for name, types in _TYPES.items() if isinstance(value, types))


def _validate(value: Any, schema: dict[str, Any], where: str) -> list[str]:  # noqa: C901 - one case a keyword
    """Complaints about ``value``, in the words of the real engine's validator."""
    label = f"{where}: " if where else ""
    wanted = schema.get("type")
    kind = _kind(value)
    kinds = wanted if isinstance(wanted, list) else [wanted] if wanted else []
    if kinds and kind not in kinds and not (kind == "integer" and "number" in kinds):
        return [f"{label}Invalid type. Expected: {'/'.join(kinds)}, given: {kind}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(
            f"{label}{where or '(root)'} must be one of the following: {', '.join(json.dumps(item) for item in schema['enum'])}"
        )
    if kind in ("integer", "number"):
        if "minimum" in schema and value < schema["minimum"]:
            found.append(f"{label}Must be greater than or equal to {schema['minimum']:g}")
        if "maximum" in schema and value > schema["maximum"]:
            found.append(f"{label}Must be less than or equal to {schema['maximum']:g}")
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            found.append(f"{label}String length must be greater than or equal to {schema['minLength']:g}")
        if "maxLength" in schema and len(value) > schema["maxLength"]:
            found.append(f"{label}String length must be less than or equal to {schema['maxLength']:g}")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{label}Does not match pattern '{schema['pattern']}'")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            found += _validate(item, schema["items"], f"{where}.{index}" if where else str(index))
    if isinstance(value, dict):
        found += [f"{label}{name} is required" for name in schema.get("required", ()) if name not in value]
        for name, part in (schema.get("properties") or {}).items():
            if name in value and isinstance(part, dict):
                found += _validate(value[name], part, f"{where}.{name}" if where else name)
    return found
