"""``bin/mo drift``: whether the host still is what the last update left."""

from __future__ import annotations

import json

import typer

from operations.options import DEFAULT_STACK, AsJson, Stack

DRIFT_FOUND = 7


def drift(stack: Stack = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """Compares what is live on the host with the state: releases, databases. Changes nothing; `bin/pulumi refresh` does the same for
    accounts and GitHub secrets.

    Examples: `bin/mo drift`; `bin/mo drift --stack production --json`. Exit code 7 where something drifted.
    """
    from components import facts
    from components.facts import FactsError, RunFacts
    from operations import display, drifts, project, release_set, remote
    from operations.engine import Engine
    from operations.problem import Problem

    file = project.stack_file(stack)
    services = project.services_of(stack, file)
    live = release_set.live(Engine(stack).resources()).releases
    host = remote.connect(project.ROOT, stack)
    try:
        known = RunFacts(project.ROOT)(facts.request(stack, host, services, dict.fromkeys(services)))
    except FactsError as error:
        raise Problem(str(error)) from None
    found = drifts.of(services, live, known)
    if as_json:
        typer.echo(json.dumps([{"service": one.service, "what": one.what} for one in found], indent=1))
    else:
        out = display.console()
        for one in found:
            out.print(f"✗ {one.service}: {one.what}", style="red", markup=False)
        out.print(f"{len(found)} of {len(services)} services drifted." if found else "The host is what the last update left.")
    if found:
        raise typer.Exit(DRIFT_FOUND)
