"""``bin/mo logs``: what the host wrote about a service."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from operations.exit_codes import USAGE
from operations.options import DEFAULT_STACK, AsJson, ServiceName, Stack

PAUSE = 2.0
"""Seconds between two looks with ``--follow``."""

_DEPLOYMENT = 'f=$(ls -t ../../log 2>/dev/null | head -n 1); [ -n "$f" ] && { echo "$f"; tail -n "$0" "../../log/$f"; }; true'
_ERRORS = 'grep -F -- "$1" ../../../../logs/error.log 2>/dev/null | tail -n "$0"; true'


def logs(
    service: ServiceName,
    stack: Stack = DEFAULT_STACK,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines of each log.", min=1, max=2000)] = 40,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what is added, until stopped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Shows the last log of the service's deployment, and the lines of the host's error log that name its domain.

    Examples: `bin/mo logs api`; `bin/mo logs crm --stack production -n 200 --follow`; `bin/mo logs votes --json`.
    """
    from components.release import public_host
    from operations import project, remote
    from operations.problem import Problem

    if follow and as_json:
        raise Problem("--follow never ends and --json prints one document; leave one of them out.", USAGE)
    file = project.stack_file(stack)
    ((key, entry),) = project.chosen(project.services_of(stack, file), [service]).items()
    remote.connect(project.ROOT, stack)
    domain = public_host(entry, str(file.settings.get("domain")))

    def ask(*command: str) -> list[str]:
        request = {"host": None, "service": key, "target": entry.path, "command": ["sh", "-c", *command]}
        return [printable(line) for line in remote.run(project.ROOT, stack, "exec", request)["output"].splitlines()]

    shown: dict[str, list[str]] = {}
    while True:
        name, *deployment = ask(_DEPLOYMENT, str(lines)) or [""]
        found = {f"deployment log {name}": deployment, "host error log": ask(_ERRORS, str(lines), domain)}
        if as_json:
            typer.echo(
                json.dumps(
                    {"service": key, "log": name or None, "deployment": deployment, "errors": found["host error log"]}, indent=1
                )
            )
            return
        for title, now in found.items():
            new = added(shown.get(title, []), now)
            if new:
                typer.echo(f"== {title}")
            for line in new:
                typer.echo(line)
        if not follow:
            if not any(found.values()):
                typer.echo(f"The logs of {key} on the host are empty{f' ({name})' if name else ''}.")
            return
        shown = found
        time.sleep(PAUSE)


def added(before: list[str], now: list[str]) -> list[str]:
    """The lines of ``now``, the end of a log, that came after ``before``, its end a moment ago."""
    for start in range(len(before) + 1):
        overlap = before[start:]
        if now[: len(overlap)] == overlap:
            return now[len(overlap) :]
    return now


def printable(line: str) -> str:
    """A line of a log without what would drive a terminal: visitors write into it."""
    return "".join(c if c.isprintable() or c == "\t" else "�" for c in line)
