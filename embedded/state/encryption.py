"""Pulumi's passphrase secrets manager: PBKDF2-SHA256 (1,000,000 rounds, 8 bytes of salt), AES-256-GCM, texts ``v1:<nonce>:<data>``."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from embedded.state.errors import NotSupportedError, StateError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ROUNDS = 1_000_000
_CHECK = "pulumi"
MISSING_PASSPHRASE = "passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables"


@functools.cache
def _key(passphrase: str, salt: bytes) -> Future[bytes]:
    """The key, derived in a thread: that takes a third of a second and no Python."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="key")
    key = pool.submit(hashlib.pbkdf2_hmac, "sha256", passphrase.encode(), salt, _ROUNDS, 32)
    pool.shutdown(wait=False)
    return key


@functools.cache
def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(_key(passphrase, salt).result())


def passphrase_from(environment: Mapping[str, str]) -> str:
    """The passphrase of ``PULUMI_CONFIG_PASSPHRASE`` or of the file in ``PULUMI_CONFIG_PASSPHRASE_FILE``. Raises ``StateError``."""
    if "PULUMI_CONFIG_PASSPHRASE" in environment:
        return environment["PULUMI_CONFIG_PASSPHRASE"]
    path = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if not path:
        raise StateError(MISSING_PASSPHRASE)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise StateError(f"unable to read PULUMI_CONFIG_PASSPHRASE_FILE: {problem}") from None


class Crypter:
    """Encrypts and decrypts the secrets of one stack. The key is derived on first use."""

    def __init__(self, passphrase: str, encryption_salt: str) -> None:
        """``encryption_salt`` is the settings' ``encryptionsalt``: ``v1:<salt>:v1:<nonce>:<data>``, the data being a known text."""
        parts = encryption_salt.split(":", 2)
        if len(parts) != 3 or parts[0] != "v1":
            raise StateError("malformed encryptionsalt in the stack's settings: expected v1:<salt>:v1:<nonce>:<data>")
        self.encryption_salt = encryption_salt
        self._passphrase = passphrase
        try:
            self._salt = base64.b64decode(parts[1], validate=True)
        except binascii.Error:
            raise StateError("malformed encryptionsalt in the stack's settings: the salt is not base64") from None

    @classmethod
    def create(cls, passphrase: str) -> Crypter:
        """A crypter with a fresh salt."""
        salt = os.urandom(8)
        sealed = _seal(_cipher(passphrase, salt), _CHECK)
        return cls(passphrase, f"v1:{base64.b64encode(salt).decode()}:{sealed}")

    def ahead(self) -> Crypter:
        """Begins to derive the key, which will be needed."""
        _key(self._passphrase, self._salt)
        return self

    def verify(self) -> Crypter:
        """Raises ``StateError`` when the passphrase is not the stack's."""
        try:
            right = self.decrypt(self.encryption_salt.split(":", 2)[2]) == _CHECK
        except StateError:
            right = False
        if not right:
            raise StateError("incorrect passphrase")
        return self

    def encrypt(self, plaintext: str) -> str:
        """A new ciphertext for ``plaintext``."""
        return _seal(_cipher(self._passphrase, self._salt), plaintext)

    def decrypt(self, ciphertext: str) -> str:
        """The plaintext of ``ciphertext``; ``StateError`` when it is no such text or was made with another passphrase."""
        from cryptography.exceptions import InvalidTag

        parts = ciphertext.split(":")
        if len(parts) != 3 or parts[0] != "v1":
            raise StateError("malformed ciphertext: expected v1:<nonce>:<data>")
        try:
            nonce, data = (base64.b64decode(part, validate=True) for part in parts[1:])
            return _cipher(self._passphrase, self._salt).decrypt(nonce, data, None).decode()
        except (InvalidTag, ValueError):
            raise StateError("failed to decrypt a secret: wrong passphrase, or the ciphertext was changed") from None


def _seal(cipher: AESGCM, plaintext: str) -> str:
    nonce = os.urandom(12)
    data = cipher.encrypt(nonce, plaintext.encode(), None)
    return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(data).decode()}"


def salt_of(secrets_provider: object) -> str | None:
    """The ``encryptionsalt`` in a deployment's ``secrets_providers``; ``None`` where there is none. Other managers are refused by name."""
    if not isinstance(secrets_provider, dict) or not secrets_provider:
        return None
    kind = secrets_provider.get("type")
    if kind != "passphrase":
        raise NotSupportedError(f"the secrets provider {kind!r}")
    state = secrets_provider.get("state")
    salt = state.get("salt") if isinstance(state, dict) else None
    return salt if isinstance(salt, str) else None
