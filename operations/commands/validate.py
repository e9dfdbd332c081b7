"""``bin/mo validate``: asks of the site what a deployment asks of it afterwards."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from operations.options import DEFAULT_STACK, AsJson, Stack


def validate(
    stack: Stack = DEFAULT_STACK,
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="Only this part: `smoke`, `end-to-end`, `visual`, `lighthouse`; may be given several times."),
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Take the frontend's pictures of now as the new baselines.")] = False,
    as_json: AsJson = False,
) -> None:
    """Asks the deployed services what a deployment asks of them afterwards: smoke tests, the end-to-end flows, the frontend's pictures,
    Lighthouse. Deploys nothing and takes nothing back.

    Pictures, videos and figures are left in `quality-reports/validation-<time>/`. Exit code 1 where something is not as it must be.

    Examples: `bin/mo validate`; `bin/mo validate --stack production --part smoke --part lighthouse`;
    `bin/mo validate --part visual --accept`.
    """
    from datetime import UTC, datetime

    from operations import display
    from operations.deployment import checks, here
    from operations.problem import Problem
    from operations.validation import smoke, visual

    known = (smoke.NAME, *checks.PARTS)
    unknown = sorted(set(part or ()) - set(known))
    if unknown:
        raise Problem(f"There is no part {unknown[0]}. There are: {', '.join(known)}.", 2)
    if accept and part and visual.NAME not in part:
        raise Problem("--accept is of the part visual, which --part leaves out.", 2)
    out = display.console()
    place = here.opened(stack, out)
    live = place.live().releases
    if not live:
        raise Problem(f"The stack {stack} was never deployed: bin/mo deploy --stack {stack}.")
    looked = checks.validation(place, live, f"validation-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    wanted = part or ([visual.NAME] if accept else known)
    outcomes = []
    for name in [name for name in known if name in wanted]:
        with out.status(f"{name} …"):
            outcome = smoke.run(looked) if name == smoke.NAME else checks.PARTS[name](looked)
        outcomes.append(outcome)
        if not as_json:
            out.print(f"{outcome.sign} {name}: {outcome.summary}", style=None if outcome.ok else "red", markup=False)
    taken = visual.accept(looked) if accept else []
    if as_json:
        told = {
            "folder": str(looked.folder.relative_to(looked.root)),
            "accepted": taken,
            "outcomes": [asdict(one) for one in outcomes],
        }
        typer.echo(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        if accept:
            out.print(f"new baselines: {', '.join(taken) or 'none'} ({visual.baselines(looked)})", markup=False)
        out.print(f"pictures and figures: {looked.folder.relative_to(looked.root)}/", style="dim", markup=False)
    if any(not outcome.ok for outcome in outcomes if not (accept and outcome.name == visual.NAME and taken)):
        raise typer.Exit(1)
