"""Reads a request's fields, checked: what becomes a path on the host must be one below its root."""

from __future__ import annotations

from .failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def text(request: dict[str, Any], key: str) -> str:
    """A string field."""
    value = request[key]
    if not isinstance(value, str):
        raise Failure(f"The request's {key} must be a string, not {type(value).__name__}.")
    return value


def service(request: dict[str, Any]) -> str:
    """The service's key: lower-case letters, digits and underscores."""
    value = text(request, "service")
    if not value or len(value) > 31 or not all(c.isascii() and (c.islower() or c.isdigit() or c == "_") for c in value):
        raise Failure(f"The request's service {value!r} is not a key of the catalogue.")
    return value


def release(request: dict[str, Any], key: str = "release") -> str:
    """A release id: ``r`` and 16 hex digits, or ``adopted``."""
    value = text(request, key)
    if value != "adopted" and not (len(value) == 17 and value[0] == "r" and all(c in "0123456789abcdef" for c in value[1:])):
        raise Failure(f"The request's {key} {value!r} is not a release id (r and 16 hex digits).")
    return value


def relative(value: object, key: str) -> str:
    """A path below the host's root or a release: relative, without ``..``, ``.`` or empty parts."""
    if not isinstance(value, str) or not value or any(c in value for c in "\n\r\0\\"):
        raise Failure(f"The request's {key} must be a relative path, not {value!r}.")
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise Failure(f"The request's {key} {value!r} must be a relative path without '..'.")
    return value


def arguments(value: object, key: str) -> list[str]:
    """A non-empty argument list."""
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise Failure(f"The request's {key} must be a list of strings.")
    return value


def number(value: object, key: str, low: int, high: int) -> int:
    """A whole number within bounds."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Failure(f"The request's {key} must be a whole number from {low} to {high}, not {value!r}.")
    return value


def one_of(value: object, key: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words."""
    if value not in allowed:
        raise Failure(f"The request's {key} must be one of {', '.join(allowed)}, not {value!r}.")
    return str(value)
