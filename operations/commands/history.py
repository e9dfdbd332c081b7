"""``bin/mo history``: what was deployed when."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from operations.options import DEFAULT_STACK, AsJson, Stack


def history(
    stack: Stack = DEFAULT_STACK,
    count: Annotated[int, typer.Option("--count", "-n", help="How many, newest first.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Lists the updates of a stack, newest first; their numbers are what `bin/mo rollback --to` takes.

    Examples: `bin/mo history`; `bin/mo history --stack production -n 5 --json`.
    """
    from rich.table import Table

    from operations import display, project, records, release_set
    from operations.engine import Engine

    project.stack_file(stack)
    found = records.read(Engine(stack).history())
    if as_json:
        typer.echo(json.dumps([asdict(record) for record in found[:count]], indent=1, sort_keys=True))
        return
    out = display.console()
    table = Table(box=None, padding=(0, 1))
    for heading in ("update", "started (UTC)", "result", "releases", "message"):
        table.add_column(
            heading, justify="right" if heading == "update" else "left", no_wrap=heading in ("update", "started (UTC)")
        )
    deployed = [record for record in found if record.deployed]
    for record in found[:count]:
        earlier = next((r.releases for r in deployed if r.number < record.number), None) or {}
        moved = release_set.changes(earlier, record.releases or {})
        style = "red" if record.result == "failed" else None
        table.add_row(
            str(record.number), record.started, f"{record.kind} {record.result}", _releases(moved), record.message, style=style
        )
    out.print(table)


def _releases(moved: dict[str, tuple[str | None, str]]) -> str:
    if len(moved) > 3:
        return f"{len(moved)} services"
    return ", ".join(f"{service} {new}" for service, (_, new) in moved.items())
