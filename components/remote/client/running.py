"""``run running``: what a service's PHP allows, asked of a canary beside the live release, for ``bin/mo doctor``."""

from __future__ import annotations

from . import connection as connections
from .canary import ACTIVATION_SECONDS, Canary, method
from .channel import Host, Reply
from .failure import printable
from .probe import Probe
from .request import relative, release, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``service``, ``release`` (live), ``target``, ``probe`` (its ``domain``), ``web_root``. Nothing is cleared.

    Result: ``how`` a release goes live (``reset``, ``expire``, ``renew``, ``clear``; ``null``: none can), ``php``, ``sapi``, ``opcache``,
    ``timestamps``, ``realpath_ttl`` (seconds), ``runs`` (the release whose code answered); all of them ``null`` where PHP did not answer.
    """
    key, live = service(request), release(request)
    host = Host(connections.load(str(request["stack"])))
    probe = Probe(request["probe"], host.connection.edge, None)
    canary = Canary(probe.site, ACTIVATION_SECONDS)

    def answer(line: str, values: list[str], reply: Reply) -> str | None:
        # What it says of a release to come is no matter of the host program's.
        return (canary.before() and "ok") if line == "probe" else None

    fields = {
        "service": key, "release": live, "target": relative(request["target"], "target"), "runtime": "php", "look": "1",
        "web_root": relative(request["web_root"], "web_root") if request.get("web_root") else "",
        "canary": canary.name, "canary_digest": canary.digest,
    }  # fmt: skip
    host.call("prove", fields, f"{key}: asking PHP", answer=answer)
    seen = canary.facts
    if seen is None:
        return dict.fromkeys(("how", "php", "sapi", "opcache", "timestamps", "realpath_ttl", "runs"))
    return {
        "how": method(seen), "php": printable(seen.php)[:20], "sapi": printable(seen.sapi)[:20], "opcache": seen.opcache,
        "timestamps": seen.timestamps, "realpath_ttl": seen.ttl, "runs": printable(seen.release)[:40],
    }  # fmt: skip
