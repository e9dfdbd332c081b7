"""``bin/mo rollback``: back to the releases of an earlier update."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from operations.options import DEFAULT_STACK, Only, Stack, Yes

REASON_LENGTH = 10


def rollback(
    stack: Stack = DEFAULT_STACK,
    to: Annotated[
        str | None, typer.Option("--to", help="The number of an update (see history), or a time: the last one by then.")
    ] = None,
    only: Only = None,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, in at least 10 characters; kept in the history.")] = "",
    yes: Yes = False,
) -> None:
    """Goes back to the releases of an earlier succeeded update, through an ordinary update; databases stay as they are.

    Without `--to` it goes to the last update before the present one with other releases; a second time, one further. The quality gates do
    not stop it; that is written down.

    Examples: `bin/mo rollback --reason 'the forum shows no posts'`;
    `bin/mo rollback --to 7 --only votes --yes --reason 'votes lose their session'`.
    """
    from operations import display, project, records, release_set
    from operations.engine import Engine
    from operations.problem import Problem
    from operations.update import Update

    if len(reason.strip()) < REASON_LENGTH:
        raise Problem(
            f"A rollback passes the quality gates by, so it needs a reason: --reason with {REASON_LENGTH} characters or more.", 2
        )

    out = display.console()
    file = project.stack_file(stack)
    services = project.services_of(stack, file)
    wanted = project.chosen(services, only)
    engine = Engine(stack)
    live = release_set.live(engine.resources()).releases
    target = records.to_go_back_to(records.read(engine.history()), live, to)
    releases = {**live, **{key: release for key, release in (target.releases or {}).items() if key in wanted}}
    moves = release_set.changes(live, releases)
    out.print(f"update {target.number} of {target.started}: {target.message}", markup=False)
    for service, (old, new) in moves.items():
        out.print(f"  {service}: {old or 'none'} → {new}", markup=False)
    if not moves:
        out.print("Its releases are live already; nothing was changed.")
        return
    if not yes and not typer.confirm(f"Go back to update {target.number} on {stack}?"):
        out.print("Nothing was changed.")
        raise typer.Exit(3)
    changes = {
        "releases": releases,
        "rollback": {
            "update": target.target,
            "reason": reason.strip(),
            "author": os.environ.get("GITHUB_ACTOR") or getpass.getuser(),
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }
    update = Update(engine, file, services, changes, out, live)
    if not update.up(f"rollback to update {target.number}: {reason.strip()}").good:
        raise typer.Exit(1)
