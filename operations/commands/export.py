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
    out: Annotated[Path, typer.Option("--out", help="The directory; made where it is not there.", file_okay=False)],
    stack: Stack = DEFAULT_STACK,
    format: Annotated[Format, typer.Option("--format", help="For which tool.")] = Format.all,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="YAML file of what the monitoring machine knows (docs/monitoring.md).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Writes files for Prometheus, Alertmanager, Grafana and n8n, and the status page, from the stack's exports.

    Each file is replaced at once, and only where it changed. Examples: `bin/mo export --out /etc/mo-monitoring`;
    `bin/mo export --format status --out site`.
    """
    from operations import display, monitoring

    written = monitoring.write(stack, format.value, out, settings)
    if as_json:
        typer.echo(json.dumps({"changed": written.changed, "unchanged": written.unchanged, "removed": written.removed}, indent=1))
        return
    console = display.console()
    for name in written.changed:
        console.print(f"  written  {name}", markup=False)
    for name in written.removed:
        console.print(f"  removed  {name}", markup=False)
    console.print(f"{out}: {len(written.changed)} written, {len(written.unchanged)} unchanged, {len(written.removed)} removed")
