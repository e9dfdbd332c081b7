"""The sandbox's certificates hold for a strict verifier and change only where they must."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from sandbox import authority


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """An authority in ``tmp_path``."""
    authority.authority(tmp_path / "ca.pem", tmp_path / "ca.key")
    return tmp_path


def _issue(ca: Path, *names: str) -> bool:
    return authority.issue(ca / "ca.pem", ca / "ca.key", ca / "web.pem", ca / "web.key", names)


@pytest.mark.parametrize("name", ["api.stg.mo.localhost", "127.0.0.1"])
def test_a_strict_client_trusts_the_certificate_for_its_names(ca: Path, name: str) -> None:
    _issue(ca, "mo.localhost", "api.stg.mo.localhost", "127.0.0.1")
    assert _handshake(ca, name) == "ok"


def test_a_name_that_is_not_in_it_is_refused(ca: Path) -> None:
    _issue(ca, "mo.localhost")
    assert "Hostname mismatch" in _handshake(ca, "votes.mo.localhost")


def test_a_certificate_is_made_anew_for_other_names_or_another_authority_only(ca: Path) -> None:
    assert _issue(ca, "a.localhost")
    assert not _issue(ca, "a.localhost")
    assert _issue(ca, "a.localhost", "b.localhost")
    (ca / "ca.key").unlink()
    authority.authority(ca / "ca.pem", ca / "ca.key")
    assert _issue(ca, "a.localhost", "b.localhost")
    (ca / "web.pem").write_text("-----BEGIN CERTIFICATE-----\ncut")
    assert _issue(ca, "a.localhost", "b.localhost")


def test_keys_are_readable_by_their_owner_only(ca: Path) -> None:
    _issue(ca, "a.localhost")
    authority.ssh_key(ca / "id", "someone")
    assert {path.name for path in ca.iterdir() if path.stat().st_mode & 0o077 == 0} == {"ca.key", "web.key", "id"}
    assert authority.ssh_key(ca / "id", "someone") == (ca / "id.pub").read_text().rsplit(" ", 1)[0]


def _handshake(ca: Path, name: str) -> str:
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(ca / "web.pem", ca / "web.key")
    client_side = ssl.create_default_context(cafile=str(ca / "ca.pem"))
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    here, there = socket.socketpair()

    def serve() -> None:
        try:
            server_side.wrap_socket(there, server_side=True).close()
        except (ssl.SSLError, OSError):
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client_side.wrap_socket(here, server_hostname=name).close()
    except ssl.SSLCertVerificationError as error:
        return str(error)
    finally:
        here.close()
        thread.join()
    return "ok"
