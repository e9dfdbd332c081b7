"""``bin/mo rollback``: back to the releases of an earlier update."""

from __future__ import annotations

from typing import Annotated

import typer

from operations.deployment.trigger import Kind
from operations.options import DEFAULT_STACK, Only, Stack, Yes
from operations.problem import Problem

REASON_LENGTH = 10


def rollback(
    stack: Stack = DEFAULT_STACK,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", help="The number of an update (see history), a build (b…), or a time or day (UTC): the last one by then."
        ),
    ] = None,
    only: Only = None,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, in at least 10 characters; kept in the history.")] = "",
    databases: Annotated[
        list[str] | None,
        typer.Option("--restore-databases", help="A service whose database goes back as well, or `all`; later data is lost."),
    ] = None,
    site_open: Annotated[
        bool,
        typer.Option(
            "--site-open", help="Restore databases also where a site cannot be closed; what is written meanwhile is lost."
        ),
    ] = False,
    trigger: Annotated[
        Kind | None,
        typer.Option("--trigger", help="What was reported: goes back only where the last deployment is the one to take back."),
    ] = None,
    reported: Annotated[str | None, typer.Option("--reported", help="When it was reported (UTC); with `--trigger`.")] = None,
    yes: Yes = False,
) -> None:
    """Goes back to the releases of an earlier succeeded update, through an ordinary update; databases stay as they are
    unless `--restore-databases` names them. Then every service is asked, and an incident is opened on GitHub.

    Where a database is to go back, its site must answer 503 meanwhile: that is tried first, and where it does not nothing is changed.

    Without `--to` it undoes the run that was interrupted; where none was, it goes to the last update before the present one with other
    releases; a second time, one further. With `--only` it refuses while such a run is not settled. The quality gates do not stop it;
    that is written down. One that was interrupted itself goes on by `bin/mo deploy --resume`.

    `--trigger` is for the workflow that an issue's label starts (docs/runbook.md): a critical bug counts within an hour of the last
    deployment's end, a security incident at any time, neither where the stack went back already or was deployed since it was reported.

    Examples: `bin/mo rollback --reason 'the forum shows no posts'`;
    `bin/mo rollback --to 7 --only votes --yes --reason 'votes lose their session'`.
    """
    from operations import display, project
    from operations.deployment import back
    from operations.deployment import trigger as triggers
    from operations.deployment.here import opened

    asked = triggers.read(trigger, reported)
    if len(reason.strip()) < REASON_LENGTH:
        raise Problem(
            f"A rollback passes the quality gates by, so it needs a reason: --reason with {REASON_LENGTH} characters or more.", 2
        )
    project.chosen(project.services_of(stack, project.stack_file(stack)), only)
    here = opened(stack, display.console())
    wish = back.Wish(" ".join(reason.split()), to, tuple(only or ()), tuple(databases or ()), yes, site_open, asked)
    raise typer.Exit(back.rollback(here, wish))
