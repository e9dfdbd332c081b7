"""Puts the status page where the stack's status service shows it: a file below a persistent path, so that no release changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from catalog.exports import MonitoringExport
from catalog.models import Service
from monitoring.statuspage import State, statuspage
from operations import remote
from operations.deployment.outcome import Outcome
from operations.problem import Problem
from operations.validation.smoke import Answer

NAME = "status page"
_WRITE = (
    'cd "${0%/*}" 2>/dev/null || { echo "there is no folder ${0%/*}: deploy this service once"; exit 3; }; umask 022; new=.new.$$; '
    'if printf %b "$1" >"$new" && mv -f "$new" "${0##*/}"; then exit 0; fi; rm -f "$new"; exit 4'
)
"""Run in the live release: $0 the page's path, $1 its text with line breaks and backslashes escaped. Replaced by one rename."""


def states(answers: Mapping[str, Answer]) -> dict[str, State]:
    """What each service's answer means on the page."""
    return {key: ("files only" if answer.files_only else "up") if answer.ok else "down" for key, answer in answers.items()}


def publish(
    root: Path, stack: str, services: Mapping[str, Service], export: Mapping[str, Any] | None, answers: Mapping[str, Answer]
) -> Outcome:
    """Writes the page with what ``answers`` say now. ``export``: the stack's output ``monitoring``. Needs the connection.

    The outcome is ``ok`` where the page is live, or where the stack has no service for it; it never asks for a rollback, and nothing is
    raised.
    """
    place = next(((key, entry) for key, entry in services.items() if entry.status_page is not None), None)
    if place is None:
        return Outcome(NAME, True, "No service of this stack shows a status page.", {"published": False})
    key, entry = place
    try:
        found = MonitoringExport.model_validate(export)
    except ValidationError:
        return Outcome(NAME, False, "There is no export of this version to make the status page from.", {"published": False})
    if next((s.release for s in found.services if s.key == key), None) is None:
        return Outcome(NAME, True, f"{key} is not deployed yet, so there is no place for the status page.", {"published": False})
    text = statuspage(found, states(answers), datetime.now(UTC))["status/index.html"]
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    request = {"service": key, "target": entry.path, "command": ["sh", "-c", _WRITE, str(entry.status_page), escaped]}
    try:
        done = remote.run(root, stack, "exec", request)
    except Problem as problem:
        return Outcome(NAME, False, f"The status page was not written: {problem}", {"published": False})
    if done.get("exit") != 0:
        said = str(done.get("output") or "").strip().splitlines()
        return Outcome(NAME, False, f"The status page was not written to {key}: {said[-1] if said else 'no reason given'}.",
                       {"published": False})  # fmt: skip
    url = next(s.url for s in found.services if s.key == key)
    return Outcome(NAME, True, f"{url} shows all {len(found.services)} services.", {"published": True, "url": url})
