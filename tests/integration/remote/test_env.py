"""``env`` writes the secrets file exactly, for its owner only, at once or not at all."""

from __future__ import annotations

import subprocess

import pytest

from .conftest import Remote, free_port

pytestmark = pytest.mark.sandbox

HOSTILE = {
    "A": "it's",
    "B": 'a"b$c`d\\e',
    "C": "",
    "D": " lead and trail ",
    "E": "ü€😀",
    "F": "';rm -rf /;'",
    "G": "x" * 100_000,
    "H": "\t#!%&*",
}


def test_values_come_back_exactly_and_the_file_is_private(remote: Remote) -> None:
    assert remote.run("env", service="votes", variables=HOSTILE)["changed"] is True
    path = remote.root / ".deploy/votes/secrets.env"
    assert oct(path.stat().st_mode & 0o7777) == "0o600"
    for name, value in HOSTILE.items():
        shown = subprocess.run(["dash", "-c", f'. "$0"; printf %s "${name}"', str(path)], capture_output=True, check=True).stdout
        assert shown.decode() == value
    assert remote.run("env", service="votes", variables=HOSTILE)["changed"] is False


def test_refuses_what_the_file_cannot_hold_without_showing_it(remote: Remote) -> None:
    sentence = remote.refused("env", service="votes", variables={"KEY": "secret\nvalue"})
    assert "KEY" in sentence
    assert "secret\n" not in sentence
    assert "value" not in sentence.replace("the value of", "")
    assert "not a name" in remote.refused("env", service="votes", variables={"a b": "x"})


def test_opens_one_login_for_many_steps(remote: Remote) -> None:
    before = remote.sshd.logins
    children = [remote.popen("env", service=f"s{n}", variables={"A": str(n)}) for n in range(22)]
    for child in children:
        _, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
    assert remote.sshd.logins - before == 1


def test_another_clone_shares_the_master_and_its_socks_port(remote: Remote) -> None:
    remote.socks_port = free_port()
    remote.write()
    assert remote.run("connect")["opened"] is True
    before = remote.sshd.logins
    remote.state = remote.folder / "other clone"
    remote.state.mkdir()
    remote.write()
    assert remote.run("connect")["opened"] is False
    assert remote.sshd.logins == before


def test_refuses_another_host_key_and_a_wrong_key_and_no_host(remote: Remote) -> None:
    other = (remote.sshd.folder / "key.pub").read_text().split()
    remote.write(host_keys=[" ".join(other[:2])])
    assert "another host key" in remote.refused("connect")
    remote.write(key_file=str(remote.sshd.folder / "host"))
    assert "refused the login" in remote.refused("connect")
    remote.write(port=1)
    assert "cannot be reached" in remote.refused("connect")
