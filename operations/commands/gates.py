"""``bin/mo gates``: reads the reports, judges them and explains, without deploying."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from operations.options import DEFAULT_STACK, Stack, complete_stack
from operations.problem import Problem


def gates(
    stack: Stack = DEFAULT_STACK,
    reports: Annotated[Path | None, typer.Option(help="Folder of the reports, instead of the stack's `mo:gates.reports`.")] = None,
    commit: Annotated[str | None, typer.Option(help="Commit that the reports must be of (40 hexadecimal digits).")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Judge every gate there is, not only those that the stack requires.")
    ] = False,
    required_by: Annotated[
        str | None,
        typer.Option(
            "--required-by",
            metavar="STACK",
            help="Judge the gates that this stack requires, with the source and settings of --stack.",
            autocompletion=complete_stack,
        ),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Run the tools first (as `make gates` does).")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", help="Only this gate; may be given several times.")] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            help="With --run: the stack whose running site Lighthouse, axe-core, the end-to-end flows and the probe of the consent "
            "service look at. Each service looked at must serve there what this build made.",
            show_default="sandbox",
            autocompletion=complete_stack,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list, one entry a gate.")] = False,
) -> None:
    """Judges the quality gates and says why; deploys nothing.

    Examples: `bin/mo gates`; `bin/mo gates --run`; `bin/mo gates --run --only wcag`; `bin/mo gates --run --required-by production`;
    `bin/mo gates --stack production --reports ci-reports --commit $SHA --json`.

    Exit code 0: every gate passes or is waived. 1: at least one is red, or with --run a tool failed; the message names gate, figure,
    threshold and report. A step that cannot run here is named, and its gates are red unless the folder has CI's report.
    """
    from rich.console import Console

    from evidence.collect import UnknownGateError, collect
    from evidence.gates import GATES
    from evidence.judge import judge
    from evidence.waivers import WaiverError, load
    from operations.gates import steps, table
    from operations.gates.context import LOOKED_AT, context

    if commit is not None and not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise Problem(f"--commit {commit!r} is no commit: 40 hexadecimal digits expected (git rev-parse HEAD).", 2)
    if commit is not None and run:
        raise Problem("--run makes reports for the checkout as it is; leave --commit out.", 2)
    if at is not None and not run:
        raise Problem("--at says where --run looks at pages; it goes with --run.", 2)
    if sum(map(bool, (only, every, required_by))) > 1:
        raise Problem("--only, --all and --required-by exclude each other.", 2)
    if unknown := [name for name in only or () if name not in GATES]:
        raise Problem(f"There is no gate {unknown[0]}. The gates are {', '.join(GATES)}.", 2)
    here = context(stack, reports, commit=commit, at=at or LOOKED_AT, decrypt=run)
    required = here.gates.required if required_by is None else context(required_by, commit=here.commit.id).gates.required
    wanted = tuple(only or (GATES if every else required))
    failed = False
    lacking: str | None = None
    if run:
        console = Console(stderr=True, highlight=False)
        ended = steps.run(here, steps.of_gates(wanted), lambda done: console.print(steps.said(done), markup=False))
        failed = any(done.failed for done in ended)
        lacking = steps.not_here(ended, wanted)
    wish = here.commit.id
    try:
        settings = here.gates.model_copy(update={"required": wanted})
        evidence = collect(settings, here.project, wish, here.about, reports=here.reports)
        verdicts = judge(evidence, waivers=load(here.project / "waivers.yaml"), commit=wish)
    except (UnknownGateError, WaiverError) as error:
        raise Problem(str(error)) from None
    if as_json:
        print(json.dumps(table.as_json(verdicts), indent=1, ensure_ascii=False))
    else:
        table.show(Console(highlight=False), verdicts)
        if lacking is not None:
            Console(highlight=False).print(lacking, markup=False, soft_wrap=True)
    if failed or any(verdict.verdict == "fail" for verdict in verdicts):
        raise typer.Exit(1)
