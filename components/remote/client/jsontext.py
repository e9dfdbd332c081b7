"""JSON by the C parts of the standard library's ``json``: the package around them imports ``re``, a quarter of a step's start."""

from __future__ import annotations

from _json import encode_basestring_ascii, make_encoder, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MARK = b"\xef\xbb\xbf"
_SPACE = " \t\n\r"


class _Context:
    """What ``json.JSONDecoder`` tells the scanner of itself."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int

    @staticmethod
    def parse_constant(name: str) -> float:
        raise ValueError(f"{name} is not JSON")


_scan = make_scanner(_Context())  # type: ignore[arg-type]  # any object with these attributes


def loads(text: str | bytes) -> Any:
    """The value of a JSON text, UTF-8 where it is bytes. Raises ``ValueError`` where it is none, ``RecursionError`` where it is nested
    too deeply."""
    if isinstance(text, bytes):
        text = text.removeprefix(_MARK).decode()
    text = text.strip(_SPACE)
    try:
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except (StopIteration, SystemError):  # the latter where it would raise ``json.JSONDecodeError`` and nobody has imported that
        pass
    import json  # to say what is wrong

    return json.loads(text)


def dumps(value: object, *, sort_keys: bool = False) -> str:
    """``value`` as JSON in ASCII without blanks. Raises ``TypeError`` for what JSON cannot hold, ``ValueError`` for NaN and circles."""
    chunks = make_encoder({}, _unknown, encode_basestring_ascii, None, ":", ",", sort_keys, False, False)(value, 0)
    return "".join(chunks)


def _unknown(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} is not JSON")
