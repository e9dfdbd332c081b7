"""The one funnel of texts: whatever leaves this process goes through ``MASK``, which knows the secrets of the request, of the connection
and, by the host programs' lines ``@secret``, of the service's ``secrets.env``.

A secret is found by its value, also where a tool has escaped it (URL, JSON, shell, SQL, Python, HTML) or encoded it (base64 at any
alignment, hexadecimal). Standard library only, and of that only what starts fast.
"""

from __future__ import annotations

from binascii import b2a_base64, hexlify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Pieces = list[tuple[bytes, int, int]]

STARS = "***"
LEAST = 6
"""Bytes of the shortest value that counts as a secret: shorter ones stand in texts by chance (a port, a word)."""
TOOL_LENGTH = 200
"""Characters that are shown of what a tool said."""
OPEN, CLOSE = "\x01", "\x02"
"""The host programs mark what a tool said, uncut: cut before it is masked, half a secret would be shown."""
_PUBLIC_ENDINGS = ("_HOST", "_PORT", "_USER", "_EMAIL", "_FROM", "_BOUNCE")
_PUBLIC_NAMES = ("DB_ENGINE", "DB_NAME", "DB_SSL_CA")
_CODEC = ("utf-8", "surrogatepass")
_HEX = b"0123456789abcdefABCDEF"
_ENTITIES = {b"&amp;": b"&", b"&lt;": b"<", b"&gt;": b">", b"&quot;": b'"', b"&#39;": b"'", b"&#x27;": b"'", b"&#34;": b'"'}
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f"}


def is_public(name: str) -> bool:
    """Whether a variable's name says that its value is no secret: addresses, ports and account names stand in settings and texts."""
    return name in _PUBLIC_NAMES or name.endswith(_PUBLIC_ENDINGS)


