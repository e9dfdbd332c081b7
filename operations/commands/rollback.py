"""``bin/mo rollback``: back to the releases of an earlier update."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from operations.options import DEFAULT_STACK, Only, Stack, Yes
from operations.problem import Problem

if TYPE_CHECKING:
    from catalog.models import Service
    from operations.engine import Engine

REASON_LENGTH = 10


def rollback(
    stack: Stack = DEFAULT_STACK,
    to: Annotated[
        str | None, typer.Option("--to", help="The number of an update (see history), or a time: the last one by then.")
    ] = None,
    only: Only = None,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, in at least 10 characters; kept in the history.")] = "",
    databases: Annotated[
        list[str] | None,
        typer.Option("--restore-databases", help="A service whose database goes back as well, or `all`; later data is lost."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Goes back to the releases of an earlier succeeded update, through an ordinary update; databases stay as they are
    unless `--restore-databases` names them.

    Without `--to` it goes to the last update before the present one with other releases; a second time, one further. The quality gates do
    not stop it; that is written down.

    Examples: `bin/mo rollback --reason 'the forum shows no posts'`;
    `bin/mo rollback --to 7 --only votes --yes --reason 'votes lose their session'`.
    """
    from operations import display, project, records, release_set
    from operations.engine import Engine
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
    restored = _databases(services, moves, databases or [])
    for service in restored:
        out.print(f"  {service}: its database goes back too; whatever was written since is lost", style="yellow", markup=False)
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
    for service in restored:
        out.print(_restore(engine, service, services[service], str(live[service])), markup=False)


def _databases(services: Mapping[str, Service], moves: Mapping[str, tuple[str | None, str]], names: list[str]) -> list[str]:
    """The services whose database goes back: those of ``names`` (or all) that go back themselves and have one. Raises ``Problem``."""
    wished = [key for key in moves if services[key].database] if "all" in names else names
    wrong = sorted(key for key in wished if key not in moves or services[key].database is None)
    if wrong:
        raise Problem(f"{', '.join(wrong)}: no service with a database that this rollback moves.", 2)
    return wished


def _restore(engine: Engine, service: str, entry: Service, left: str) -> str:
    """Puts a database back to what it was before the release ``left`` was switched to, and says so. Raises ``Problem``."""
    from operations import snapshots

    found = snapshots.before(left, snapshots.listed(engine.root, engine.name, service, entry))
    if found is None:
        raise Problem(
            f"No snapshot of {service} is from before release {left}; its database stays (bin/mo snapshots list {service})."
        )
    made = snapshots.ask(engine.root, engine.name, service, entry, "restore", found.name).get("made")
    return f"{service}: database of {found.name}; what it was before is in {made}"
