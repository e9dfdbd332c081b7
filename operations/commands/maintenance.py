"""``bin/mo maintenance``: closes a site to visitors, opens it again, and says who closed it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from operations.exit_codes import STOPPED
from operations.options import DEFAULT_STACK, AsJson, ServiceName, Stack, Yes

if TYPE_CHECKING:
    from catalog.models import Service

app = typer.Typer(
    name="maintenance", help="Closes a site to visitors (503), opens it again, and says who closed it.", no_args_is_help=True
)


def _entry(stack: str, service: str) -> Service:
    from operations import project, remote

    (entry,) = project.chosen(project.services_of(stack, project.stack_file(stack)), [service]).values()
    remote.connect(project.ROOT, stack)
    return entry


@app.command()
def on(
    service: ServiceName,
    stack: Stack = DEFAULT_STACK,
    why: Annotated[str, typer.Option("--reason", "-m", help="Why; `bin/mo status` shows it.")] = "",
    yes: Yes = False,
) -> None:
    """Closes a site: visitors are answered 503 until `bin/mo maintenance off`. It stays so through deployments of other services; one of
    this service is refused before anything changes.

    It is tried from outside: where the web server goes on serving the site, it is opened again and the command fails.

    Example: `bin/mo maintenance on votes --reason 'the count is being checked'`.
    """
    from operations import maintenance, project, question

    entry = _entry(stack, service)
    domain = str(project.stack_file(stack).settings.get("domain"))
    if not yes and not question.confirmed(f"Close {service} on {stack} to visitors?"):
        typer.echo("Nothing was changed.")
        raise typer.Exit(STOPPED)
    closed, changed = maintenance.close(project.ROOT, stack, service, entry, domain, " ".join(why.split()))
    typer.echo(f"{service} is {closed}." if changed else f"{service} was closed already: {closed}.")


@app.command()
def off(service: ServiceName, stack: Stack = DEFAULT_STACK) -> None:
    """Opens a site that a person has closed. What a deployment has closed, that deployment opens.

    Example: `bin/mo maintenance off votes`.
    """
    from operations import maintenance, project

    _entry(stack, service)
    changed = maintenance.reopen(project.ROOT, stack, service)
    typer.echo(f"{service} is open to visitors." if changed else f"{service} was open already.")


@app.command()
def status(service: ServiceName, stack: Stack = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """Says who closed a site, since when and why. `bin/mo status` says it of all.

    Example: `bin/mo maintenance status votes`.
    """
    from operations import maintenance, project

    _entry(stack, service)
    closed = maintenance.status(project.ROOT, stack, service)
    if as_json:
        typer.echo(json.dumps({"service": service, "closed": closed.plain() if closed else None}, indent=1))
        return
    typer.echo(f"{service} is {closed}." if closed else f"{service} is open to visitors.")
