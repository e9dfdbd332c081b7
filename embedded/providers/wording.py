"""Words as the published providers write them: Go's quoting of strings, and secrets taken out of a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from embedded.values import Output, PropertyValue, Secret

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'}
_SHORTEST_MASKED = 4


def go_quote(text: str) -> str:
    """``text`` as Go's ``%q`` writes it."""
    parts = []
    for char in text:
        code = ord(char)
        if char in _ESCAPES:
            parts.append(_ESCAPES[char])
        elif char == " " or char.isprintable():
            parts.append(char)
        elif code < 0x80:
            parts.append(f"\\x{code:02x}")
        elif code < 0x10000:
            parts.append(f"\\u{code:04x}")
        else:
            parts.append(f"\\U{code:08x}")
    return '"' + "".join(parts) + '"'


def secret_texts(value: PropertyValue) -> set[str]:
    """Every string that stands inside a ``Secret`` of ``value`` and is long enough to be told from ordinary words, with its lines."""
    return {text for found in _strings(value, False) for text in (found, *found.splitlines()) if len(text) >= _SHORTEST_MASKED}


def _strings(value: PropertyValue, secret: bool) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from _strings(value.value, True)
    elif isinstance(value, Output):
        yield from _strings(value.value, secret or value.secret)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item, secret)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item, secret)
    elif secret and isinstance(value, str):
        yield value


def mask(text: str, secrets: Iterable[str]) -> str:
    """``text`` with each of ``secrets`` replaced by ``[secret]``, longer ones first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text
