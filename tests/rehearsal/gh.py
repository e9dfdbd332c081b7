"""GitHub for the real ``gh``: a socket that lets a job's token do what the permissions of the job allow, and no more."""

from __future__ import annotations

import http.client
import http.server
import re
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

HOST = "github.localhost"
"""The one host that ``gh`` asks without TLS. What lies below it gets its token too, so the store of artefacts has another name."""
_BLOBS = "blobs.example"
_NEEDED = (
    (r"GET /repos/[^/]+/[^/]+/actions/artifacts(/.*)?", ("actions",), "read"),
    (r"GET /repos/[^/]+/[^/]+/collaborators/[^/]+/permission", ("metadata",), "read"),
    (r"GET /repos/[^/]+/[^/]+/issues/\d+/comments", ("pull-requests", "issues"), "read"),
    (r"(POST|PATCH) /repos/[^/]+/[^/]+/issues/.*comments(/\d+)?", ("pull-requests", "issues"), "write"),
)
"""What GitHub asks of a job's token: request, permissions of which one is enough, level."""


def allowed(request: str, permissions: Mapping[str, str]) -> bool:
    """Whether a token with these permissions may make this request. ``metadata: read`` is every token's."""
    for pattern, names, level in _NEEDED:
        if re.fullmatch(pattern, request.partition("?")[0]):
            held = [{"metadata": "read", **permissions}.get(name) for name in names]
            return "write" in held or (level == "read" and "read" in held)
    return False


@contextmanager
def listening(folder: Path, port: int, job_token: str, token: str, permissions: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Serves while the context lasts; what ``gh`` needs in its environment. ``port``: of the stand-in; ``job_token``: what a job has, and
    ``token`` what the stand-in takes; ``permissions``: of the job that runs just now."""
    socket = folder / "gh.sock"
    (folder / "gh").mkdir(parents=True)
    (folder / "gh/config.yml").write_text(f"http_unix_socket: {socket}\nprompt: disabled\n")
    (folder / "gh/config.yml").chmod(0o600)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

        def address_string(self) -> str:
            return "gh"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "accept-encoding")}
            given = headers.pop("Authorization", None)
            if self.headers.get("Host") != _BLOBS:
                if given not in (f"token {job_token}", f"Bearer {job_token}"):
                    return self._answer(401, b'{"message": "Bad credentials"}', {})
                if not allowed(f"{self.command} {self.path}", permissions):
                    return self._answer(403, b'{"message": "Resource not accessible by integration"}', {})
                headers["Authorization"] = f"Bearer {token}"
            elif given is not None:
                headers["Authorization"] = given
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            kept = {name: value for name, value in response.getheaders() if name in ("Content-Type", "Link")}
            if location := response.getheader("Location"):
                kept["Location"] = re.sub(r"^http://[^/]+", f"http://{_BLOBS}", location)
            return self._answer(response.status, response.read(), kept)

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json; charset=utf-8",
                **headers,
                "Content-Length": str(len(body)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass  # noqa: N815

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    server = Server(str(socket), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {"GH_HOST": HOST, "GH_CONFIG_DIR": str(folder / "gh"), "GH_NO_UPDATE_NOTIFIER": "1"}
    finally:
        server.shutdown()
        server.server_close()
        socket.unlink(missing_ok=True)
