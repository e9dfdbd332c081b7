"""The API as it runs on the host: a process of its own, a database that Alembic made, a mail server that is asked for real."""

from __future__ import annotations

import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

API = Path(__file__).resolve().parents[2] / "api.menschlichkeit-oesterreich.at"
PASSWORD = "a long enough password"


class Mail(socketserver.StreamRequestHandler):
    """As much SMTP as one message needs; keeps the messages."""

    messages: list[str] = []  # noqa: RUF012

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go\r\n")
                text = b""
                while (more := self.rfile.readline()) not in (b".\r\n", b""):
                    text += more
                self.messages.append(text.decode())
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the running API."""
    folder = tmp_path_factory.mktemp("api")
    mail = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
    threading.Thread(target=mail.serve_forever, args=(0.05,), daemon=True).start()
    (folder / "secrets.env").write_text(f"JWT_SECRET='test'\nSMTP_HOST='127.0.0.1'\nSMTP_PORT='{mail.server_address[1]}'\n")
    environment = {
        **os.environ,
        "MO_SECRETS_ENV": str(folder / "secrets.env"),
        "MO_DATABASE_URL": f"sqlite:///{folder}/api.sqlite",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=API, env=environment, check=True, timeout=120)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "app.main:app",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen(command, cwd=API, env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Host": "api.example.org"}, trust_env=False) as client:
            _answers(client, process)
            yield client
    finally:
        process.terminate()
        process.wait(30)
        mail.shutdown()
        mail.server_close()


def _answers(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.get("/health")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the API did not come up")


def test_the_process_serves_the_schema_that_alembic_made(api: httpx.Client) -> None:
    newest = max(path.name.split("_")[0] for path in (API / "alembic" / "versions").glob("0*.py"))
    told = api.get("/health").json()["database"]
    assert told["schema"].startswith(newest)


def test_a_member_joins_by_the_mailed_link_and_keeps_a_profile(api: httpx.Client) -> None:
    member = {"email": "anna@example.org", "name": "Anna", "password": PASSWORD}
    before = api.get("/health").json()["database"]["members"]
    assert api.post("/register", json=member).status_code == 202
    assert api.post("/login", json=member).status_code == 403
    link = re.search(r"https://frontend\.example\.org/#/verify/([0-9a-f]{32})", Mail.messages[-1])
    assert link is not None
    assert api.post("/verify", json={"token": link[1]}).status_code == 200
    token = api.post("/login", json=member).json()["token"]
    mine = {"Authorization": f"Bearer {token}"}
    assert api.patch("/profile", json={"bio": "Grüße"}, headers=mine).status_code == 200
    assert api.get("/profile", headers=mine).json()["bio"] == "Grüße"
    assert api.get("/health").json()["database"]["members"] == before + 1


def test_a_wrong_password_and_a_forged_token_are_refused(api: httpx.Client) -> None:
    assert api.post("/login", json={"email": "anna@example.org", "password": "wrong"}).status_code == 401
    assert api.get("/profile", headers={"Authorization": "Bearer a.b.c"}).status_code == 401
