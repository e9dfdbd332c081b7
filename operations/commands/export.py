"""``bin/mo export``: the monitoring's files, from what the stack exports and what the host says now."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from operations.options import DEFAULT_STACK, AsJson, Stack


class Format(StrEnum):
    """What to write."""

    prometheus = "prometheus"
    grafana = "grafana"
    n8n = "n8n"
    status = "status"
    all = "all"


def export(
    out: Annotated[Path | None, typer.Option("--out", help="The directory; made where it is not there.", file_okay=False)] = None,
    stack: Stack = DEFAULT_STACK,
    format: Annotated[Format, typer.Option("--format", help="For which tool.")] = Format.all,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="YAML file of what the monitoring machine knows (docs/monitoring.md).")
    ] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Put the status page into the stack's status service.")] = False,
    as_json: AsJson = False,
) -> None:
    """Writes files for Prometheus, Alertmanager, Grafana and n8n, and the status page, from the stack's exports.

    Each file is replaced at once, and only where it changed. Examples: `bin/mo export --out /etc/mo-monitoring`;
    `bin/mo export --publish`.
    """
    from operations import display, monitoring
    from operations.problem import Problem

    if out is None and not publish:
        raise Problem("Where to? Give --out DIRECTORY, or --publish for the status page alone.", 2)
    done = monitoring.write(stack, format.value, out, settings, publish)
    written = done.written
    if as_json:
        told = {"changed": written.changed, "unchanged": written.unchanged, "removed": written.removed, "notes": done.notes}
        typer.echo(json.dumps({**told, "published": done.published.details if done.published else None}, indent=1))
    else:
        console = display.console()
        for name in written.changed:
            console.print(f"  written  {name}", markup=False)
        for name in written.removed:
            console.print(f"  removed  {name}", markup=False)
        for note in done.notes:
            console.print(note, style="yellow", markup=False)
        if out is not None:
            console.print(
                f"{out}: {len(written.changed)} written, {len(written.unchanged)} unchanged, {len(written.removed)} removed"
            )
        if done.published:
            console.print(f"status page: {done.published.summary}", markup=False)
    if done.published and not done.published.ok:
        raise typer.Exit(1)
