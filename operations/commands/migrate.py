"""``bin/mo migrate``: a service's migrations, and one step back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from operations.options import DEFAULT_STACK, AsJson, ServiceName, Stack, Yes

if TYPE_CHECKING:
    from catalog.models import Service
    from operations import migrations

LISTED = 20


def migrate(
    service: ServiceName,
    stack: Stack = DEFAULT_STACK,
    down: Annotated[bool, typer.Option("--down", help="Take the last applied migration back.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Only list (what it does without --down).")] = False,
    needed: Annotated[
        bool, typer.Option("--although-needed", help="Take back what the live release came with; it may fail without it.")
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="NAME", help="Record migrations up to NAME as applied, and run none."),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Lists a service's migrations, applied and pending, or takes the last one back. Forward they go by `bin/mo deploy`.

    `--down` needs what the tool has for it: `<version>.down.sql` beside plain SQL, `downgrade` of Alembic. The site answers 503 meanwhile
    where the web server honours the maintenance window; a snapshot is made first, the schema's version is verified after, and what fails is
    restored. Prisma and drush have no step back; the way out is a snapshot. Go back with the code first (`bin/mo rollback --only SERVICE
    --reason '…'`): while the live release came with the migration, nothing is taken back.

    `--baseline NAME` is for a database that was there before mo-deploy: its tables have the schema of NAME, and nothing has recorded that.
    It records NAME and the migrations before it as applied, changes nothing else, and is refused where there is a history.

    Examples: `bin/mo migrate votes --list`; `bin/mo migrate api --down`; `bin/mo migrate votes --baseline 0001_init`.
    """
    from operations import migrations, project, question, settings
    from operations.deployment import lock
    from operations.problem import Problem
    from operations.remote import connect

    if [down, list_, baseline is not None].count(True) > 1:
        raise Problem("--down, --list and --baseline exclude each other.", 2)
    (entry,) = project.chosen(project.services_of(stack, project.stack_file(stack)), [service]).values()
    migrations.declared(service, entry)
    if down:
        migrations.refuse_without_way_back(service, entry)
    host = connect(project.ROOT, stack)
    if baseline is not None:
        _baseline(stack, service, entry, baseline, yes=yes, as_json=as_json)
        return
    known = migrations.look(project.ROOT, stack, host, service, entry)
    if not down:
        typer.echo(json.dumps(known.__dict__, indent=1) if as_json else "\n".join(lines(service, known)))
        return
    if known.applied == ():
        raise Problem(f"{service} has no applied migration; there is nothing to take back.")
    what = known.last or "its last migration"
    migrations.refuse_needed(service, known, although=needed)
    if not yes and not question.typed(
        f"Take {what} of {service} on {stack} back? A snapshot is made first; what the step back drops is gone from the database.",
        [service],
    ):
        typer.echo("Nothing was changed.")
        raise typer.Exit(3)
    with lock.HostLock(lock.asker(project.ROOT, stack), f"migrate {service} --down"):
        done = migrations.down(project.ROOT, stack, settings.load(project.ROOT, stack).settings, service, entry, known.last)
    if as_json:
        typer.echo(
            json.dumps({key: done.get(key) for key in ("service", "undone", "schema", "snapshot", "release", "notes")}, indent=1)
        )
        return
    typer.echo(f"{done['undone']} of {service} is taken back; the schema is at {done['schema'] or 'its beginning'}.")
    typer.echo(f"What it was before is in snapshot {done['snapshot']}.")
    for note in done.get("notes") or []:
        typer.echo(f"note: {note}")


def _baseline(stack: str, service: str, entry: Service, name: str, *, yes: bool, as_json: bool) -> None:
    from operations import migrations, project, question
    from operations.deployment import lock

    if not yes and not question.confirmed(
        f"Record the migrations of {service} up to {name} as applied on {stack}? None is run: the tables must have that schema already."
    ):
        typer.echo("Nothing was recorded.")
        raise typer.Exit(3)
    with lock.HostLock(lock.asker(project.ROOT, stack), f"migrate {service} --baseline"):
        done = migrations.baseline(project.ROOT, stack, service, entry, name)
    if as_json:
        typer.echo(json.dumps({key: done.get(key) for key in ("service", "recorded", "tables")}, indent=1))
        return
    typer.echo(
        f"{service}: recorded as applied: {', '.join(done['recorded'])}; none was run. Next: bin/mo deploy --only {service}."
    )


def lines(service: str, known: migrations.Known) -> list[str]:
    """What ``--list`` prints."""
    told = [f"{service}: {known.kind}, {known.mode}; schema {known.schema or 'unknown'}"]
    if known.applied is not None and known.kind not in ("drush", "command"):
        shown = known.applied[-LISTED:]
        more = f"… {len(known.applied) - LISTED} before, " if len(known.applied) > LISTED else ""
        told.append(f"  applied: {more}{', '.join(shown) or 'none'}")
    if known.artefact is None:
        told.append(f"  pending: unknown, there is no artefact in dist/ (bin/mo build {service})")
    elif known.pending is None:
        told.append(f"  pending with {known.artefact}: unknown before the tool runs")
    else:
        told.append(f"  pending with {known.artefact}: {', '.join(known.pending) or 'none'}")
    if known.refusal:
        told.append(f"  refused with {known.artefact}: {known.refusal}")
    if known.half_applied and known.resumes:
        told.append(f"  under way: {known.half_applied}; where its run was cut, the next deploy goes on at its next statement")
    elif known.half_applied:
        told.append(f"  half applied: {known.half_applied} (docs/runbook.md, A migration is half applied)")
    return told
