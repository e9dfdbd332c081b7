"""The sandbox's own certificate authority and the certificates and keys that it makes."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.account import write

_DAYS = 397
_RENEW_BEFORE = datetime.timedelta(days=30)


def authority(certificate: Path, key: Path) -> None:
    """Makes the authority's certificate and key where they are missing or about to expire."""
    if key.is_file() and _valid(certificate, None):
        return
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mo-deploy sandbox authority")])
    public = private.public_key()
    built = (
        _builder(subject, subject, public)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )
    write(key, _pem(private), 0o600)
    write(certificate, built.public_bytes(serialization.Encoding.PEM).decode())


def issue(ca: Path, ca_key: Path, certificate: Path, key: Path, names: Sequence[str], user: str | None = None) -> bool:
    """A server certificate for these host names and addresses, valid 397 days; says whether it had to be made anew."""
    issuer = x509.load_pem_x509_certificate(ca.read_bytes())
    if key.is_file() and _valid(certificate, list(names), issuer):
        return False
    signer = serialization.load_pem_private_key(ca_key.read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{ca_key} is not the key that this module makes")
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    built = (
        _builder(subject, issuer.subject, private.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    write(key, _pem(private), 0o600, user)
    write(certificate, built.public_bytes(serialization.Encoding.PEM).decode())
    return True


def ssh_key(path: Path, comment: str) -> str:
    """An OpenSSH ed25519 key at ``path`` (600), made where it is missing; gives its public line without the comment."""
    if not path.is_file():
        private = ed25519.Ed25519PrivateKey.generate()
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
        write(path, private.private_bytes(encoding, form, serialization.NoEncryption()).decode(), 0o600)
    loaded = serialization.load_ssh_private_key(path.read_bytes(), None)
    line = loaded.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    write(path.with_name(path.name + ".pub"), f"{line} {comment}\n")
    return line


def _builder(subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(private: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _valid(certificate: Path, names: list[str] | None, issuer: x509.Certificate | None = None) -> bool:
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    if loaded.not_valid_after_utc - datetime.datetime.now(datetime.UTC) < _RENEW_BEFORE:
        return False
    if issuer is not None:
        try:
            loaded.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            return False
    if names is None:
        return True
    held = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return list(held) == [_general(name) for name in names]
