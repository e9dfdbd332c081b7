"""URNs, provider references, and the patterns of ``--target`` and its like."""

from __future__ import annotations

import re
from collections.abc import Iterable

ROOT_STACK_TYPE = "pulumi:pulumi:Stack"
STACK_REFERENCE_TYPE = "pulumi:pulumi:StackReference"
_PROVIDER_PREFIX = "pulumi:providers:"


def make(stack: str, project: str, parent_type: str, type_: str, name: str) -> str:
    """The URN of a resource. ``parent_type`` is its parent's qualified type, or empty for a child of the stack."""
    qualified = f"{parent_type}${type_}" if parent_type and parent_type != ROOT_STACK_TYPE else type_
    return f"urn:pulumi:{stack}::{project}::{qualified}::{name}"


def _parts(urn: str) -> list[str]:
    parts = urn.split("::", 3)
    return parts if len(parts) == 4 and urn.startswith("urn:pulumi:") else ["", "", "", ""]


def is_valid(urn: str) -> bool:
    return bool(_parts(urn)[2])


def qualified_type(urn: str) -> str:
    return _parts(urn)[2]


def type_of(urn: str) -> str:
    return _parts(urn)[2].rpartition("$")[2]


def name_of(urn: str) -> str:
    return _parts(urn)[3]


def reparent(urn: str, parent: str) -> str:
    """``urn`` with ``parent`` as its new parent."""
    head, project, qualified, name = _parts(urn)
    return f"{head}::{project}::{qualified_type(parent)}${qualified.rpartition('$')[2]}::{name}"


def package_of(type_: str) -> str:
    return type_.partition(":")[0]


def is_provider_type(type_: str) -> bool:
    return type_.startswith(_PROVIDER_PREFIX)


def provider_package(type_: str) -> str:
    return type_.removeprefix(_PROVIDER_PREFIX)


def provider_type(package: str) -> str:
    return _PROVIDER_PREFIX + package


def is_default_provider(urn: str) -> bool:
    return is_provider_type(type_of(urn)) and name_of(urn).startswith("default")


def split_reference(reference: str) -> tuple[str, str]:
    """URN and id of a provider reference (``urn::id``)."""
    urn, _, identity = reference.rpartition("::")
    return urn, identity


class Patterns:
    """URNs and globs: ``*`` stands for anything but a colon, ``**`` for anything."""

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = tuple(patterns)
        self.literals = {pattern for pattern in patterns if "*" not in pattern}
        self.given = tuple(pattern for pattern in patterns if "*" not in pattern)
        self._globs = [_compile(pattern) for pattern in patterns if "*" in pattern]
        self.constrained = bool(patterns)

    def matches(self, urn: str) -> bool:
        return urn in self.literals or any(glob.fullmatch(urn) for glob in self._globs)


def _compile(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    return re.compile("".join({"*": "[^:]*", "**": ".*"}.get(part, re.escape(part)) for part in parts), re.DOTALL)
