"""``bin/mo remove``: a service goes for good, after a final dump."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from operations.options import DEFAULT_STACK, AsJson, Stack, Yes


def remove(
    service: Annotated[str, typer.Argument(help="The service, as its key was in the catalogue.")],
    stack: Stack = DEFAULT_STACK,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", help="A folder on the host for the final dump; below the root unless absolute. Default: .deploy/.removed."
        ),
    ] = None,
    although_declared: Annotated[
        bool,
        typer.Option("--although-declared", help="Also where the catalogue still has it; the next deploy makes it anew, empty."),
    ] = False,
    unverified: Annotated[bool, typer.Option("--unverified", help="Without the test restore of the final dump.")] = False,
    site_open: Annotated[
        bool,
        typer.Option("--site-open", help="Also where the site cannot be closed; what is written after the final dump is lost."),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Removes a service for good: database, accounts, releases, files on the host, GitHub secrets. Taking it out of the catalogue and
    deploying removes nothing of that, but the database where the stack says `mo:onRemove: purge` (the sandbox).

    A question names exactly what goes. First the site is closed, and a final dump is made outside the service's folder, with checksum and
    the way to restore it, and restored into a scratch database; where the site cannot be closed, nothing is removed. Uploads (`shared/`)
    move beside the dump. Databases that others use are refused. Where the panel provides the database, what is left to do there is named.
    Interrupted, the same command goes on.

    Examples: `bin/mo remove forum --stack production`; `bin/mo remove forum --keep /www/htdocs/w01234567/backup --yes`.
    """
    from operations import project, question, removal, settings
    from operations.deployment import lock
    from operations.engine import Engine
    from operations.remote import connect

    root = project.ROOT
    project.stack_file(stack)
    entry = removal.refuse_declared(service, although_declared)
    if entry is None:
        removal.refuse_in_state(service, stack, Engine(stack).resources())
    connect(root, stack)
    loaded = settings.load(root, stack)
    found = removal.look(root, stack, service, entry, keep, loaded)
    if found.anything:
        removal.refuse_shared(service, entry, found.found)
        for line in [f"{service} on {stack}: this goes for good:", *found.lines()]:
            typer.echo(line, err=as_json)
        if not yes and not question.typed(f"Remove {service} from {stack}?", [service], err=as_json):
            typer.echo("Nothing was changed.", err=as_json)
            raise typer.Exit(3)
    done: dict[str, Any] = {
        "service": service,
        "stack": stack,
        "kept": None,
        "dump": None,
        "verified": None,
        "removed": [],
        "by_hand": [],
        "notes": [],
    }
    with lock.HostLock(lock.asker(root, stack), f"remove {service}") as held:
        if found.anything:
            done = removal.drop(root, found, entry, keep, loaded, unverified=unverified, site_open=site_open)
        if entry is not None:
            # The state is taken out and put back whole, which would undo an update in between: only while the lock is ours.
            held.check()
            removal.forget_in_state(root, stack, service, removal.secret_names(found.found, entry))
    if as_json:
        typer.echo(json.dumps(done, indent=1))
        return
    if not found.anything:
        typer.echo(f"There is nothing of {service} on {stack} (any more).")
        return
    for what in done["removed"]:
        typer.echo(f"removed: {what}")
    if done["dump"]:
        tested = "restored for a test" if done["verified"] is not None else "not tested"
        typer.echo(f"kept: {done['kept']}/{done['dump']['name']}.dump ({tested}; RESTORE.txt beside it says how to restore it)")
    elif done["kept"]:
        typer.echo(f"kept: {done['kept']}")
    for what in done["notes"]:
        typer.echo(f"note: {what}")
    for what in done["by_hand"]:
        typer.echo(f"by hand: {what}")
