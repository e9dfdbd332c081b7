"""``bin/mo report``: the report of the last deployment."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from operations.options import AsJson, complete_stack


def report(
    stack: Annotated[
        str | None,
        typer.Option("--stack", "-s", help="Only reports of this stack.", envvar="PULUMI_STACK", autocompletion=complete_stack),
    ] = None,
    date: Annotated[str | None, typer.Option("--date", help="The day, like 2026-11-21; the last one where none is given.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the reports there are, oldest first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Shows the report of the last deployment or rollback (of a stack, of a day).

    Examples: `bin/mo report`; `bin/mo report --stack production --list`; `bin/mo report --date 2026-11-21 --json`.
    """
    from datetime import date as day

    from rich.markdown import Markdown

    from operations import display, project, report
    from operations.problem import Problem

    try:
        wish = None if date is None else day.fromisoformat(date).isoformat()
    except ValueError:
        raise Problem(f"--date {date!r} is no day like 2026-11-21.", 2) from None
    if stack is not None:
        project.stack_file(stack)
    found = report.written(project.ROOT, stack, wish)
    of = (f" of {stack}" if stack else "") + (f" of {wish}" if wish else "")
    none = f"There is no report{of} in {report.FOLDER}/; a deploy or a rollback writes one."
    if listed:
        if as_json:
            rows = [
                {"file": f"{report.FOLDER}/{one.markdown.name}", "stack": one.stack, "kind": one.kind, "started": one.started,
                 "succeeded": one.succeeded}
                for one in found
            ]  # fmt: skip
            typer.echo(json.dumps(rows, indent=1))
        elif not found:
            typer.echo(none)
        for one in () if as_json else found:
            ended = "succeeded" if one.succeeded else "failed"
            typer.echo(f"{one.started}  {one.stack}  {one.kind} {ended}  {report.FOLDER}/{one.markdown.name}")
        return
    if not found:
        raise Problem(none)
    chosen = found[-1].markdown
    text = (chosen.with_suffix(".json") if as_json else chosen).read_text(encoding="utf-8")
    out = display.console()
    if as_json or not out.is_terminal:
        typer.echo(text, nl=False)
        return
    # On a terminal the tables stand as tables; through a pipe the Markdown is what the file holds.
    out.print(Markdown(text, hyperlinks=False))
