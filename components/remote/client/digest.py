"""SHA-256 without ``hashlib`` where Python lets it: the import would take as long as a small step."""

from __future__ import annotations


def sha256(data: bytes) -> str:
    """The digest in hex."""
    try:
        from _sha256 import sha256 as made  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import sha256 as made
    return str(made(data).hexdigest())
