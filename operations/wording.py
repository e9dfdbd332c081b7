"""How figures, and what others said, read in a sentence."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 service``, ``2 services``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def on_one_line(text: object, longest: int | None = 300) -> str:
    """What somebody else said, without what ends a line or drives a terminal; ``longest`` characters of it, ``None`` for all."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:longest])
