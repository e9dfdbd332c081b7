"""``make gates``: runs the tools for the gates, writes ``quality-reports/``, prints the table. Exit code 1 where a gate is red
or a tool failed to run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from evidence.collect import collect
from evidence.gates import GATES
from evidence.judge import judge
from evidence.waivers import WaiverError, load
from operations.gates import steps, table
from operations.gates.context import context
from operations.problem import Problem


def gates(
    stack: Annotated[str, typer.Option(envvar="PULUMI_STACK", help="Whose settings count.")] = "sandbox",
    profile: Annotated[
        str, typer.Option(help="`required`: the gates that the stack requires (also: the stack's name); `all`: every gate.")
    ] = "all",
    only: Annotated[list[str] | None, typer.Option(help="Only these gates.")] = None,
) -> None:
    """Runs the real tools and judges what they say."""
    console = Console(stderr=True, highlight=False)
    here = context(stack, decrypt=True)
    wanted = only or (list(GATES) if profile == "all" else list(here.gates.required))
    unknown = [name for name in wanted if name not in GATES]
    if unknown:
        raise Problem(f"There is no gate {unknown[0]}. The gates are {', '.join(GATES)}.", 2)

    def tell(done: steps.Done) -> None:
        console.print(steps.said(done), style="red" if done.error else "green", markup=False)

    failed = [done for done in steps.run(here, steps.of_gates(wanted), tell) if done.error]
    settings = here.gates.model_copy(update={"required": tuple(wanted)})
    try:
        waivers = load(here.project / "waivers.yaml")
    except WaiverError as error:
        raise Problem(str(error)) from None
    evidence = collect(settings, here.project, here.commit.id, here.about, reports=here.reports)
    verdicts = judge(evidence, waivers=waivers, commit=here.commit.id)
    table.show(Console(highlight=False), verdicts)
    if failed or any(verdict.verdict == "fail" for verdict in verdicts):
        raise typer.Exit(1)


if __name__ == "__main__":
    try:
        typer.run(gates)
    except Problem as problem:
        sys.stderr.write(f"gates: {problem}\n")
        raise SystemExit(problem.code) from None
