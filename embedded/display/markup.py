"""Colours as Pulumi writes them inside texts: ``<{%fg 1%}>red<{%reset%}>``, turned into terminal codes or taken out."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

RESET: Final = "<{%reset%}>"
BOLD: Final = "<{%bold%}>"
UNDERLINE: Final = "<{%underline%}>"
RED: Final = "<{%fg 1%}>"
GREEN: Final = "<{%fg 2%}>"
YELLOW: Final = "<{%fg 3%}>"
MAGENTA: Final = "<{%fg 5%}>"
BRIGHT_RED: Final = "<{%fg 9%}>"
BRIGHT_GREEN: Final = "<{%fg 10%}>"
BRIGHT_BLUE: Final = "<{%fg 12%}>"
BRIGHT_MAGENTA: Final = "<{%fg 13%}>"
BRIGHT_CYAN: Final = "<{%fg 14%}>"
HEADLINE: Final = BRIGHT_MAGENTA + BOLD

_DIRECTIVE = re.compile(r"<\{%(.*?)%\}>", re.DOTALL)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
_CODES = {"reset": "0", "bold": "1", "underline": "4"}


def colorize(text: str, color: bool) -> str:
    """``text`` with directives as terminal codes, or without them."""
    if "<{%" not in text:
        return text
    return _DIRECTIVE.sub(lambda found: _code(found[1]) if color else "", text)


def _code(directive: str) -> str:
    if directive in _CODES:
        return f"\x1b[{_CODES[directive]}m"
    layer, _, number = directive.partition(" ")
    return f"\x1b[{'38' if layer == 'fg' else '48'};5;{number}m" if layer in ("fg", "bg") and number.isdecimal() else ""


def plain_text(text: str) -> str:
    """``text`` without directives."""
    return colorize(text, False)


def without_controls(text: str) -> str:
    """``text`` without terminal codes and control characters: what a program printed must not move the cursor of a live view."""
    return _CONTROL.sub("", text)


def width(text: str) -> int:
    """Columns that ``text`` takes on a terminal; directives take none."""
    return sum(map(_columns, plain_text(text)))


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def clip(text: str, columns: int) -> str:
    """``text`` cut to ``columns``, its directives kept."""
    kept: list[str] = []
    left = columns
    for index, part in enumerate(_DIRECTIVE.split(text)):
        if index % 2:
            kept.append(f"<{{%{part}%}}>")
            continue
        for char in part:
            left -= _columns(char)
            if left < 0:
                return "".join(kept) + RESET
            kept.append(char)
    return "".join(kept)
