"""``bin/mo rotate``: a new password or key, everywhere, with no refused request."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.exit_codes import FAILED, STOPPED, USAGE
from operations.options import DEFAULT_STACK, AsJson, Stack, Yes
from operations.problem import Problem

if TYPE_CHECKING:
    from rich.console import Console

    from operations.engine import Engine
    from operations.rotation import Done, Subject


def rotate(
    name: Annotated[str, typer.Argument(help="A service (its database's password), or a generated secret, e.g. JWT_SECRET.")],
    stack: Stack = DEFAULT_STACK,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Revoke the former password of a service whose daemon you have restarted yourself.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Makes a new password for a service's database, or a new application secret, and brings it everywhere it is needed.

    The new password is valid beside the former one until the service and GitHub have it and the service answers; then the former one is
    revoked, and must be refused. No request fails meanwhile. Where it was interrupted, run it again: it goes on where it stopped.

    Examples: `bin/mo rotate votes`; `bin/mo rotate JWT_SECRET --stack production`; `bin/mo rotate n8n --revoke`.
    """
    from catalog import neighbours, settings_file
    from operations import display, project, question, remote, rotation
    from operations.deployment import lock
    from operations.engine import Engine

    out = display.console()
    file = project.stack_file(stack)
    services = project.services_of(stack, file)
    panels = settings_file.panel_servers(neighbours.settings_of(file.path.parent, stack))
    wanted = rotation.subject(name, services, stack, panels)
    if revoke and not wanted.held:
        raise Problem(
            f"--revoke is for services whose daemon is somebody else's; the former password of {name} goes by itself.", USAGE
        )
    engine = Engine(stack)
    resources = engine.resources()
    before = rotation.status(resources, wanted)
    changes: dict[str, Any] = {}
    resumed = not before.finished
    if revoke:
        changes["revoke"] = [name]
    elif not resumed:
        changes["rotate"] = {name: datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ") + "-" + os.urandom(2).hex()}
    if not yes and not question.confirmed(_question(wanted, stack, revoke, resumed)):
        typer.echo("Nothing was changed.", err=as_json)
        raise typer.Exit(STOPPED)
    remote.connect(engine.root, stack)
    message = f"{'revoke the former password of' if revoke else 'rotate'} {name}"
    with lock.HostLock(lock.asker(engine.root, stack), message) as held:
        held.on_lost = engine.stop
        errors = _update(engine, file, services, {**changes, **_deploys_nothing(engine, file, stack, message)}, message)
    done = rotation.done(engine.resources(), wanted)
    if as_json:
        typer.echo(json.dumps(_plain(wanted, done, resumed, errors), indent=1))
    else:
        _show(out, wanted, done, errors)
    if errors or not (done.finished or done.held):
        raise typer.Exit(FAILED)


def _update(engine: Engine, file: Any, services: Mapping[str, Any], changes: Mapping[str, Any], message: str) -> list[str]:
    """One update with the releases that are live; what went wrong."""
    from operations import project
    from operations.deployment import owner
    from operations.progress import Progress

    progress = Progress.of(services)
    config = project.temporary_config(file, changes, engine.root / ".mo" / engine.name)
    try:
        outcome = engine.up(config, f"{message} (by {owner.here().name})", progress)
    finally:
        config.unlink(missing_ok=True)
    found = [f"{entry.service}: {text}" for entry in progress.services.values() for text in entry.errors] + progress.errors
    return found if found or outcome.ok else [outcome.error or "The update failed."]


def _deploys_nothing(engine: Engine, file: Any, stack: str, message: str) -> dict[str, Any]:
    """The live releases as the update's set. Neither red gates nor the hour must keep a leaked password valid: no code is deployed, so the
    window only warns, and the gates are passed by as a rollback to what is live passes them, which is written down. Raises ``Problem``."""
    from components import artefacts, judgement
    from operations import project, records, release_set, settings

    wanted = settings.load(engine.root, stack).settings
    hour = {"window": {"outside": "warn"}} if wanted.window.outside == "refuse" else {}
    live = release_set.live(engine.resources()).releases
    if not live:
        return hour
    wished = artefacts.wishes(engine.root, project.services_of(stack, file), live)
    try:
        red = judgement.of(stack, wanted, engine.root, artefacts.commit_of(engine.root, wished), None).failures
    except judgement.JudgementError as error:
        raise Problem(str(error)) from None
    if not red:
        return {**hour, "releases": dict(live)}
    deployed = [record for record in records.read(engine.history()) if record.deployed]
    if not deployed:
        raise Problem("The quality gates are red and no update of this stack has succeeded yet:\n" + "\n".join(red))
    note = {
        "update": deployed[0].target,
        "reason": f"{message}; no code is deployed",
        "author": os.environ.get("GITHUB_ACTOR") or getpass.getuser(),
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {**hour, "releases": dict(live), "rollback": note}


def _question(wanted: Subject, stack: str, revoke: bool, resumed: bool) -> str:
    if revoke:
        return f"Does the daemon of {wanted.name} use the new password, so that the former one may be revoked on {stack}?"
    if resumed:
        return f"A rotation of {wanted.name} on {stack} was interrupted. Finish it?"
    if wanted.kind == "secret":
        users = ", ".join(wanted.users) or "no service"
        return f"Make {wanted.name} anew on {stack} for {users}? What was signed with the present one is no longer valid."
    return f"Make a new password for the database of {wanted.name} on {stack} and revoke the present one?"


def _waits(name: str) -> str:
    return (
        f"The new user and password of {name} are in its secrets.env on the host and on GitHub; the former password is still valid, "
        f"because the daemon is somebody else's. Restart it with the new ones, then: bin/mo rotate {name} --revoke."
    )


def _show(out: Console, wanted: Subject, done: Done, errors: list[str]) -> None:
    for key, answer in done.services.items():
        told = [word for word in ("restarted", "checked") if answer.get(word)]
        out.print(
            f"{key}: has the new {'password' if wanted.kind == 'database' else 'value'}"
            + (f" ({', '.join(told)})" if told else ""),
            markup=False,
        )
    for note in done.notes:
        out.print(note, style="yellow", markup=False)
    for error in errors:
        out.print(f"✗ {error}", style="red", markup=False)
    if errors:
        both = "; until then both passwords are valid" if wanted.kind == "database" and not done.finished else ""
        out.print(f"Not finished: mend this and run it again{both}.", style="red", markup=False)
    elif done.held:
        out.print(_waits(wanted.name), style="yellow", markup=False)
    elif wanted.kind == "database":
        tried = ", tried and refused" if done.refused else ""
        out.print(f"{wanted.name}: the former password is revoked{tried}.", markup=False)
    else:
        out.print(f"{wanted.name}: rotated.", markup=False)


def _plain(wanted: Subject, done: Done, resumed: bool, errors: list[str]) -> dict[str, Any]:
    words = ("changed", "restarted", "checked")
    services = {key: {word: bool(answer.get(word)) for word in words} for key, answer in done.services.items()}
    return {
        "name": wanted.name,
        "kind": wanted.kind,
        "rotation": done.rotation,
        "resumed": resumed,
        "finished": done.finished and not errors,
        "held": done.held,
        "services": services,
        "revoked": list(done.revoked),
        "refused": done.refused,
        "notes": list(done.notes),
        "errors": errors,
    }
