"""Hashes of assets and archives: the engine completes them when a program hands them over."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from embedded.values import Archive, Asset, PropertyValue
from embedded.wire import WireError

_BLOCK = 512
_NAME = 100  # bytes that a name has in a tar header
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".zip", ".jar")


class Hasher:
    """Completes values in the folder that relative paths start from."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def complete(self, value: PropertyValue) -> PropertyValue:
        """``value`` with its ``hash``; raises ``WireError`` where a file cannot be read."""
        if not isinstance(value, (Asset, Archive)) or value.fields.get("hash") or value.fields.get("uri"):
            return value
        fields = {key: item for key, item in value.fields.items() if item not in ("", None)}
        try:
            if isinstance(value, Asset):
                return Asset({**fields, "hash": hashlib.sha256(self._content(fields)).hexdigest()})
            return Archive({**fields, "hash": self._archive_hash(fields)})
        except OSError as error:
            kind = "asset" if isinstance(value, Asset) else "archive"
            raise WireError(f"failed to compute {kind} hash: {error}") from None

    def _content(self, fields: dict[str, Any]) -> bytes:
        if "path" in fields:
            return Path(self._directory, str(fields["path"])).read_bytes()
        return str(fields.get("text", "")).encode()

    def _archive_hash(self, fields: dict[str, Any]) -> str:
        path = fields.get("path")
        if path is not None and str(path).endswith(_ARCHIVES):
            return hashlib.sha256((self._directory / path).read_bytes()).hexdigest()
        digest = hashlib.sha256()
        for name, content in sorted(self._members(fields)):
            digest.update(_header(name, len(content)) + content + bytes(-len(content) % _BLOCK))
        digest.update(bytes(2 * _BLOCK))
        return digest.hexdigest()

    def _members(self, fields: dict[str, Any], prefix: str = "") -> list[tuple[str, bytes]]:
        if "path" in fields:
            root = self._directory / fields["path"]
            files = [Path(folder) / name for folder, _, names in os.walk(root) for name in names]
            return [(prefix + str(file.relative_to(root)), file.read_bytes()) for file in files]
        found: list[tuple[str, bytes]] = []
        for name, item in (fields.get("assets") or {}).items():
            if isinstance(item, Asset):
                found.append((prefix + name, self._content(item.fields)))
            elif isinstance(item, Archive):
                found += self._members(item.fields, f"{prefix}{name}/")
        return found


def _header(name: str, size: int) -> bytes:
    """A tar header exactly as the real engine writes it: mode 600, no times, no owner."""
    encoded = name.encode()
    if len(encoded) > _NAME:
        raise WireError(
            f"the name of a file in an archive is longer than {_NAME} bytes: {name}; use the Pulumi CLI for this program"
        )
    fields = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0%b0%bustar\x0000%b%07o\0%07o\0" % (
        encoded.ljust(_NAME, b"\0"),
        0o600,
        0,
        0,
        size,
        0,
        b" " * 8,
        bytes(100),
        bytes(64),
        0,
        0,
    )
    block = fields.ljust(_BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
