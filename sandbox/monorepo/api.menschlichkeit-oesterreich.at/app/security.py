"""Passwords by scrypt, and signed tokens (JWT, HS256) with the standard library alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

_COST = {"n": 2**14, "r": 8, "p": 1}


def hash_password(password: str) -> str:
    """A salted hash that ``check_password`` knows."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_text(salt)}${_text(hashlib.scrypt(password.encode(), salt=salt, **_COST))}"


def check_password(password: str, stored: str) -> bool:
    """Whether ``password`` gave ``stored``."""
    kind, salt, digest = stored.split("$")
    made = hashlib.scrypt(password.encode(), salt=_bytes(salt), **_COST)
    return kind == "scrypt" and hmac.compare_digest(made, _bytes(digest))


def issue(subject: str, secret: str, seconds: int = 3600) -> str:
    """A token that says who its bearer is, for ``seconds``."""
    head = _text(b'{"alg":"HS256","typ":"JWT"}')
    body = _text(json.dumps({"sub": subject, "exp": int(time.time()) + seconds}).encode())
    return f"{head}.{body}.{_sign(f'{head}.{body}', secret)}"


def bearer(token: str, secret: str) -> str | None:
    """Who the bearer of ``token`` is, or ``None`` where it is forged, broken or too old."""
    head, _, rest = token.partition(".")
    body, _, signature = rest.partition(".")
    if not hmac.compare_digest(signature.encode(), _sign(f"{head}.{body}", secret).encode()):
        return None
    claims: dict[str, Any] = json.loads(_bytes(body))
    return str(claims["sub"]) if claims["exp"] > time.time() else None


def _sign(text: str, secret: str) -> str:
    return _text(hmac.digest(secret.encode(), text.encode(), "sha256"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
