"""``bin/mo logs``: what the host wrote about a service."""

from __future__ import annotations

import json
import re
import time
from typing import Annotated

import typer

from operations.exit_codes import USAGE
from operations.options import DEFAULT_STACK, AsJson, ServiceName, Stack

PAUSE = 2.0
"""Seconds between two looks with ``--follow``."""

_NUMBER = re.compile(r"\d+")
_DEPLOYMENT = 'f=$(ls -t ../../log 2>/dev/null | head -n 1); [ -n "$f" ] && { echo "$f"; tail -n "$0" "../../log/$f"; }; true'
_RECORDS = r"""
function named(text, at, from, front, back) {
  for (from = 1; (at = index(substr(text, from), domain)) > 0; from = at + 1) {
    at += from - 1;
    front = substr(text, 1, at - 1); back = substr(text, at + length(domain), 2);
    if ((front !~ /[A-Za-z0-9.-]$/ || front ~ /(^|[^A-Za-z0-9.-])www\.$/) && back !~ /^([A-Za-z0-9-]|\.[A-Za-z0-9])/) return 1;
  };
  return index(text, folder) > 0;
};
function tell() { if (record != "" && named(record)) print record; record = "" };
/^([0-9][0-9][0-9][0-9][-\/]|\[)/ { tell(); record = $0; next };
{ record = (record == "" ? $0 : record "\n" $0) };
END { tell() }
""".replace("\n", " ").strip()
"""Of an error log the entries that name a domain as a whole, or the service's folder: with all their lines, the error's text is in the
first and the domain in the last one. Both ``2026/11/21 …`` (nginx) and ``[Sat Nov 21 …`` (Apache, PHP) begin one."""
_ERRORS = 'tail -c 50000000 ../../../../logs/error.log 2>/dev/null | awk -v domain="$1" -v folder="/.deploy/$2/" "$3" | tail -n "$0"; true'


def logs(
    service: ServiceName,
    stack: Stack = DEFAULT_STACK,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines of each log.", min=1, max=2000)] = 40,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what is added, until stopped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Shows the last log of the service's deployment, and the entries of the host's error log that name its domain or its folder.

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
        found = {f"deployment log {name}": deployment, "host error log": ask(_ERRORS, str(lines), domain, key, _RECORDS)}
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
            elif not shown:
                typer.echo(f"== {title.strip()}: nothing")
            for line in new if follow or title != "host error log" else told_once(new):
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
