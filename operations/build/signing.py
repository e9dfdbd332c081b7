"""The key that signs attestations: Ed25519, one file of the owner's alone."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from operations.build.errors import BuildError
from operations.build.store import write


@dataclass(frozen=True)
class Signer:
    """A private key and who it speaks for. ``builder`` is the builder's id (a URI) that attestations name."""

    key: Ed25519PrivateKey
    builder: str

    @property
    def public(self) -> str:
        """The public key as one line, 64 hex digits: what a stack's settings declare as a trusted signer."""
        return self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()

    @property
    def key_id(self) -> str:
        """A short name of the public key."""
        return hashlib.sha256(bytes.fromhex(self.public)).hexdigest()[:16]


def load(place: Path, builder: str) -> Signer:
    """The signer with the key in ``place`` (PEM). Raises ``BuildError`` where it is none, or where others may read it."""
    try:
        with place.open("rb") as stream:
            others = stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077
            raw = stream.read(10_000)
    except OSError as error:
        raise BuildError(f"The signing key {place} cannot be read: {error.strerror}.") from None
    if others:
        raise BuildError(f"The signing key {place} can be read by others; run `chmod 600 {place}`.")
    try:
        key = serialization.load_pem_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BuildError(
            f"The signing key {place} is no Ed25519 private key in PEM without a passphrase; "
            "make one with `openssl genpkey -algorithm ed25519`."
        )
    return Signer(key, builder)


def load_or_make(place: Path, builder: str) -> Signer:
    """The signer with the key in ``place``; where there is no file, a new key is made there, mode 600. Its public half stands beside it
    (``.pub``, one line of hex)."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        fresh = place.with_name(f".{place.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(pem)
        try:
            # A link, not a rename: of two that make a key at once, the first one's stays.
            os.link(fresh, place)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    signer = load(place, builder)
    public = place.with_suffix(".pub")
    if not public.exists() or public.read_bytes() != f"{signer.public}\n".encode():
        write(public, f"{signer.public}\n".encode())
    return signer
