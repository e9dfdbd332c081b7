"""``run health``: asks the public URL from outside. No SSH."""

from __future__ import annotations

import time

from . import connection as connections
from .failure import Failure
from .probe import Probe
from .request import release, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``release``, ``probe``. Result: ``status``, ``ms`` (of the last round), ``url``."""
    key = service(request)
    wanted = release(request) if request.get("release") else None
    probe = Probe(request["probe"], connections.load(str(request["stack"])).edge, wanted)
    wrong = probe.live() or probe.served_secrets()
    if wrong:
        raise Failure(
            f"{key}: {wrong}; expected status {probe.status} {probe.successes} times in a row; look at the service's error log on the host."
        )
    began = time.monotonic()
    again = probe.once(began + probe.timeout)
    if again:
        raise Failure(f"{key}: {probe.url()} {again}, right after it had answered well.")
    return {"release": wanted, "status": probe.answered, "ms": round((time.monotonic() - began) * 1000), "url": probe.url()}
