"""``bin/mo drift``: whether the host still is what the last update left."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.exit_codes import DRIFT, FAILED, STOPPED
from operations.options import DEFAULT_STACK, AsJson, Stack, Yes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from catalog.models import Service
    from operations.drifts import Drift


def drift(
    stack: Stack = DEFAULT_STACK,
    as_json: AsJson = False,
    mend: Annotated[
        bool, typer.Option("--mend", help="Replace releases, files and permissions that drifted, after a question.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Compares the host with what the last update left: releases, their migrations and files, permissions, databases, public answers,
    secrets files, virtual environments and the host's programs; and names a switch that was cut.

    Changes nothing without `--mend`. Accounts and GitHub secrets: `bin/pulumi refresh --preview-only --stack STACK`.

    Examples: `bin/mo drift`; `bin/mo drift --stack production --json`; `bin/mo drift --mend`.
    Exit code 7 where something drifted (with `--mend`: still).
    """
    from operations import display, mending, project, question, release_set, remote, undeployed
    from operations.deployment.lock import HostLock, asker
    from operations.engine import Engine
    from operations.problem import Problem

    out = display.console()
    file = project.stack_file(stack)
    services = project.services_of(stack, file)
    engine = Engine(stack)
    state = release_set.live(engine.resources())
    live, services = state.releases, state.entries(services)
    host = remote.connect(project.ROOT, stack)
    if not live:
        raise undeployed.problem(project.ROOT, stack, host, services)
    domain = str(file.settings.get("domain"))
    found = _found(stack, host, domain, services, live)
    wrong: list[str] = []
    if mend and found:
        if not as_json:
            _show(out, found, services)
        if not yes and not question.confirmed(f"Replace this on {stack}?", err=as_json):
            out.print("Nothing was changed.")
            raise typer.Exit(STOPPED)
        with HostLock(asker(project.ROOT, stack), "mend drift"):
            # Another may have deployed, or mended, since this was shown: by what was live then its work would be taken back.
            resources = engine.resources()
            now = release_set.live(resources).releases
            if now != live or _mendable(_found(stack, host, domain, services, live, answers=False)) != _mendable(found):
                raise Problem(
                    f"What drifted on {stack} is no longer what was shown, because somebody has worked on it meanwhile; nothing was "
                    "changed. Look again: bin/mo drift --mend."
                )
            wrong = mending.mend(project.ROOT, stack, services, live, found, resources, lambda text: typer.echo(text, err=as_json))
        found = _found(stack, host, domain, services, live)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1))
    else:
        _show(out, found, services)
    for problem in wrong:
        typer.echo(f"mo: {problem}", err=True)
    if found or wrong:
        raise typer.Exit(DRIFT if found else FAILED)


def _mendable(found: Sequence[Drift]) -> list[Drift]:
    from operations.drifts import MENDED

    return [one for one in found if one.kind in MENDED]


def _found(
    stack: str, host: str, domain: str, services: Mapping[str, Service], live: Mapping[str, str], *, answers: bool = True
) -> list[Drift]:
    """``answers``: whether the public URLs are asked too."""
    from components import facts
    from components.facts import FactsError, RunFacts
    from operations import drifts, integrity, project, remote
    from operations.problem import Problem
    from operations.validation import smoke

    root = project.ROOT
    try:
        known = RunFacts(root)(facts.request(stack, host, services, dict.fromkeys(services)))
    except FactsError as error:
        raise Problem(str(error)) from None
    # What is no longer live is compared with nothing: its release is the drift.
    same = {key: release for key, release in live.items() if key in services and known.of(key).live == release}
    files = integrity.compare(root, stack, services, same)
    places = [{"service": key, "target": services[key].path, "persistent": list(services[key].persistent)} for key in same]
    wrong: Sequence[Mapping[str, Any]] = remote.run(root, stack, "permissions", {"services": places, "fix": False}, timeout=300)[
        "wrong"
    ]
    told = smoke.ask(root, stack, domain, {key: services[key] for key in same}, live) if answers else None
    beside = drifts.of_beside(integrity.beside(root, stack, services), stack)
    return [*drifts.of(services, live, known, files, wrong, told), *beside]


def _show(out: Any, found: Sequence[Drift], services: Mapping[str, Service]) -> None:
    for one in found:
        out.print(f"✗ {one.service}: {one.what}", style="red", markup=False)
    drifted = len({one.service for one in found} & services.keys())
    out.print(f"{drifted} of {len(services)} services drifted." if found else "The host is what the last update left.")
