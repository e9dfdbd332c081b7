"""The host is the one whose key was pinned."""

import base64
import binascii
import re
from typing import Any

from rules.rule import Resource, ResourceRule, Sentences
from rules.values import holds_unknown

HOST = "mo:deploy:Host"
_KINDS = re.compile(
    r"ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|rsa-sha2-(256|512)|ssh-rsa|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)


def is_key(text: Any) -> bool:
    """Whether ``text`` is a public key as OpenSSH writes it, its kind named the same inside and outside."""
    parts = text.split() if isinstance(text, str) else []
    if len(parts) < 2 or not _KINDS.fullmatch(parts[0]):
        return False
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError):
        return False
    name = parts[0].encode()
    return len(blob) >= 51 and blob[: 4 + len(name)] == len(name).to_bytes(4, "big") + name


def _pinned(resource: Resource, config: dict[str, Any]) -> Sentences:
    keys = resource.props.get("hostKeys")
    mend = "Set mo:host.hostKeys to the host's public keys, compared with the fingerprints that the hoster publishes."
    if not isinstance(keys, list) or not keys:
        yield f"{resource.name}: no host key is pinned, so anybody on the way could be the host. {mend}"
    elif holds_unknown(keys):
        yield f"{resource.name}: its host keys are not known before the update; a pinned key is written down. {mend}"
    else:
        for number, key in enumerate(keys, 1):
            if not is_key(key):
                yield f"{resource.name}: host key {number} is no OpenSSH public key of a kind that is still safe. {mend}"


RULES = (ResourceRule("host-key-pinned", "The SSH host's key is pinned.", (HOST,), _pinned),)
