"""``bin/mo snapshots``: a service's database snapshots on the host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from operations.options import DEFAULT_STACK, AsJson, ServiceName, Stack, Yes

if TYPE_CHECKING:
    from catalog.models import Service

app = typer.Typer(name="snapshots", help="Lists, makes, pins and restores snapshots of a service's database.", no_args_is_help=True)

SnapshotName = Annotated[str, typer.Argument(help="The snapshot's name (`bin/mo snapshots list`).")]


def _entry(stack: str, service: str) -> Service:
    from operations import project, remote

    (entry,) = project.chosen(project.services_of(stack, project.stack_file(stack)), [service]).values()
    remote.connect(project.ROOT, stack)
    return entry


@app.command("list")
def list_(service: ServiceName, stack: Stack = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """Lists the snapshots, oldest first.

    Example: `bin/mo snapshots list votes`.
    """
    from components.plan import size
    from operations import project, snapshots

    found = snapshots.listed(project.ROOT, stack, service, _entry(stack, service))
    if as_json:
        typer.echo(json.dumps([snapshot.__dict__ for snapshot in found], indent=1))
        return
    for snapshot in found:
        typer.echo(f"{snapshot.name}  {size(snapshot.bytes) if snapshot.bytes else ''}{'  pinned' if snapshot.pinned else ''}")
    if not found:
        typer.echo(f"{service} has no snapshot.")


@app.command()
def make(service: ServiceName, stack: Stack = DEFAULT_STACK) -> None:
    """Makes a snapshot now.

    Example: `bin/mo snapshots make crm`.
    """
    from operations import project, snapshots

    typer.echo(snapshots.ask(project.ROOT, stack, service, _entry(stack, service), "make").get("made"))


@app.command()
def pin(service: ServiceName, name: SnapshotName, stack: Stack = DEFAULT_STACK) -> None:
    """Keeps a snapshot for good.

    Example: `bin/mo snapshots pin crm 20261121T090000Z-r0123456789abcdef`.
    """
    from operations import project, snapshots

    snapshots.ask(project.ROOT, stack, service, _entry(stack, service), "pin", name)
    typer.echo(f"{name} is pinned.")


@app.command()
def unpin(service: ServiceName, name: SnapshotName, stack: Stack = DEFAULT_STACK) -> None:
    """Lets a pinned snapshot be removed by the rule again.

    Example: `bin/mo snapshots unpin crm 20261121T090000Z-r0123456789abcdef`.
    """
    from operations import project, snapshots

    snapshots.ask(project.ROOT, stack, service, _entry(stack, service), "unpin", name)
    typer.echo(f"{name} is no longer pinned.")


@app.command()
def restore(service: ServiceName, name: SnapshotName, stack: Stack = DEFAULT_STACK, yes: Yes = False) -> None:
    """Puts the database back to a snapshot: the site answers 503 meanwhile, a fresh snapshot is made first, later data is gone.

    Example: `bin/mo snapshots restore votes 20261121T090000Z-r0123456789abcdef`.
    """
    from operations import project, snapshots

    entry = _entry(stack, service)
    if not yes and not typer.confirm(
        f"Put the database of {service} on {stack} back to {name}? Whatever was written since is lost."
    ):
        typer.echo("Nothing was changed.")
        raise typer.Exit(3)
    made = snapshots.ask(project.ROOT, stack, service, entry, "restore", name).get("made")
    typer.echo(f"The database of {service} is that of {name}; what it was before is in {made}.")
