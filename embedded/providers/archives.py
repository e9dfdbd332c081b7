"""The digest of an archive made of assets: SHA-256 of the tar file that Go would write of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_BLOCK = 512


def digest(members: Iterable[tuple[str, bytes]]) -> str:
    """The digest of files by name; their order does not matter. Times, owners and modes are the same for all."""
    found = hashlib.sha256()
    for name, content in sorted(members):
        found.update(_header(name.encode(), len(content)))
        found.update(content)
        found.update(bytes(-len(content) % _BLOCK))
    found.update(bytes(2 * _BLOCK))
    return found.hexdigest()


def _header(name: bytes, size: int) -> bytes:
    """A USTAR header. Unlike Python's tarfile, Go writes the device numbers of a plain file as octal zeros."""
    prefix, name = _split(name)
    header = bytearray(_BLOCK)
    zero = b"0000000\0"
    fields = {0: name, 100: b"0000600\0", 108: zero, 116: zero, 124: b"%011o\0" % size, 136: b"00000000000\0", 148: b" " * 8}
    fields |= {156: b"0", 257: b"ustar\00000", 329: zero, 337: zero, 345: prefix}
    for offset, data in fields.items():
        header[offset : offset + len(data)] = data
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _split(name: bytes) -> tuple[bytes, bytes]:
    """A name longer than 100 bytes is cut at a slash in two fields."""
    if len(name) <= 100:
        return b"", name
    place = name.rfind(b"/", 0, 156)
    return (name[:place], name[place + 1 :]) if place > 0 else (b"", name[:100])
