"""Typed settings of ``Pulumi.yaml`` (``type``, ``items``, ``secret``, ``default``), and what a stack must give for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded.state.errors import StateError

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True)
class ConfigType:
    """``name``: ``string``, ``integer``, ``boolean`` or ``array``, of ``items``. ``given``: the project has a default or a value."""

    name: str
    items: ConfigType | None = None
    secret: bool = False
    given: bool = False

    def __str__(self) -> str:
        return f"{self.name}<{self.items}>" if self.items is not None else self.name

    def holds(self, value: Any) -> bool:
        """Whether ``value``, as the settings file has it, is of this type. Scalars count by their text, as with the CLI."""
        if self.name == "array":
            return isinstance(value, list) and self.items is not None and all(self.items.holds(item) for item in value)
        if isinstance(value, (dict, list)):
            return False
        if self.name == "integer":
            return not isinstance(value, bool) and bool(_INTEGER.fullmatch(str(value)))
        return self.name != "boolean" or isinstance(value, bool) or value in ("true", "false")


def read(entry: Any) -> ConfigType | None:
    """The type of an entry of the project's ``config``; ``None`` where it declares none."""
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        return None
    given = entry.get("default") is not None or entry.get("value") is not None
    return ConfigType(entry["type"], read(entry.get("items")), entry.get("secret") is True, given)


def check(types: Mapping[str, ConfigType], project: str, stack: str, config: Mapping[str, Any]) -> None:
    """Compares the stack's settings ``config`` (secure values encrypted) with the types. Raises ``StateError`` as the CLI does."""
    missing = []
    for key, kind in sorted(types.items()):
        shown = key.removeprefix(f"{project}:")
        problem = f"validating stack config: Stack '{stack}' with configuration key '{shown}' must be"
        if key not in config:
            if not kind.given:
                missing.append(shown)
            continue
        value = config[key]
        secure = isinstance(value, dict) and list(value) == ["secure"]
        if kind.secret and not secure:
            raise StateError(f"{problem} encrypted as it's secret")
        if not secure and not kind.holds(value):
            raise StateError(f"{problem} of type '{kind}'")
    if missing:
        names = [f"'{name}'" for name in missing]
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        values = "value" if len(names) == 1 else "values"
        raise StateError(f"validating stack config: Stack '{stack}' is missing configuration {values} {listed}")
