"""``bin/mo deploy``: brings what ``dist/`` holds to the host."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from operations.options import DEFAULT_STACK, AsJson, Only, Stack, Yes


def deploy(
    stack: Stack = DEFAULT_STACK,
    only: Only = None,
    yes: Yes = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change and stop.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Name every file that would change, not only the first 12 of a service.")
    ] = False,
    as_json: AsJson = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that was interrupted, where it stopped, with the same releases.")
    ] = False,
    skip: Annotated[
        list[str] | None,
        typer.Option(
            "--skip",
            help="Leave out `end-to-end`, `visual` or `lighthouse` this once; the report says so. Several times for several.",
        ),
    ] = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="What the history says about this update.")] = None,
) -> None:
    """Deploys the artefacts in `dist/`: window, lock, gates, preview, question, update, smoke tests of all services, end-to-end tests,
    visual comparison, Lighthouse, report. A failed smoke test, or too many failed end-to-end tests, takes everything back to the former
    releases. `--yes` leaves out the question alone: what the preview shows is printed, and what it refuses stops before anything changes.

    Every phase is written to a journal: a run that was interrupted anywhere is seen by `bin/mo status` and goes on with `--resume`.

    Examples: `bin/mo deploy --plan`; `bin/mo deploy --only crm --plan --verbose`; `bin/mo deploy --stack production`;
    `bin/mo deploy --only votes --only api --yes`;
    `bin/mo deploy --resume`.
    """
    from operations import display, project
    from operations.deployment import back, checks, forward
    from operations.deployment.here import opened
    from operations.problem import Problem

    unknown = sorted(set(skip or ()) - set(checks.SLOW))
    if unknown:
        raise Problem(f"--skip {unknown[0]}: there is no such part; there are {', '.join(checks.SLOW)}.", 2)
    if as_json and not plan:
        raise Problem("--json goes with --plan; the report of a deployment is read by bin/mo report --json.", 2)
    if resume and (plan or only or message or skip):
        raise Problem("--resume goes on as the interrupted run was asked for: it takes no --plan, --only, --message, --skip.", 2)
    project.chosen(project.services_of(stack, project.stack_file(stack)), only)
    here = opened(stack, display.console())
    if plan:
        moves, progress, words = forward.plan(here, only, verbose=verbose)
        if as_json:
            typer.echo(json.dumps(forward.plain(stack, moves, progress, words), indent=1))
            return
        for text in words:
            here.out.print(text, style="yellow", markup=False)
        if forward.is_nothing(progress):
            here.out.print(forward.nothing(stack, only), markup=False)
        else:
            display.plan(here.out, progress)
        return
    if resume:
        run = forward.interrupted(here)
        here.out.print(f"Going on with the {run.kind} {run.id} of {run.who}, which was interrupted {run.where}.", markup=False)
        if run.kind == "rollback":
            raise typer.Exit(back.rollback(here, back.wish_of(run), run))
        raise typer.Exit(forward.deploy(here, forward.wish_of(run, yes=yes or run.changed), run).code)
    raise typer.Exit(forward.deploy(here, forward.Wish(tuple(only or ()), yes, message, tuple(skip or ()), verbose)).code)
