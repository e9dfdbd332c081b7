"""What the stand-in keeps on disk: environments, secrets as sealed boxes, issues, alerts. One JSON file, replaced by one rename."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

EMPTY: dict[str, Any] = {
    "next": 1,
    "clock": 0,
    "environments": {},
    "policies": {},
    "secrets": {},
    "issues": {},
    "comments": {},
    "artifacts": {},
    "permissions": {},
    "dependabot": [],
    "code_scanning": [],
}


class Store:
    """The stand-in's memory in ``folder`` (700): ``state.json`` and the private key ``key``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.data: dict[str, Any] = {**json.loads(json.dumps(EMPTY)), **_read(folder / "state.json")}
        self._key = private_key(folder, make=True)

    @property
    def public_key(self) -> dict[str, str]:
        """The key that secrets are sealed for."""
        return {"key_id": self._key.public_key.encode().hex()[:16], "key": base64.b64encode(self._key.public_key.encode()).decode()}

    def opens(self, sealed: str) -> bytes | None:
        """The text in a sealed box (base64), or ``None`` where it was not sealed for this key."""
        return open_sealed(self._key, sealed)

    def number(self) -> int:
        """A number that was not used before."""
        self.data["next"] += 1
        return int(self.data["next"]) - 1

    def now(self) -> str:
        """A time that is later than every one before, in GitHub's form; runs by itself so that answers can be compared."""
        self.data["clock"] += 1
        tick = self.data["clock"]
        return f"2026-01-{1 + tick // 86400:02d}T{tick // 3600 % 24:02d}:{tick // 60 % 60:02d}:{tick % 60:02d}Z"

    def save(self) -> None:
        """Writes the state."""
        _replace(self._folder / "state.json", json.dumps(self.data))


def private_key(folder: Path, make: bool = False) -> PrivateKey:
    """The key in ``folder``. Raises ``FileNotFoundError`` where there is none and ``make`` is not asked for."""
    path = folder / "key"
    if make and not path.exists():
        _replace(path, base64.b64encode(PrivateKey.generate().encode()).decode())
    return PrivateKey(base64.b64decode(path.read_text()))


def open_sealed(key: PrivateKey, sealed: str) -> bytes | None:
    """The text in a sealed box (base64), or ``None`` where this key does not open it."""
    try:
        return bytes(SealedBox(key).decrypt(base64.b64decode(sealed, validate=True)))
    except (CryptoError, ValueError, TypeError):
        return None


def received_secrets(folder: Path) -> dict[str, dict[str, str]]:
    """The secrets that the stand-in holds, opened: environment → name → value. For tests."""
    key = private_key(folder)
    held = _read(folder / "state.json").get("secrets", {})
    return {
        environment: {name: (open_sealed(key, secret["sealed"]) or b"").decode() for name, secret in secrets.items()}
        for environment, secrets in held.items()
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return held if isinstance(held, dict) else {}


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
