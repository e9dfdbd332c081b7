"""``bin/mo doctor``: whether everything that a deploy needs is there."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from operations.exit_codes import FAILED, USAGE
from operations.options import DEFAULT_STACK, AsJson, Stack

if TYPE_CHECKING:
    from operations.doctor.finding import Finding

SIGNS = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}


def doctor(
    stack: Stack = DEFAULT_STACK,
    as_json: AsJson = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask neither the host, nor the databases, nor GitHub.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Mend wrong permissions, here and on the host.")] = False,
    persistent: Annotated[
        bool,
        typer.Option(
            "--persistent", help="With `--fix`: also close what others can write in persistent paths, the site's own files."
        ),
    ] = False,
) -> None:
    """Checks this machine, the settings, SSH, the host's programs and space, the databases, GitHub, clocks and permissions, and whether the
    web server can close a site for an offline migration (by one request that it closes for itself alone).

    It goes on after a fault, so that all are seen at once, each with the way out. Nothing is changed, but permissions with `--fix`.

    Examples: `bin/mo doctor`; `bin/mo doctor --stack production`; `bin/mo doctor --fix --persistent`; `bin/mo doctor --offline --json`.
    Exit code 1 where something is missing or wrong.
    """
    from operations import display
    from operations.problem import Problem

    if persistent and not fix:
        raise Problem("--persistent says what --fix mends; give both, or neither.", USAGE)
    findings = _look(stack, offline, fix, persistent)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        out = display.console()
        for finding in findings:
            sign, style = SIGNS[finding.good]
            out.print(f"{sign} {finding.what}: {finding.text}", style=style if finding.good is not True else None, markup=False)
        wrong = sum(finding.good is False for finding in findings)
        out.print(f"{wrong} of {len(findings)} checks found a fault." if wrong else "Everything that a deploy needs is there.")
    if any(finding.good is False for finding in findings):
        raise typer.Exit(FAILED)


def _look(stack: str, offline: bool, fix: bool, persistent: bool) -> list[Finding]:
    from components import backend
    from components.host import HostArgs, write_connection
    from operations import project
    from operations.doctor import databases, github, host, machine, maintenance
    from operations.doctor import stack as stacks
    from operations.doctor.finding import Finding, guarded

    root, file = project.ROOT, project.stack_file(stack)
    services = project.services_of(stack, file)
    findings = machine.programs()
    findings += [
        Finding("catalogue", True, f"{len(services)} services"),
        machine.monorepo(root, stack, project.settings_of(file, root)),
    ]
    findings += machine.gates(root, project.settings_of(file, root))
    findings += machine.permissions(root, file.settings, fix)
    told, loaded = stacks.look(root, stack, file)
    findings += told
    if loaded is None:
        return [*findings, *machine.named_key(stack, file.settings), *maintenance.named(services)]
    write_connection(HostArgs(stack, root, loaded.settings, loaded.secrets))
    findings += [machine.ssh_key(root, stack, loaded), machine.pinned(loaded.settings.host)]
    if offline:
        findings += maintenance.named(services)
    else:
        reached = guarded("host", lambda: host.look(root, stack, loaded, services))
        findings += reached
        if not any(finding.what == "host" and finding.good is False for finding in reached):
            findings += guarded("permissions", lambda: host.permissions(root, stack, services, fix, persistent))
            findings += guarded("integrity", lambda: host.beside(root, stack, services))
            findings += maintenance.look(root, stack, loaded.settings, services)
        findings += databases.look(root, loaded, services)
        findings += guarded("GitHub", lambda: github.look(root, loaded, services, backend.kind(os.environ, root)))
    return findings
