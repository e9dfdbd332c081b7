"""A service's restart as ``env`` and ``switch`` tell it to their host programs."""

from __future__ import annotations

from .channel import words
from .request import arguments, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def fields(restart: dict[str, Any]) -> dict[str, str]:
    """``restart``: of the request, empty for what runs no process. The host runs the first command whose program it has."""
    others = [arguments(command, "restart.otherwise") for command in restart.get("otherwise") or []]
    return {
        "restart": words(arguments(restart["command"], "restart.command")) if restart else "",
        "otherwise": str(len(others)), **{f"otherwise_{n}": words(command) for n, command in enumerate(others)},
        "budget": str(number(restart.get("budget", 10), "restart.budget", 1, 3600)) if restart else "0",
    }  # fmt: skip
