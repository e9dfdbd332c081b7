"""How a release of PHP goes live on this host: what its web server's PHP allows, asked of the live sites."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalog.models import Service
from components.release import probe
from operations import remote
from operations.doctor.finding import Finding
from operations.problem import Problem
from operations.wording import on_one_line

_WAYS = {
    "reset": "a one-time file clears OPcache of all its processes (opcache_reset)",
    "expire": "OPcache may not be cleared, so the former release's files get new times, and OPcache looks at them every few seconds",
    "renew": "there is no OPcache, and the account replaces its own PHP-FPM processes, which remember where links led",
    "clear": "there is no OPcache, and each process is asked to forget where links led",
}
TABLE = "docs/activation.md has the times"


def look(root: Path, stack: str, domain: str, services: Mapping[str, Service], live: Mapping[str, str | None]) -> list[Finding]:
    """One finding for each kind of PHP, with the services that have it. ``live``: the release of each service, if any."""
    kinds: dict[tuple[bool | None, str], list[str]] = {}
    for key, entry in services.items():
        release = live.get(key)
        if entry.runtime != "php" or release is None:
            continue
        try:
            request = {
                "service": key,
                "release": release,
                "target": entry.path,
                "probe": probe(entry, domain),
                "web_root": entry.web_root,
            }
            found = _kind(remote.run(root, stack, "running", request), release)
        except Problem as problem:
            found = (False, str(problem))
        kinds.setdefault(found, []).append(key)
    return [Finding("PHP", good, f"{', '.join(keys)}: {text}") for (good, text), keys in kinds.items()]


def _kind(told: Mapping[str, Any], release: str) -> tuple[bool | None, str]:
    if told.get("sapi") is None:
        return None, (
            "PHP gives no answer at a file of ours, so nobody knows how it takes a new release; the first deploy tells, and puts "
            f"the former one back where it does not; {TABLE}"
        )
    sapi, version, how = on_one_line(told["sapi"], 20), on_one_line(told["php"], 20), told.get("how")
    cache = "without OPcache"
    if told.get("opcache"):
        cache = "with OPcache" + ("" if told.get("timestamps") else " that never looks at files' times")
    what = f"PHP {version} ({sapi}) {cache}"
    if told.get("runs") != release:
        other = on_one_line(told.get("runs"), 40)
        return (
            False,
            f"{what} runs the code of {other} and not of the live release; deploy it again, which clears what PHP remembers",
        )
    if how not in _WAYS:
        return False, (
            f"{what}, and no site may clear it (opcache_reset is disabled): no new release could go live; ask the hoster, or set "
            "opcache.validate_timestamps=1 in the panel's PHP settings"
        )
    return True, f"{what}: a new release goes live because {_WAYS[how]}; {TABLE}"
