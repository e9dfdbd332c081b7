"""``bin/mo status``: what is live, since when and by whom, whether it answers, and what was left unfinished."""

from __future__ import annotations

import json

import typer

from operations.options import DEFAULT_STACK, AsJson, Only, Stack


def status(stack: Stack = DEFAULT_STACK, only: Only = None, as_json: AsJson = False) -> None:
    """Shows the release of each service and the version that it tells, since when and by whom it is live, what its public URL answers now
    (of an external service "files only" where no daemon does), and where the host differs from the stack; then who works on the stack just
    now, and any run that was interrupted.

    Examples: `bin/mo status`; `bin/mo status --only api --json`. Exit code 1 where a service does not answer as it must or did not get
    its release in the last update, or a run was interrupted.
    """
    from rich.table import Table

    from operations import display, project, remote, undeployed
    from operations.deployment import standing

    out = display.console()
    found = standing.of(stack, only)
    if not found.live.releases and found.unfinished is None and found.holder is None:
        file = project.stack_file(stack)
        raise undeployed.problem(project.ROOT, stack, remote.connect(project.ROOT, stack), project.services_of(stack, file))
    if as_json:
        typer.echo(json.dumps(found.plain(), indent=1))
        raise typer.Exit(0 if found.good else 1)
    table = Table(box=None, padding=(0, 1))
    for heading in ("service", "release", "live since (UTC)", "by", "HTTP", "ms"):
        table.add_column(heading)
    for row in sorted(found.rows, key=lambda row: row.bad):
        style = "bold red" if row.bad else None
        http = "" if row.status is None and not row.asked else str(row.status or "none")
        shown = (http + (" (files only)" if row.files_only else ""), str(row.milliseconds or ""))
        release = (row.release or "never deployed") + (f" (version {row.version})" if row.version else "")
        table.add_row(row.service, release, row.since, row.author, *shown, style=style)
    out.print(table)
    for row in found.rows:
        for problem in row.problems:
            out.print(f"✗ {row.service}: {problem}", style="red", markup=False)
    for text in found.words():
        out.print(text, style="yellow", markup=False)
    if not found.good:
        raise typer.Exit(1)
