"""``found`` asks GitHub once which secrets there are, takes no answer for no secret but a plain 404, and hands its token to nobody else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.remote.client import found
from components.remote.client.failure import Failure

NAMES = ["JWT_SECRET", "SESSION_SECRET"]


class GitHub:
    """Answers every question alike."""

    def __init__(self, folder: Path) -> None:
        self.status, self.body, self.headers = 200, b"{}", dict[str, str]()
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Authorization"]))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/v3/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        github = {"owner": "acme", "repository": "site", "environment": "production", "base_url": self.url, "token": "canary-token"}
        host = {"name": "web1", "address": "192.0.2.1", "port": 22, "user": "u", "root": "/srv", "host_keys": ["ssh-ed25519 AAAA"]}
        (folder / "connection.json").write_text(json.dumps({"version": 1, **host, "github": github}))

    def holds(self, *names: str) -> None:
        self.body = json.dumps({"total_count": len(names), "secrets": [{"name": name} for name in names]}).encode()


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    monkeypatch.setenv("MO_STATE_DIR", str(tmp_path))
    made = GitHub(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


def _ask() -> dict[str, Any]:
    return found.run({"stack": "production", "names": NAMES})


def test_secrets_of_others_and_an_environment_that_is_not_there_yet_stop_nothing(github: GitHub) -> None:
    github.holds("PULUMI_CONFIG_PASSPHRASE", "SSH_HOST")
    assert _ask() == {"asked": NAMES}
    assert github.asked == [("/api/v3/repos/acme/site/environments/production/secrets?per_page=100", "Bearer canary-token")]
    github.status, github.body = 404, b'{"message": "Not Found"}'
    assert _ask() == {"asked": NAMES}


def test_one_that_would_be_replaced_is_named_with_both_ways_out(github: GitHub) -> None:
    github.holds("SESSION_SECRET", "SSH_HOST")
    with pytest.raises(Failure) as refused:
        _ask()
    said = str(refused.value)
    assert said.startswith(
        "The GitHub environment production holds SESSION_SECRET already, and the stack production would replace it"
    )
    assert "--secret --path 'mo:existing.SESSION_SECRET'" in said
    assert "gh secret delete SESSION_SECRET --repo acme/site --env production" in said


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b"{}", "GitHub answers 500"),
        (401, b"{}", "GitHub answers 401"),
        (302, b"", "GitHub answers 302"),
        (200, b"<html>", "cannot be read"),
        (200, b"[]", "cannot be read"),
        (200, b'{"secrets": null}', "cannot be read"),
    ],
)
def test_no_other_answer_counts_as_none_there(github: GitHub, status: int, body: bytes, said: str) -> None:
    github.status, github.body, github.headers = status, body, {"Location": github.url + "elsewhere"}
    with pytest.raises(Failure, match=said) as refused:
        _ask()
    assert "canary" not in str(refused.value)
    assert len(github.asked) == 1
    github.server.shutdown()
    github.server.server_close()
    with pytest.raises(Failure, match="cannot be asked"):
        _ask()
