"""``bin/mo report``: the report of the last deployment."""

from __future__ import annotations

from typing import Annotated

import typer


def report(
    date: Annotated[str | None, typer.Option("--date", help="The day, like 2026-11-21; the last one where none is given.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the reports there are.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Shows the report of the last deployment (of a day).

    Examples: `bin/mo report`; `bin/mo report --date 2026-11-21 --json`; `bin/mo report --list`.
    """
    from operations import project, report
    from operations.problem import Problem

    folder = project.ROOT / report.FOLDER
    found = sorted(folder.glob(f"deployment-{date}*.md" if date else "deployment-*.md"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise Problem(f"There is no report{f' of {date}' if date else ''} in {report.FOLDER}/; a deploy or a rollback writes one.")
    if listed:
        for path in found:
            typer.echo(f"{report.FOLDER}/{path.name}")
        return
    chosen = found[-1]
    typer.echo((chosen.with_suffix(".json") if as_json else chosen).read_text(), nl=False)
