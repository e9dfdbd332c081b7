"""Serves the stand-in on loopback: checks each request against the description, answers, logs, and fails on demand.

Run as ``python -m sandbox.github.server CONFIGURATION``, a JSON file with ``port``, ``folder``, ``owner``, ``repository`` and
``token_file``. ``POST /__control`` takes JSON: ``{"fail": {"status": 500, "count": 2, "match": "PUT .*/secrets/", "retry_after": 1}}``
(status 0 cuts the connection), ``{"heal": true}`` (no more of these faults), ``{"dependabot": [...]}``, ``{"code_scanning": [...]}``,
``{"artifact": {"name": …, "branch": …, "packed": base64 of a ZIP file}}``, ``{"permissions": {"user": "write"}}``,
``{"drop_environment": "…"}``, ``{"drop_secret": ["environment", "NAME"]}``, ``{"touch_secret": [...]}``,
``{"reset": true}``; ``GET`` tells what is pending.
"""

from __future__ import annotations

import base64
import hmac
import http.server
import json
import re
import sys
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

from sandbox.github.description import Description
from sandbox.github.endpoints import BLOBS, Answer, Call, Endpoints, RefusedError
from sandbox.github.store import EMPTY, Store

_BODY_AT_MOST = 64 * 1024 * 1024
_MESSAGES = {
    401: "Bad credentials",
    403: "API rate limit exceeded",
    404: "Not Found",
    405: "Method Not Allowed",
    422: "Validation Failed",
}
_DOCUMENTATION = "https://docs.github.com/rest"


