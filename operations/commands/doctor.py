"""``bin/mo doctor``: whether everything that a deploy needs is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from operations.options import DEFAULT_STACK, AsJson, Stack
from operations.problem import Problem

LOCAL_PROGRAMS = ("ssh", "rsync", "git")
LITTLE_SPACE = 500_000_000
"""Bytes on the host below which a deploy may fail."""


@dataclass(frozen=True)
class Finding:
    """``good``: ``None`` for something to know that is no fault."""

    what: str
    good: bool | None
    text: str


def doctor(
    stack: Stack = DEFAULT_STACK,
    as_json: AsJson = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask neither the host nor GitHub.")] = False,
) -> None:
    """Checks this machine, the settings, the host, its programs and space, the databases and GitHub. Changes nothing.

    Examples: `bin/mo doctor`; `bin/mo doctor --stack production`. Exit code 1 where something is missing.
    """
    from operations import display, project

    findings = _look(project.ROOT, stack, offline)
    if as_json:
        typer.echo(json.dumps([finding.__dict__ for finding in findings], indent=1))
    else:
        out = display.console()
        for finding in findings:
            sign, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}[finding.good]
            out.print(f"{sign} {finding.what}: {finding.text}", style=style if finding.good is not True else None, markup=False)
    if any(finding.good is False for finding in findings):
        raise typer.Exit(1)


def _look(root: Path, stack: str, offline: bool) -> list[Finding]:
    from catalog.settings import StackSettings
    from catalog.settings_file import SettingsError
    from operations import project, settings

    findings = [_program(name) for name in LOCAL_PROGRAMS]
    file = project.stack_file(stack)
    services = project.services_of(stack, file)
    findings.append(Finding("catalogue", True, f"{len(services)} services"))
    source = (root / str(file.settings.get("source") or StackSettings.model_fields["source"].default)).resolve()
    missing = (
        f"{source} is missing; build and gates need it: clone it there, or: bin/pulumi config set --stack {stack} mo:source FOLDER"
    )
    findings.append(Finding("monorepo", source.is_dir() or None, str(source) if source.is_dir() else missing))
    try:
        loaded = settings.load(root, stack)
    except (SettingsError, Problem) as error:
        return [*findings, Finding("settings", False, str(error))]
    findings.append(Finding("settings", True, f"complete for {stack}"))
    if not offline:
        findings += _guarded("host", lambda: _host(root, stack, loaded, services))
        findings += _guarded("GitHub", lambda: _github(loaded))
    return findings


def _guarded(what: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except Problem as problem:
        return [Finding(what, False, str(problem))]


def _program(name: str) -> Finding:
    place = shutil.which(name)
    return Finding(name, place is not None, place or "is not on this machine; install it")


def _host(root: Path, stack: str, loaded: Any, services: Any) -> list[Finding]:
    from components import facts, plan
    from components.facts import FactsError, RunFacts
    from components.host import HostArgs, write_connection

    write_connection(HostArgs(stack, root, loaded.settings, loaded.secrets))
    host = loaded.settings.host
    try:
        known = RunFacts(root)(facts.request(stack, host.name, services, {}))
    except FactsError as error:
        raise Problem(str(error)) from None
    findings = [Finding("host", True, f"{host.user}@{host.address}:{host.port} answers with its pinned key")]
    if known.free_bytes is not None:
        findings.append(Finding("space", known.free_bytes > LITTLE_SPACE, f"{plan.size(known.free_bytes)} free"))
    lacking = {key: known.of(key).lacks for key in services if known.of(key).lacks}
    findings += [Finding(key, False, f"the host lacks {', '.join(lacks)}") for key, lacks in lacking.items()]
    for name, server in known.servers.items():
        findings.append(Finding(f"server {name}", None, server.version or "version unknown"))
    live = sum(known.of(key).live is not None for key in services)
    return [*findings, Finding("live", None, f"{live} of {len(services)} services have a release")]


def _github(loaded: Any) -> list[Finding]:
    import httpx

    from catalog.settings_file import reveal

    settings = loaded.settings.github
    address = f"{(settings.base_url or 'https://api.github.com/').rstrip('/')}/repos/{settings.owner}/{settings.repository}"
    try:
        answer = httpx.get(
            address,
            headers={"Authorization": f"Bearer {reveal(loaded.secrets.github_token)}", "Accept": "application/vnd.github+json"},
            timeout=15,
        )
    except httpx.HTTPError as error:
        raise Problem(f"{address} cannot be reached: {type(error).__name__}.") from None
    if answer.status_code != 200:
        raise Problem(f"{address} answers {answer.status_code}: check mo:githubToken, its repository access and its expiry.")
    scopes = answer.headers.get("x-oauth-scopes")
    return [
        Finding("GitHub", True, f"{settings.owner}/{settings.repository} is readable" + (f"; scopes {scopes}" if scopes else ""))
    ]
