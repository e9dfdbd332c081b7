"""``bin/mo status``: what is live, since when, and whether it answers."""

from __future__ import annotations

import json

import typer

from operations.options import DEFAULT_STACK, AsJson, Only, Stack


def status(stack: Stack = DEFAULT_STACK, only: Only = None, as_json: AsJson = False) -> None:
    """Shows the release of each service, since when it is live, and what its public URL answers now.

    Examples: `bin/mo status`; `bin/mo status --only api --json`. Exit code 1 where a service does not answer as it must.
    """
    from rich.table import Table

    from operations import display, project, release_set
    from operations.engine import Engine
    from operations.problem import Problem
    from operations.validation import smoke

    file = project.stack_file(stack)
    services = project.chosen(project.services_of(stack, file), only)
    engine = Engine(stack)
    state = release_set.live(engine.resources())
    live, since = state.releases, state.since
    if not live:
        raise Problem(f"The stack {stack} was never deployed: bin/mo deploy --stack {stack}.")
    deployed = {key: entry for key, entry in services.items() if key in live}
    answers = smoke.ask(engine.root, stack, str(file.settings.get("domain")), deployed, live)
    if as_json:
        rows = [
            {
                "service": key,
                "release": live.get(key),
                "deployedAt": since.get(key),
                "status": answers[key].status if key in answers else None,
                "problem": answers[key].problem if key in answers else None,
            }
            for key in services
        ]
        typer.echo(json.dumps(rows, indent=1))
    else:
        out = display.console()
        table = Table(box=None, padding=(0, 1))
        for heading in ("service", "release", "live since (UTC)", "HTTP", "ms"):
            table.add_column(heading)
        for key in sorted(services, key=lambda k: k in answers and not answers[k].ok):
            answer = answers.get(key)
            shown = (
                (str(answer.status or "none"), "" if answer.milliseconds is None else str(answer.milliseconds))
                if answer
                else ("", "")
            )
            style = "bold red" if answer and not answer.ok else None
            table.add_row(key, live.get(key) or "never deployed", since.get(key) or "", *shown, style=style)
        out.print(table)
        for answer in answers.values():
            if answer.problem:
                out.print(f"✗ {answer.service}: {answer.problem}", style="red", markup=False)
    if not all(answer.ok for answer in answers.values()):
        raise typer.Exit(1)