class GitHub:
    """The stand-in without its sockets: takes requests, gives answers. One request at a time."""

    def __init__(self, folder: Path, owner: str, repository: str, token: str) -> None:
        self._folder, self._token, self._repository = folder, token, f"/repos/{owner}/{repository}"
        self._description, self._store = Description(), Store(folder)
        self._endpoints = Endpoints(self._store, self._description, owner, repository)
        self._faults: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def handle(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> tuple[int, Any, dict[str, str]]:
        """Status, body and further headers; status 0: cut the connection."""
        address = urllib.parse.urlsplit(target)
        with self._lock:
            if address.path == "/__control":
                return self._control(method, raw)
            if address.path.startswith(BLOBS):
                return self._blob(address, headers)
            path = address.path.removeprefix("/api/v3").replace("/repositories/77", self._repository, 1)
            try:
                body = json.loads(raw) if raw else None
                problem = ""
            except ValueError:
                body, problem = None, "the body is no JSON"
            status, answer, more = self._fault(f"{method} {path}") or self._answer(
                method, path, address.query, headers, body, problem
            )
            self._log(method, target, headers, body, status, answer)
            return status, answer, more

    def _answer(
        self, method: str, path: str, query: str, headers: dict[str, str], body: Any, problem: str
    ) -> tuple[int, Any, dict[str, str]]:
        if not headers.get("user-agent"):
            return _refusal(403, "Request forbidden by administrative rules: a User-Agent is required")
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() not in ("bearer", "token") or not hmac.compare_digest(token.strip().encode(), self._token.encode()):
            return _refusal(401)
        operation = self._description.find(method, path)
        if isinstance(operation, int):
            return _refusal(operation)
        asked = urllib.parse.parse_qs(query, keep_blank_values=True)
        problems = [problem] if problem else self._description.problems(operation, asked, body)
        if problems:
            return _refusal(
                400 if problem else 422, f"Not as GitHub's description has it ({operation.name}): {'; '.join(problems[:5])}"
            )
        try:
            made = self._endpoints.answer(operation.name, Call(operation.path, {k: v[-1] for k, v in asked.items()}, body))
        except RefusedError as refused:
            return _refusal(refused.status, refused.message)
        wrong = self._description.wrong_answer(operation, made.status, made.body)
        if wrong:
            return _refusal(500, f"The stand-in's own answer is not GitHub's ({operation.name}): {'; '.join(wrong[:5])}")
        if method != "GET":
            self._store.save()
        return made.status, made.body, self._links(path, asked, made) | ({"Location": made.location} if made.location else {})

    def _links(self, path: str, asked: dict[str, list[str]], made: Answer) -> dict[str, str]:
        if not made.more:
            return {}
        size = int(asked.get("per_page", ["30"])[-1])
        if path.endswith("/dependabot/alerts"):
            further = {"after": str(int(asked.get("after", ["0"])[-1]) + size)}
        else:
            further = {"page": str(int(asked.get("page", ["1"])[-1]) + 1)}
        query = urllib.parse.urlencode({**{k: v[-1] for k, v in asked.items()}, **further})
        return {"Link": f'<{{base}}{path}?{query}>; rel="next"'}

    def _blob(self, address: urllib.parse.SplitResult, headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        """An artefact's bytes. Like the real store it refuses a token of GitHub's, and an address without its signature."""
        held = self._store.data["artifacts"].get(address.path.removeprefix(BLOBS).removesuffix(".zip"))
        if held is None or address.query != "sig=stand-in" or "authorization" in headers:
            return _refusal(403, "Server failed to authenticate the request")
        return 200, base64.b64decode(held["zip"]), {"Content-Type": "application/zip"}

    def _fault(self, line: str) -> tuple[int, Any, dict[str, str]] | None:
        for fault in self._faults:
            if re.search(fault.get("match", ""), line):
                fault["count"] -= 1
                if fault["count"] <= 0:
                    self._faults.remove(fault)
                status, body, more = _refusal(fault["status"])
                if "retry_after" in fault:
                    more["Retry-After"] = str(fault["retry_after"])
                return status, body, more
        return None

    def _control(self, method: str, raw: bytes) -> tuple[int, Any, dict[str, str]]:
        if method == "GET":
            return 200, {"pending": self._faults}, {}
        try:
            orders = json.loads(raw)
            self._order(orders)
        except (ValueError, KeyError, TypeError, AttributeError, re.error) as error:
            return 400, {"message": f"No such order: {error}"}, {}
        self._store.save()
        return 200, {"ok": True}, {}

    def _order(self, orders: dict[str, Any]) -> None:
        unknown = set(orders) - {
            "fail",
            "heal",
            "reset",
            "dependabot",
            "code_scanning",
            "drop_environment",
            "drop_secret",
            "touch_secret",
            "artifact",
            "permissions",
        }
        if unknown:
            raise ValueError(", ".join(sorted(unknown)))
        data = self._store.data
        if orders.get("reset"):
            data.clear()
            data.update(json.loads(json.dumps(EMPTY)))
        if orders.get("reset") or orders.get("heal"):
            self._faults.clear()
        if "fail" in orders:
            fault = {"count": 1, **orders["fail"]}
            re.compile(fault.get("match", ""))
            fault["status"], fault["count"] = int(fault["status"]), int(fault["count"])
            self._faults.append(fault)
        data.update({kind: list(orders[kind]) for kind in ("dependabot", "code_scanning") if kind in orders})
        data.update({"permissions": dict(orders["permissions"])} if "permissions" in orders else {})
        if "artifact" in orders:
            self._endpoints.keep_artifact(**{key: str(orders["artifact"][key]) for key in ("name", "branch", "packed")})
        if "drop_environment" in orders:
            for kind in ("environments", "policies", "secrets"):
                data[kind].pop(orders["drop_environment"], None)
        if "drop_secret" in orders:
            environment, name = orders["drop_secret"]
            data["secrets"][environment].pop(name)
        if "touch_secret" in orders:
            environment, name = orders["touch_secret"]
            data["secrets"][environment][name]["updated_at"] = self._store.now()

    def _log(self, method: str, target: str, headers: dict[str, str], body: Any, status: int, answer: Any) -> None:
        if isinstance(body, dict) and isinstance(body.get("encrypted_value"), str):
            body = {**body, "encrypted_value": f"<{len(body['encrypted_value'])} characters>"}
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "request": f"{method} {target}",
            "agent": headers.get("user-agent"),
            "body": body,
            "status": status,
            "message": answer.get("message") if status >= 400 and isinstance(answer, dict) else None,
        }
        with (self._folder / "requests.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")


def _refusal(status: int, message: str = "") -> tuple[int, Any, dict[str, str]]:
    body = {"message": message or _MESSAGES.get(status, "Server Error"), "documentation_url": _DOCUMENTATION, "status": str(status)}
    return status, body, {}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    github: GitHub

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the stand-in keeps a log of its own, without secrets."""

    def _serve(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > _BODY_AT_MOST or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            self._send(413, {"message": "Payload Too Large"}, {})
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, body, more = self.github.handle(self.command, self.path, headers, self.rfile.read(int(length)))
        if status == 0:
            self.close_connection = True
            return
        self._send(status, body, more)

    def _send(self, status: int, body: Any, more: dict[str, str]) -> None:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", more.pop("Content-Type", "application/json; charset=utf-8"))
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.send_header("X-GitHub-Media-Type", "github.v3; format=json")
        self.send_header("X-RateLimit-Limit", "5000")
        self.send_header("X-RateLimit-Remaining", "0" if status in (403, 429) else "4999")
        self.send_header("X-RateLimit-Reset", str(int(time.time()) + 1))
        for name, value in more.items():
            self.send_header(name, value.replace("{base}", f"http://{self.headers.get('Host', '127.0.0.1')}"))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815


def serve(port: int, github: GitHub) -> http.server.ThreadingHTTPServer:
    """A server that is bound and not yet running."""
    handler = type("Handler", (_Handler,), {"github": github})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    return server


def main(arguments: list[str]) -> None:
    """Serves until it is ended."""
    given = json.loads(Path(arguments[0]).read_text())
    token = json.loads(Path(given["token_file"]).read_text())["github-token"]
    serve(given["port"], GitHub(Path(given["folder"]), given["owner"], given["repository"], token)).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
