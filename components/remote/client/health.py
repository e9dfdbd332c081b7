"""``run health``: asks the public URL from outside; of several services in one process. No SSH."""

from __future__ import annotations

import time

from . import connection as connections
from .connection import Edge
from .failure import Failure, printable
from .probe import Probe
from .request import release, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AT_ONCE = 8
"""Services that are asked side by side."""


class _Question:
    """One service's probe, and the release that it must tell (``None``: any)."""

    def __init__(self, raw: dict[str, Any], edge: Edge) -> None:
        self.service = service(raw)
        self.wanted = release(raw) if raw.get("release") else None
        self.probe = Probe(raw["probe"], edge, self.wanted)

    def answer(self) -> dict[str, Any]:
        """``release``, ``status``, ``ms`` (of the last round), ``url``, ``files_only``, ``version``, ``note``. Raises
        ``Failure`` where it is not the expected one."""
        probe = self.probe
        wrong = probe.live() or probe.served_secrets()
        if wrong:
            raise Failure(
                f"{self.service}: {wrong}; expected status {probe.status} {probe.successes} times in a row; "
                f"look at the service's error log on the host."
            )
        began = time.monotonic()
        again = probe.once(began + probe.timeout)
        if again:
            raise Failure(f"{self.service}: {probe.url()} {again}, right after it had answered well.")
        milliseconds = round((time.monotonic() - began) * 1000)
        version, unknown = probe.version()
        if unknown and probe.version_expected is not None:
            raise Failure(f"{self.service}: {unknown}; look at health.version in the catalogue.")
        return {
            "release": self.wanted, "status": probe.answered, "ms": milliseconds, "url": probe.url(), "files_only": probe.files_only,
            "version": version, "note": unknown,
        }  # fmt: skip


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``service``, ``release``, ``probe``, or ``services``: a list of such; result and errors: docs/host-protocol.md."""
    edge = connections.load(str(request["stack"])).edge
    if "services" not in request:
        return _Question(request, edge).answer()
    return {"services": _together({service(raw): raw for raw in request["services"]}, edge)}


def _together(questions: dict[str, dict[str, Any]], edge: Edge) -> dict[str, dict[str, Any]]:
    """Service → its answer, or ``problem``, a sentence, where it has no good one; none of them hides the others'."""
    from concurrent.futures import ThreadPoolExecutor

    def answer(key: str) -> dict[str, Any]:
        try:
            return _Question(questions[key], edge).answer()
        except Failure as failure:
            return {"problem": printable(str(failure))}
        except Exception as error:
            return {"problem": f"{key}: it could not be asked ({type(error).__name__}; docs/host-protocol.md)."}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(questions, pool.map(answer, questions), strict=True))
