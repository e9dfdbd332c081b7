"""The doctor tries the web server's 503 rule by a request that the rule closes for itself alone, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from catalog import reader
from operations.doctor import maintenance
from operations.problem import Problem
from tests.unit.components.program import RAW, loaded

CRM = {key: entry for key, entry in reader.read().services.items() if key in ("crm", "votes")}


class Web:
    """A web server in front of ``root``. ``rule``: whether it has the rule; ``retry``: whether it says when to come back."""

    def __init__(self, root: Path) -> None:
        self.root, self.rule, self.retry, self.asked = root, True, True, []  # type: ignore[var-annotated]
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token, base = self.headers.get("X-Mo-Probe") or "none", web.root / ".deploy/crm"
                web.asked.append((self.headers["Host"], token))
                down = web.rule and ((base / "maintenance").exists() or (base / f"shut-{token}").exists())
                self.send_response(503 if down else 200)
                if down and web.retry:
                    self.send_header("Retry-After", "30")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    def run(_root: Path, _stack: str, step: str, request: dict[str, Any]) -> dict[str, Any]:
        assert (step, request["service"]) == ("exec", "crm")
        done = subprocess.run(request["command"], capture_output=True, text=True, check=False)
        return {"exit": done.returncode, "output": done.stderr}

    monkeypatch.setattr("operations.remote.run", run)
    found = Web(tmp_path / "root")
    found.root.mkdir()
    yield found
    found.server.shutdown()


def look(web: Web, project: Path) -> list[tuple[bool | None, str]]:
    edge = {"scheme": "http", "port": 80, "connect": f"127.0.0.1:{web.server.server_port}"}
    settings = loaded(project, host={**RAW["host"], "root": str(web.root)}, edge=edge).settings
    return [(one.good, f"{one.what}: {one.text}") for one in maintenance.look(project, "sandbox", settings, CRM)]


def left(web: Web) -> list[str]:
    return sorted(path.relative_to(web.root).as_posix() for path in web.root.rglob("*") if path.is_file())


def test_a_server_with_the_rule_closes_for_the_one_request_and_nothing_stays(web: Web, tmp_path: Path) -> None:
    ((good, text),) = look(web, tmp_path)
    assert (good, text) == (True, "crm: the web server can close the site for its offline migrations (503)")
    assert [token == "none" for _, token in web.asked] == [True, False], "a service without offline migrations is not asked"
    assert web.asked[0][0].startswith("crm.")
    assert left(web) == []
    assert not (web.root / ".deploy/crm").exists()


@pytest.mark.parametrize(("rule", "retry"), [(False, True), (True, False)])
def test_a_server_without_the_whole_rule_is_a_fault_with_the_place_of_the_rule(
    web: Web, tmp_path: Path, rule: bool, retry: bool
) -> None:
    web.rule, web.retry = rule, retry
    ((good, text),) = look(web, tmp_path)
    assert good is False
    assert "docs/runbook.md (Once, for a service that migrates offline)" in text
    assert left(web) == []


def test_a_site_that_is_closed_already_or_silent_proves_nothing(web: Web, tmp_path: Path) -> None:
    (web.root / ".deploy/crm").mkdir(parents=True)
    (web.root / ".deploy/crm/maintenance").touch()
    ((good, text),) = look(web, tmp_path)
    assert (good, "503 to everybody" in text) == (None, True)
    assert left(web) == [".deploy/crm/maintenance"]
    web.server.shutdown()
    web.server.server_close()
    ((good, text),) = look(web, tmp_path)
    assert (good, "gives no answer" in text) == (None, True)


def test_where_nobody_can_be_asked_the_rule_is_named() -> None:
    ((good, text),) = [(one.good, f"{one.what}: {one.text}") for one in maintenance.named(CRM)]
    assert (good, text.startswith("crm: migrates offline")) == (None, True)


def test_a_host_that_refuses_is_one_fault(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise Problem("the folder is not there")

    monkeypatch.setattr("operations.remote.run", refused)
    assert look(web, tmp_path) == [(False, "crm: the folder is not there")]
