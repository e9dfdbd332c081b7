"""``env`` writes the secrets file exactly, for its owner only, at once or not at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import PROJECT, Remote, free_port

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
    "I": "ends with \\",
    "J": "'",
    "K": "''\\''\"${HOME}$(id)`id`",
    "L": "B='nested'",
    "M": "\u2028\u0085\ufeff",
}
MONOREPO = PROJECT / "sandbox/monorepo"
_WITHOUT_AUTHORITIES = """
for folder in /etc/ssl /etc/pki /usr/local/share/certs; do [ ! -d $folder ] || mount -t tmpfs none $folder; done
MO_TOOL=$1 exec sh "$1/env"
"""
_SHELL = r"""
. "$0"
for name; do eval "printf '%s\\0' \"\$$name\""; done
"""
_PHP = r"""
require $argv[1];
foreach (array_slice($argv, 2) as $name) { echo Mo\setting($name), "\0"; }
"""
# Without the API's own packages: the reader needs none of them.
_PYTHON = r"""
import importlib.util, pathlib, sys, types
sys.modules["sqlalchemy"] = types.SimpleNamespace(URL=None)
spec = importlib.util.spec_from_file_location("settings", sys.argv[1])
settings = importlib.util.module_from_spec(spec)
spec.loader.exec_module(settings)
found = settings.parse(pathlib.Path(sys.argv[2]).read_text("utf-8"))
sys.stdout.write("".join(found[name] + chr(0) for name in sys.argv[3:]))
"""
_NODE = r"""
const found = settings(process.argv[1]);
for (const name of process.argv.slice(2)) process.stdout.write(found[name] + String.fromCharCode(0));
"""


def _reading(reader: str, base: Path) -> list[str]:
    """The program that reads ``base``'s file and tells the values of the names that follow, each ended by NUL."""
    file = str(base / "secrets.env")
    match reader:
        case "shell":
            return ["dash", "-c", _SHELL, file]
        case "php":
            shutil.copytree(MONOREPO / "shared/php", base / "releases/r/lib")
            return ["php", "-r", _PHP, "--", str(base / "releases/r/lib/app.php")]
        case "python":
            return [sys.executable, "-c", _PYTHON, str(MONOREPO / "api.menschlichkeit-oesterreich.at/app/settings.py"), file]
        case _:
            # The documentation's own lines, as somebody copies them.
            text = (PROJECT / "docs/host-protocol.md").read_text()
            lines = text[text.index("    import { readFileSync }") :].split("\n\n")[0].splitlines()
            return ["node", "--input-type=module", "-e", "\n".join(line[4:] for line in lines) + _NODE, file]


def test_values_come_back_exactly_and_the_file_is_private(remote: Remote) -> None:
    assert remote.run("env", service="votes", variables=HOSTILE)["changed"] is True
    path = remote.root / ".deploy/votes/secrets.env"
    assert oct(path.stat().st_mode & 0o7777) == "0o600"
    for name, value in HOSTILE.items():
        shown = subprocess.run(["dash", "-c", f'. "$0"; printf %s "${name}"', str(path)], capture_output=True, check=True).stdout
        assert shown.decode() == value
    assert remote.run("env", service="votes", variables=HOSTILE)["changed"] is False


@pytest.mark.parametrize("reader", ["shell", "php", "python", "node"])
def test_each_reader_of_the_monorepo_reads_every_value_exactly(remote: Remote, reader: str) -> None:
    remote.run("env", service="votes", variables=HOSTILE)
    done = subprocess.run([*_reading(reader, remote.root / ".deploy/votes"), *HOSTILE], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert dict(zip(HOSTILE, done.stdout.decode().split("\0")[:-1], strict=True)) == HOSTILE


def test_refuses_what_the_file_cannot_hold_without_showing_it(remote: Remote) -> None:
    for value in ("secret\0value", "secret\rvalue"):
        assert "line break or NUL" in remote.refused("env", service="votes", variables={"KEY": value})
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


def test_a_host_that_trusts_no_authority_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    text = "DB_SSL_CA='system'\n"
    fields = {
        "root": tmp_path,
        "stack": "sandbox",
        "service": "votes",
        "action": "write",
        "bytes": len(text),
        "ca_bytes": 0,
        "target": "",
        "probe": "",
    }
    request = "".join(f"q_{name}='{value}'\n" for name, value in fields.items()) + ".\n" + text
    tool = str(PROJECT / "components/remote/host")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", _WITHOUT_AUTHORITIES, "sh", tool], input=request, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    said = done.stdout.splitlines()[-1]
    assert said.startswith("@fail\tthe host has no file of the certificate authorities that it trusts (/etc/ssl/certs/")
    assert said.endswith("name one of this machine by caFile in mo:servers; nothing was changed")
    assert not (tmp_path / ".deploy/votes/secrets.env").exists()
