"""Hashes of assets and archives: the engine completes them when a program hands them over."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

from embedded.values import Archive, Asset, PropertyValue
from embedded.wire import WireError

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
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, content in sorted(self._members(fields)):
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(content), 0o600
                tar.addfile(info, io.BytesIO(content))
        # Two empty blocks end a tar file; tarfile pads further, to a record.
        length = tar.offset if hasattr(tar, "offset") else buffer.tell()
        return hashlib.sha256(buffer.getvalue()[:length].rstrip(b"\0") + b"").hexdigest()

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
