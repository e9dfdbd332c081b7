"""How figures, and what others said, read in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from evidence.wording import counted

__all__ = ["build_command", "counted", "on_one_line"]


def build_command(services: Sequence[str]) -> str:
    """``bin/mo build a b c …``, of more than three the first."""
    return f"bin/mo build {' '.join(services[:3])}{' …' if len(services) > 3 else ''}"


def on_one_line(text: object, longest: int | None = 300) -> str:
    """What somebody else said, without what ends a line or drives a terminal; ``longest`` characters of it, ``None`` for all."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:longest])
