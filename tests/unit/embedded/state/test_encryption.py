"""The passphrase secrets manager reads what Pulumi wrote, and notices a wrong passphrase."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedded.state.encryption import Crypter, passphrase_from, salt_of
from embedded.state.errors import NotSupportedError, StateError

# Written by Pulumi 3.259.0 with the passphrase "conformance" (recorded case cli-config-stack).
SALT = "v1:sluopMbUbys=:v1:XAv/7XeK3+VO+XHA:favgQJ0hbrcVX+EDYmjJf1TjIciyjA=="
CIPHERTEXT = "v1:D9sz6M7pPYsG492u:2u5hf4V8XrpsD7m2tovQ4dVpu68u2RE="


def test_reads_pulumis_ciphertext() -> None:
    assert Crypter("conformance", SALT).verify().decrypt(CIPHERTEXT) == "tok-123"


def test_wrong_passphrase_is_detected() -> None:
    with pytest.raises(StateError, match="incorrect passphrase"):
        Crypter("other", SALT).verify()


def test_each_encryption_differs_and_comes_back() -> None:
    crypter = Crypter("conformance", SALT)
    first, second = crypter.encrypt("ümläut"), crypter.encrypt("ümläut")
    assert first != second
    assert crypter.decrypt(first) == crypter.decrypt(second) == "ümläut"


@pytest.mark.parametrize("text", ["", "v1:", "v1:a:b", "v2:D9sz6M7pPYsG492u:2u5h", "v1:D9sz6M7pPYsG492u:AAAA", "x" * 100_000])
def test_damaged_ciphertext_is_refused(text: str) -> None:
    with pytest.raises(StateError):
        Crypter("conformance", SALT).decrypt(text)


@pytest.mark.parametrize("salt", ["", "v1", "v2:a:b", "v1:???:v1:a:b"])
def test_damaged_salt_is_refused(salt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedded.state.encryption._ROUNDS", 10)
    with pytest.raises(StateError):
        Crypter("conformance", salt).verify()


def test_passphrase_comes_from_variable_or_file(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from file\n")
    assert passphrase_from({"PULUMI_CONFIG_PASSPHRASE": "", "PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}) == ""
    assert passphrase_from({"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}) == "from file"
    with pytest.raises(StateError, match="must be set"):
        passphrase_from({})
    with pytest.raises(StateError, match="unable to read"):
        passphrase_from({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "none")})


def test_other_secrets_managers_are_refused_by_name() -> None:
    with pytest.raises(NotSupportedError, match="'cloud'"):
        salt_of({"type": "cloud", "state": {}})
    assert salt_of(None) is None
