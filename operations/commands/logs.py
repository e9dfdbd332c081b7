"""``bin/mo logs``: what the host wrote about a service."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from operations.options import DEFAULT_STACK, ServiceName, Stack

PAUSE = 2.0
"""Seconds between two looks with ``--follow``."""

_DEPLOYMENT = 'f=$(ls -t ../../log 2>/dev/null | head -n 1); [ -n "$f" ] && { echo "== $f"; tail -n "$0" "../../log/$f"; }; true'
_ERRORS = 'grep -F -- "$1" ../../../../logs/error.log 2>/dev/null | tail -n "$0"; true'


def logs(
    service: ServiceName,
    stack: Stack = DEFAULT_STACK,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines of each log.", min=1, max=2000)] = 40,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what is added, until stopped.")] = False,
) -> None:
    """Shows the last log of the service's deployment, and the lines of the host's error log that name its domain.

    Examples: `bin/mo logs api`; `bin/mo logs crm --stack production -n 200 --follow`.
    """
    from components.release import public_host
    from operations import project, remote

    file = project.stack_file(stack)
    (key, entry), *_ = project.chosen(project.services_of(stack, file), [service]).items()
    remote.connect(project.ROOT, stack)
    domain = public_host(entry, str(file.settings.get("domain")))
    shown: list[str] = []
    while True:
        found: list[str] = []
        for command in ([_DEPLOYMENT, str(lines)], [_ERRORS, str(lines), domain]):
            request = {"host": None, "service": key, "target": entry.path, "command": ["sh", "-c", *command]}
            found += remote.run(project.ROOT, stack, "exec", request)["output"].splitlines()
        for line in found if not shown else [line for line in found if line not in shown]:
            typer.echo(line)
        if not follow:
            if not found:
                typer.echo(f"No log of {key} on the host yet.")
            return
        shown = found
        time.sleep(PAUSE)
