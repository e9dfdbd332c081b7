"""Replaces what drifted on the host by what the last update left there: no new release, no new entry in the history."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from catalog.models import Service
from operations import remote
from operations.drifts import MENDED, Drift
from operations.problem import Problem
from operations.wording import on_one_line

TIMEOUT = 3600
"""Seconds for one step."""


_DONE = {"release": "is live again", "cut": "is live, and nothing is left of what was cut", "schema": "has its migrations again"}


def mend(
    root: Path,
    stack: str,
    services: Mapping[str, Service],
    live: Mapping[str, str],
    drifts: Sequence[Drift],
    resources: Sequence[Mapping[str, Any]],
    say: Callable[[str], None],
) -> list[str]:
    """Mends releases, cut switches, schemas, files and permissions, releases first;
    gives what could not be mended. The caller holds the host's lock."""
    wrong: list[str] = []
    mended = [drift for drift in drifts if drift.kind in MENDED]
    for drift in sorted(mended, key=lambda one: one.kind not in ("release", "cut")):
        entry = services[drift.service]
        try:
            if drift.kind in ("release", "cut", "schema"):
                remote.run(root, stack, "switch", switch_request(resources, drift.service), timeout=TIMEOUT)
                what = _DONE[drift.kind]
                say(f"{drift.service}: {live[drift.service]} {what}")
            elif drift.kind == "files":
                notes = _files(root, stack, drift.service, entry, live[drift.service], resources)
                say(f"{drift.service}: its files are those of {live[drift.service]} again")
                for note in notes:
                    say(f"{drift.service}: {on_one_line(note, None)}")
        except Problem as problem:
            wrong.append(str(problem))
    if any(drift.kind == "permissions" for drift in drifts):
        places = [{"service": key, "target": entry.path, "persistent": list(entry.persistent)} for key, entry in services.items()]
        done = remote.run(root, stack, "permissions", {"services": places, "fix": True}, timeout=TIMEOUT)
        say(f"permissions: {done.get('count')} set right")
    return wrong


def _files(root: Path, stack: str, key: str, entry: Service, release: str, resources: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    request: dict[str, Any] = {"service": key, "release": release, "target": entry.path, "persistent": list(entry.persistent)}
    if entry.runtime == "php":
        request |= {"runtime": entry.runtime, "probe": switch_request(resources, key).get("probe"), "web_root": entry.web_root}
    notes = remote.run(root, stack, "mend", request, timeout=TIMEOUT).get("notes") or ()
    if entry.steps.restart is None or entry.runtime != "process":
        return notes
    commands = entry.steps.restart.commands
    programs = remote.run(root, stack, "facts", {"services": [], "programs": [command[0] for command in commands]})["programs"]
    found = next((command for command in commands if programs.get(command[0])), entry.steps.restart.command)
    restart = {"service": key, "target": entry.path, "command": list(found), "secrets": False}
    done = remote.run(root, stack, "exec", restart, timeout=TIMEOUT)
    if done.get("exit") != 0:
        raise Problem(f"{key}: its files are mended, but its restart ended with {done.get('exit')}: bin/mo logs {key}.")
    return notes


def switch_request(resources: Sequence[Mapping[str, Any]], service: str) -> dict[str, Any]:
    """The request by which the last update made the service's release live, as the state keeps it. Raises ``Problem``."""
    for resource in resources:
        if str(resource.get("urn")).endswith(f"::{service}-switch"):
            text = (resource.get("inputs") or {}).get("stdin")
            try:
                found = json.loads(str(text))
            except (TypeError, ValueError):
                break
            if isinstance(found, dict):
                return {key: value for key, value in found.items() if key not in ("protocol", "stack")}
    raise Problem(f"The state does not tell how {service} was made live; deploy it anew: bin/mo deploy --only {service}.")