class Mask:
    """The secrets that this process knows."""

    def __init__(self) -> None:
        self._values: set[bytes] = set()
        self._forms: list[bytes] | None = None

    def know(self, value: object) -> None:
        """One more. Of a text of several lines (a key) each line counts that is long enough to be no chance."""
        if not isinstance(value, str):
            return
        lines = value.splitlines() if "\n" in value else [value]
        least = 16 if len(lines) > 1 else LEAST
        for line in lines:
            found = line.encode(*_CODEC)
            if len(found) >= least and not line.startswith("-----"):
                self._values.add(found)
                self._forms = None

    def know_variables(self, variables: object) -> None:
        """The values of an object of variables whose names do not say that they are public."""
        if isinstance(variables, dict):
            for name, value in variables.items():
                if not is_public(str(name)):
                    self.know(value)

    def know_line(self, line: str) -> None:
        """A line ``NAME='value'`` of a ``secrets.env``; anything else there counts as a secret as it is."""
        name, _, value = line.partition("=")
        if not is_public(name):
            quoted = len(value) >= 2 and value[0] == value[-1] == "'"
            self.know(value[1:-1].replace("'\\''", "'") if quoted else value or line)

    def text(self, text: str) -> str:
        """``text`` with three stars for each secret, and what tools said shortened to 200 characters each."""
        return _shortened(self._masked(text))

    def value(self, value: Any) -> Any:
        """A JSON value with each text in it masked, keys of objects too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, (list, tuple)) else value

    def _masked(self, text: str) -> str:
        if not self._values or len(text) < LEAST:
            return text
        data = text.encode(*_CODEC)
        if self._forms is None:
            forms = {form for value in self._values for form in _forms(value)}
            self._forms = sorted(forms, key=lambda form: (-len(form), form))
        hits = [(at, at + len(form)) for form in self._forms for at in _places(data, form)]
        for sign, split in _DECODERS:
            if sign in data:
                hits += self._escaped(data, split)
        return _starred(data, hits).decode(*_CODEC) if hits else text

    def _escaped(self, data: bytes, split: Callable[[bytes], Pieces]) -> Iterable[tuple[int, int]]:
        pieces = split(data)
        plain = b"".join(piece for piece, _, _ in pieces)
        if not any(value in plain for value in self._values):
            return
        # Position in the decoded text → where that came from.
        where = [(start, end) for piece, start, end in pieces for _ in piece]
        for value in self._values:
            for at in _places(plain, value):
                yield where[at][0], where[at + len(value) - 1][1]


MASK = Mask()
"""What this process knows: one request, one process."""


def _places(data: bytes, form: bytes) -> Iterable[int]:
    at = data.find(form)
    while at >= 0:
        yield at
        at = data.find(form, at + 1)


def _starred(data: bytes, hits: list[tuple[int, int]]) -> bytes:
    parts: list[bytes] = []
    done = 0
    for start, end in sorted(hits):
        if start > done or not parts:
            parts += [data[done:start], STARS.encode()]
        done = max(done, end)
    return b"".join([*parts, data[done:]])


def _shortened(text: str) -> str:
    if OPEN not in text:
        return text
    first, *rest = text.split(OPEN)
    parts = [first]
    for piece in rest:
        said, _, after = piece.partition(CLOSE)
        parts += [said if len(said) <= TOOL_LENGTH else said[: TOOL_LENGTH - 1] + "…", after]
    return "".join(parts).replace(CLOSE, "")


def _forms(value: bytes) -> Iterable[bytes]:
    """The value, in base64 and in hexadecimal."""
    yield value
    for offset in range(3):
        # The first and the last sign depend on the neighbours: those that these bytes alone decide.
        whole = b2a_base64(b"\0" * offset + value, newline=False)
        inner = whole[(0, 2, 3)[offset] : (offset + len(value)) * 8 // 6]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")
    yield hexlify(value)
    yield hexlify(value).upper()


def _percent(data: bytes) -> Pieces:
    """``%41`` is A."""
    pieces, at = [], 0
    while at < len(data):
        if data[at] == 37 and at + 2 < len(data) and data[at + 1] in _HEX and data[at + 2] in _HEX:
            pieces.append((bytes([int(data[at + 1 : at + 3], 16)]), at, at + 3))
            at += 3
        else:
            pieces.append((data[at : at + 1], at, at + 1))
            at += 1
    return pieces


def _form(data: bytes) -> Pieces:
    """As ``_percent``, and a plus is a space."""
    return [(b" " if piece == b"+" and end - start == 1 else piece, start, end) for piece, start, end in _percent(data)]


def _backslash(data: bytes) -> Pieces:
    r"""``\"`` is ``"``, ``\u0041`` and ``\x41`` are A: JSON, Python, the shell's double quotes and ``printf %q``."""
    pieces, at = [], 0
    while at < len(data):
        plain, length = data[at : at + 1], 1
        if plain == b"\\" and at + 1 < len(data):
            kind = data[at + 1 : at + 2]
            plain, length = _ESCAPES.get(kind, kind), 2
            code = _digits(data, at + 2, {b"u": 4, b"x": 2, b"U": 8}.get(kind, 0))
            if code is not None:
                length += {b"u": 4, b"x": 2}.get(kind, 8)
                low = _digits(data, at + 8, 4) if 0xD800 <= code < 0xDC00 and data[at + 6 : at + 8] == b"\\u" else None
                if low is not None and 0xDC00 <= low < 0xE000:
                    code, length = 0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00, 12
                plain = chr(code).encode(*_CODEC) if code < 0x110000 else plain
        pieces.append((plain, at, at + length))
        at += length
    return pieces


def _digits(data: bytes, at: int, length: int) -> int | None:
    """The number that so many hexadecimal digits at ``at`` mean."""
    digits = data[at : at + length]
    return int(digits, 16) if length and len(digits) == length and all(digit in _HEX for digit in digits) else None


def _twice(data: bytes) -> Pieces:
    """JSON within JSON."""
    outer = _backslash(data)
    where = [(start, end) for piece, start, end in outer for _ in piece]
    inner = _backslash(b"".join(piece for piece, _, _ in outer))
    return [(piece, where[start][0], where[end - 1][1]) for piece, start, end in inner]


def _replaced(data: bytes, words: dict[bytes, bytes]) -> Pieces:
    pieces, at = [], 0
    while at < len(data):
        word = next((word for word in words if data.startswith(word, at)), data[at : at + 1])
        pieces.append((words.get(word, word), at, at + len(word)))
        at += len(word)
    return pieces


def _quotes(written: bytes) -> Callable[[bytes], Pieces]:
    """How a quote is written within quotes of its kind: it ends with that sign."""
    return lambda data: _replaced(data, {written: written[-1:]})


_DECODERS: tuple[tuple[bytes, Callable[[bytes], Pieces]], ...] = (
    (b"%", _percent),
    (b"+", _form),
    (b"\\", _backslash),
    (b"\\\\", _twice),
    (b"'\\''", _quotes(b"'\\''")),
    (b"'\"'\"'", _quotes(b"'\"'\"'")),
    (b"''", _quotes(b"''")),
    (b'""', _quotes(b'""')),
    (b"&", lambda data: _replaced(data, _ENTITIES)),
)
"""A sign without which the text is not of that kind, and how to read it."""
