"""``bin/mo snapshots``: a service's database snapshots on the host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.exit_codes import USAGE
from operations.options import DEFAULT_STACK, AsJson, ServiceName, Stack, Yes

if TYPE_CHECKING:
    from catalog.models import Service

app = typer.Typer(
    name="snapshots", help="Lists, creates, verifies, pins and restores snapshots of a service's database.", no_args_is_help=True
)

SnapshotName = Annotated[str, typer.Argument(help="The snapshot's name (`bin/mo snapshots list`).")]


def _entry(stack: str, service: str) -> Service:
    from operations import project, remote

    (entry,) = project.chosen(project.services_of(stack, project.stack_file(stack)), [service]).values()
    remote.connect(project.ROOT, stack)
    return entry


def _with(stack: str, service: str, name: str) -> Service:
    """The service's entry, where it has the snapshot ``name``. Raises ``Problem``."""
    from operations import project, snapshots
    from operations.problem import Problem

    entry = _entry(stack, service)
    if name not in (one.name for one in snapshots.listed(project.ROOT, stack, service, entry)):
        raise Problem(f"{service} has no snapshot {name}; those that there are: bin/mo snapshots list {service}.", USAGE)
    return entry


def _shown(answer: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({key: answer.get(key) for key in ("service", "made", "verified", "notes")}, indent=1))
        return
    typer.echo(text)
    for note in answer.get("notes") or []:
        typer.echo(f"note: {note}")


@app.command("list")
def list_(service: ServiceName, stack: Stack = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """Lists the snapshots, oldest first: size, rows, the schema's version, whether a test restore succeeded, whether pinned.

    The newest ones stay, as many and as large together as `mo:snapshots` says (10, 2000 MB); pinned ones stay in any case.

    Example: `bin/mo snapshots list votes`.
    """
    from components.plan import size
    from operations import project, snapshots

    found = snapshots.listed(project.ROOT, stack, service, _entry(stack, service))
    if as_json:
        typer.echo(json.dumps([snapshot.__dict__ for snapshot in found], indent=1))
        return
    wide = max((len(snapshot.name) for snapshot in found), default=0)
    for snapshot in found:
        told = [
            "its manifest is damaged" if snapshot.damaged else "",
            size(snapshot.bytes) if snapshot.bytes else "",
            f"{snapshot.rows} rows" if snapshot.rows is not None else "",
            f"schema {snapshot.schema}" if snapshot.schema else "",
            # To the minute: a line is to fit on a terminal.
            f"verified {snapshot.verified[:16]}" if snapshot.verified else "",
            "pinned" if snapshot.pinned else "",
        ]
        typer.echo("  ".join([snapshot.name.ljust(wide), *filter(None, told)]).rstrip())
    if not found:
        typer.echo(f"{service} has no snapshot.")


@app.command()
def create(service: ServiceName, stack: Stack = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """Makes a snapshot now; the site goes on.

    Example: `bin/mo snapshots create crm`.
    """
    from operations import project, snapshots

    answer = snapshots.ask(project.ROOT, stack, service, _entry(stack, service), "make")
    _shown(answer, str(answer.get("made")), as_json)


@app.command()
def verify(
    service: ServiceName,
    name: Annotated[str | None, typer.Argument(help="The snapshot's name; the newest one without it.")] = None,
    stack: Stack = DEFAULT_STACK,
    as_json: AsJson = False,
) -> None:
    """Restores a snapshot into a scratch database beside the service's own, compares rows and schema with its manifest, and drops it.

    On a server whose administrator the stack does not have, the panel makes the database `<name>_verify` once.

    Examples: `bin/mo snapshots verify crm`; `bin/mo snapshots verify crm 20261121T090000Z-r0123456789abcdef`.
    """
    from operations import project, snapshots
    from operations.problem import Problem

    entry = _entry(stack, service) if name is None else _with(stack, service, name)
    if name is None:
        found = snapshots.listed(project.ROOT, stack, service, entry)
        if not found:
            raise Problem(f"{service} has no snapshot; make one: bin/mo snapshots create {service}.")
        name = found[-1].name
    answer = snapshots.ask(project.ROOT, stack, service, entry, "verify", name)
    rows = answer.get("verified") or {}
    _shown(answer, f"{name} restores: {len(rows)} tables, {sum(rows.values())} rows.", as_json)


@app.command()
def pin(service: ServiceName, name: SnapshotName, stack: Stack = DEFAULT_STACK) -> None:
    """Keeps a snapshot for good.

    Example: `bin/mo snapshots pin crm 20261121T090000Z-r0123456789abcdef`.
    """
    from operations import project, snapshots

    snapshots.ask(project.ROOT, stack, service, _with(stack, service, name), "pin", name)
    typer.echo(f"{name} is pinned.")


@app.command()
def unpin(service: ServiceName, name: SnapshotName, stack: Stack = DEFAULT_STACK) -> None:
    """Lets a pinned snapshot be removed by the rule again.

    Example: `bin/mo snapshots unpin crm 20261121T090000Z-r0123456789abcdef`.
    """
    from operations import project, snapshots

    snapshots.ask(project.ROOT, stack, service, _with(stack, service, name), "unpin", name)
    typer.echo(f"{name} is no longer pinned.")


@app.command()
def restore(
    service: ServiceName,
    name: SnapshotName,
    stack: Stack = DEFAULT_STACK,
    yes: Yes = False,
    unverified: Annotated[bool, typer.Option("--unverified", help="Without the test restore into a scratch database.")] = False,
    site_open: Annotated[
        bool, typer.Option("--site-open", help="Also where the site cannot be closed; what is written meanwhile is lost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Puts the database back to a snapshot: the site answers 503 meanwhile, a fresh snapshot is made first, later data is gone.

    The snapshot is restored into a scratch database before anything is touched, and the result is compared with that. Where the site
    cannot be closed, nothing is changed.

    Example: `bin/mo snapshots restore votes 20261121T090000Z-r0123456789abcdef`.
    """
    from operations import migrations, project, question, settings, snapshots
    from operations.deployment import lock

    entry = _with(stack, service, name)
    told = settings.load(project.ROOT, stack).settings
    if not yes and not question.typed(
        f"Put the database of {service} on {stack} back to {name}? Whatever was written since is lost.", [service]
    ):
        typer.echo("Nothing was changed.")
        raise typer.Exit(3)
    with lock.HostLock(lock.asker(project.ROOT, stack), f"snapshots restore {service}"):
        answer = snapshots.restore(
            project.ROOT, stack, service, entry, name, told.domain, unverified=unverified, site_open=site_open
        )
    if lacking := migrations.missing(project.ROOT, stack, told.host.name, service, entry):
        note = (
            f"its live release came with {', '.join(lacking)}, which this snapshot does not have: bin/mo drift --mend applies it again, "
            f"bin/mo rollback --only {service} takes the code back too"
        )
        answer = {**answer, "notes": [*(answer.get("notes") or []), note]}
    _shown(answer, f"The database of {service} is that of {name}; what it was before is in {answer.get('made')}.", as_json)
