"""What stands for a host in these tests: a MariaDB, a mail server, a release laid out as a deploy leaves it, PHP serving it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import subprocess
import time
import urllib.request
from email import message_from_bytes
from email.message import Message
from pathlib import Path

Mails = tuple[int, list[Message]]
"""A mail server's port and what it has received."""


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Waits until something listens on ``port``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended by itself"
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port} after {seconds} s")


class MariaDB:
    """A server of the test's own. ``run`` gives what a statement prints."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "s")
        self.port = free_port()
        account = f"--user={'root' if os.geteuid() == 0 else os.environ.get('USER', '')}"
        install = [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={folder}/data",
            "--auth-root-authentication-method=normal",
            account,
        ]
        subprocess.run([*install, "--skip-test-db"], check=True, capture_output=True)
        options = [
            f"--datadir={folder}/data",
            f"--socket={self.socket}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
        ]
        self.process = subprocess.Popen(
            ["mariadbd", "--no-defaults", account, *options, "--innodb-flush-log-at-trx-commit=0", f"--pid-file={folder}/pid"],
            stderr=(folder / "log").open("wb"),
        )
        wait_for(self.port, self.process)

    def run(self, sql: str, database: str = "", check: bool = True) -> str:
        """What ``sql`` prints, rows in lines, columns separated by tabs."""
        command = [
            "mariadb",
            "--no-defaults",
            "-uroot",
            f"--socket={self.socket}",
            "-BN",
            "--default-character-set=utf8mb4",
            *([database] if database else []),
        ]
        done = subprocess.run(command, input=sql, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()


class MailHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b""
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    text += part
                self.server.received.append(message_from_bytes(text))  # type: ignore[attr-defined]
            self.wfile.write(
                b"221 bye\r\n" if word == b"QUIT" else b"250-here\r\n250 HELP\r\n" if word == b"EHLO" else b"250 ok\r\n"
            )


def text_of(mail: Message) -> str:
    """A mail's text."""
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def lay_out(root: Path, key: str, dist: Path, secrets: dict[str, str]) -> Path:
    """``.deploy/<key>/`` with one release of the artefact and its secrets.env, as the deploy leaves them; the release's folder."""
    manifest = json.loads((dist / key / "manifest.json").read_bytes())
    release: Path = root / ".deploy" / key / "releases" / str(manifest["release"])
    shutil.copytree(dist / key / "tree", release, symlinks=True)
    told = {
        "service": key,
        "release": manifest["release"],
        "commit": manifest["commit"],
        "build": manifest["build"],
        "built_at": manifest["built_at"],
    }
    (release / "release.json").write_text(json.dumps(told))
    quoted = "".join(f"{name}='" + value.replace("'", "'\\''") + "'\n" for name, value in sorted(secrets.items()))
    place = release.parents[1] / "secrets.env"
    place.write_text(quoted)
    place.chmod(0o600)
    return release


class Site:
    """A PHP app that runs. ``get`` and ``post`` follow redirects as a browser does and keep its cookies."""

    def __init__(self, release: Path) -> None:
        self.release = release
        self.port = free_port()
        self.cookies: dict[str, str] = {}
        command = ["php", "-d", "display_errors=0", "-d", "log_errors=1", "-S", f"127.0.0.1:{self.port}", "-t", str(release)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=(release.parent / "php.log").open("ab"))
        wait_for(self.port, self.process)

    def request(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """One request; status and text."""
        sent = {"Host": f"site.mo.localhost:{self.port}", **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body, headers=sent)
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=10) as answer:
            for cookie in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            status, text, where = answer.status, answer.read().decode(), answer.headers.get("Location")
        return self.request("/" + where.removeprefix("./")) if status == 303 else (status, text)


class _NoRedirect(urllib.request.HTTPErrorProcessor):
    def http_response(self, request: urllib.request.Request, response: object) -> object:
        return response

    https_response = http_response
