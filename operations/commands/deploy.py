"""``bin/mo deploy``: brings what ``dist/`` holds to the host."""

from __future__ import annotations

from typing import Annotated

import typer

from operations.options import DEFAULT_STACK, Only, Stack, Yes


def deploy(
    stack: Stack = DEFAULT_STACK,
    only: Only = None,
    yes: Yes = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change and stop.")] = False,
    message: Annotated[str | None, typer.Option("--message", "-m", help="What the history says about this update.")] = None,
) -> None:
    """Deploys the artefacts in `dist/`: gates and facts, preview, question, update, smoke tests, summary.

    Examples: `bin/mo deploy --plan`; `bin/mo deploy --stack production`; `bin/mo deploy --only votes --only api --yes`.
    """
    from operations import display, project, release_set
    from operations.engine import Engine
    from operations.update import Update

    out = display.console()
    file = project.stack_file(stack)
    services = project.services_of(stack, file)
    wanted = project.chosen(services, only)
    engine = Engine(stack)
    before = release_set.live(engine.resources()).releases
    releases = release_set.of_artefacts(engine.root, services, wanted, before)
    update = Update(engine, file, services, {"releases": releases}, out, before)
    if plan or not yes:
        progress = update.preview()
        if plan:
            return
        if progress.changes and not typer.confirm(f"Deploy this to {stack}?"):
            out.print("Nothing was changed.")
            raise typer.Exit(3)
    moves = release_set.changes(before, releases)
    text = message or f"deploy {_named(list(moves))}"
    if not update.up(text).good:
        raise typer.Exit(1)


def _named(services: list[str]) -> str:
    """The services of an update in its message: by name, or counted where they are many."""
    return f"{len(services)} services" if len(services) > 5 else ", ".join(services) or "without a new release"
