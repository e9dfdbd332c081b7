"""``bin/mo logs``: what the host wrote about a service."""

from __future__ import annotations

import json
import re
import time
from typing import Annotated, Any

import typer

from operations.exit_codes import USAGE
from operations.options import DEFAULT_STACK, AsJson, Stack, complete_service

PAUSE = 2.0
"""Seconds between two looks with ``--follow``."""
DEPLOYMENTS, ERRORS = "deployment log", "host error log"
"""Titles."""

_NUMBER = re.compile(r"\d+")


def logs(
    service: Annotated[
        str | None, typer.Argument(help="The service; with `--deployment` none means all.", autocompletion=complete_service)
    ] = None,
    stack: Stack = DEFAULT_STACK,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines of each log.", min=1, max=2000)] = 40,
    deployment: Annotated[
        bool, typer.Option("--deployment", help="Only the deployment log: what went live or was put back, and when.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what is added, until stopped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Shows the host's deployment log, the last log of a tool that the service's deployment ran, the output of the service's own process
    (`logs/SERVICE.log` below the host's root), and the entries of the host's error log that name its domain or its folders.

    Examples: `bin/mo logs api`; `bin/mo logs crm -n 200 --follow`; `bin/mo logs --deployment`; `bin/mo logs votes --json`.
    """
    from components.release import public_host
    from operations import project, remote
    from operations.problem import Problem

    if follow and as_json:
        raise Problem("--follow never ends and --json prints one document; leave one of them out.", USAGE)
    if service is None and not deployment:
        raise Problem("Whose logs? Name a service, or ask for the deployment log of all: bin/mo logs --deployment.", USAGE)
    file = project.stack_file(stack)
    request: dict[str, Any] = {"lines": lines}
    if service is not None:
        ((key, entry),) = project.chosen(project.services_of(stack, file), [service]).items()
        request |= {"service": key, "target": entry.path, "domain": public_host(entry, str(file.settings.get("domain")))}
    remote.connect(project.ROOT, stack)

    shown: dict[str, list[str]] = {}
    while True:
        told = remote.run(project.ROOT, stack, "logs", request)
        kinds = ("deployments", "lines", "output_lines", "errors")
        deployments, tool, output, errors = ([printable(line) for line in told[name]] for name in kinds)
        found = {DEPLOYMENTS: deployments}
        if not deployment:
            found |= {f"log of a tool {told['log'] or ''}": tool, f"process output {told['output'] or ''}": output, ERRORS: errors}
        if as_json:
            answer = {"service": service, "deployments": deployments}
            if not deployment:
                answer |= {
                    "log": told["log"],
                    "deployment": tool,
                    "processLog": told["output"],
                    "process": output,
                    "errors": errors,
                }
            typer.echo(json.dumps(answer, indent=1))
            return
        for title, now in found.items():
            new = added(shown.get(title, []), now)
            if new:
                typer.echo(f"== {title}")
            elif not shown:
                typer.echo(f"== {title.strip()}: nothing")
            for line in told_once(new) if title == ERRORS and not follow else new:
                typer.echo(line)
        if not follow:
            return
        shown = found
        time.sleep(PAUSE)


def told_once(lines: list[str]) -> list[str]:
    """Lines that repeat, but for numbers (times, processes, connections), once, with how often: the last of them."""
    kept: list[tuple[str, int, str]] = []
    for line in lines:
        alike = _NUMBER.sub("0", line)
        before = next((place for place, (one, _, _) in enumerate(kept) if one == alike), None)
        times = 1 if before is None else kept.pop(before)[1] + 1
        kept.append((alike, times, line))
    return [line if times == 1 else f"{line}  ({times} times)" for _, times, line in kept]


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
