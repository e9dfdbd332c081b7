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
    """Lists the updates of a stack, newest first; their numbers are what `bin/mo rollback --to` takes. Runs of this machine that were
    interrupted stand among them; quality gates that were waived stand in the message.

    Examples: `bin/mo history`; `bin/mo history --stack production -n 5 --json`.
    """
    from rich.table import Table

    from operations import display, project, records, release_set
    from operations.deployment import journal
    from operations.engine import Engine

    project.stack_file(stack)
    engine = Engine(stack)
    found = records.read(engine.history())
    runs = journal.runs(engine.root, stack)
    cut, still_open = [run for run in runs if run.state == "interrupted"], journal.unfinished(runs)
    if as_json:
        rows = [{**asdict(record), "waived": list(record.waived)} for record in found]
        rows += [
            {"number": None, "result": "interrupted", "started": run.began_at, "open": run is still_open, **run.plain()}
            for run in cut
        ]
        rows.sort(key=lambda row: str(row["started"]), reverse=True)
        typer.echo(json.dumps(rows[:count], indent=1, sort_keys=True))
        return
    out = display.console()
    narrow = out.width < 100
    table = Table(box=None, padding=(0, 1))
    for heading in ("update", "started (UTC)", "result", "releases", "message"):
        table.add_column(
            heading,
            justify="right" if heading == "update" else "left",
            no_wrap=heading in ("update", "started (UTC)"),
            overflow="fold",
        )
    deployed = [record for record in found if record.deployed]
    lines: list[tuple[str, list[str], str | None]] = []
    for record in found:
        earlier = next((r.releases for r in deployed if r.number < record.number), None) or {}
        moved = release_set.changes(earlier, record.releases or {})
        # A rollback of an interrupted run moves none that the history knows of.
        told = _releases(moved, narrow) or (f"those of update {record.target}" if record.rollback else "")
        cells = [str(record.number), record.started, f"{record.kind} {record.result}", told, record.message]
        lines.append((record.started, cells, "red" if record.result == "failed" else None))
    for run in cut:
        cells = [
            "",
            run.began_at,
            f"{run.kind} interrupted" + ("" if run is still_open else ", settled since"),
            run.where,
            f"{run.message}; {run.who}",
        ]
        lines.append((run.began_at, cells, "yellow"))
    for _, cells, style in sorted(lines, key=lambda line: line[0], reverse=True)[:count]:
        table.add_row(*cells, style=style)
    out.print(table)


def _releases(moved: dict[str, tuple[str | None, str]], narrow: bool) -> str:
    """What moved; on a narrow terminal without the releases' ids, which would be broken."""
    if len(moved) > 3:
        return f"{len(moved)} services"
    return ", ".join(service if narrow else f"{service} {new}" for service, (_, new) in moved.items())
