"""``bin/mo demo``: the whole way on the sandbox: build, gates, deploy, one line a service."""

from __future__ import annotations

import subprocess

import typer

STACK = "sandbox"


def demo() -> None:
    """Builds the sandbox's monorepo, makes the gates' reports, deploys every service to the sandbox host, and asks each one.

    An external service without its daemon answers with its files, and is named so. Exit code 0 only where every service answers HTTP 200.
    Example: `bin/mo demo`.
    """
    from operations import build, display, project
    from operations.commands import build as building
    from operations.deployment import checks, forward
    from operations.deployment.here import opened
    from operations.problem import Problem
    from operations.validation import smoke

    out = display.console()
    services = project.services_of(STACK, project.stack_file(STACK))
    wanted = building.read(STACK)
    signer = build.load_or_make(project.ROOT / building.KEY, wanted.builder)
    with out.status("Building …"):
        built = build.build(wanted.services, wanted.source, project.ROOT / "dist", signer=signer)
    for outcome in built.outcomes.values():
        if outcome.error:
            out.print(outcome.error, style="red", markup=False)
    if not built.ok:
        raise Problem("Not every service could be built; nothing was deployed.")
    out.print(f"built: {len(built.outcomes)} services in {built.seconds:.1f} s")
    with out.status("Making the gates' reports …"):
        judged = subprocess.run(
            ["bin/mo", "gates", "--stack", STACK, "--run"],
            cwd=project.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    if judged.returncode != 0:
        raise Problem(f"The gates' tools failed, and nothing was deployed:\n{judged.stdout.strip()}\n{judged.stderr.strip()}")
    here = opened(STACK, out)
    ended = forward.deploy(here, forward.Wish(yes=True, message="demo", skip=checks.SLOW))
    live = here.live().releases
    deployed = {key: entry for key, entry in services.items() if key in live}
    answers = ended.answers or smoke.ask(here.root, STACK, here.settings.domain, deployed, live)
    out.print()
    for key in services:
        answer = answers.get(key)
        files = "  files only" if answer and answer.files_only else ""
        out.print(
            f"{key:<12} HTTP {answer.status if answer and answer.status else '---'}  {live.get(key) or 'not deployed'}{files}"
        )
    edge = here.settings.edge
    out.print(f"Their addresses: {edge.scheme}://votes.{here.settings.domain}:{edge.port}/ and so on.", markup=False)
    good = sum(answer.ok for answer in answers.values())
    changed = ended.progress is not None and any(entry.changed for entry in ended.progress.services.values())
    without = sum(answer.files_only for answer in answers.values())
    of_them = f", {without} of them files only (no daemon there)" if without else ""
    out.print(f"{good} of {len(services)} services answer HTTP 200{of_them}; {'deployed' if changed else 'no change'}.")
    if ended.code or good != len(services):
        raise typer.Exit(1)
