"""``bin/mo build``: the monorepo's services as artefacts in ``dist/``, with manifests, bills of materials and a signed attestation."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from catalog import reader
from catalog.models import Service
from catalog.settings import ProvenanceSettings, StackSettings
from operations.options import complete_service, complete_stack
from operations.problem import Problem
from operations.project import settings_of, stack_file
from operations.wording import counted

if TYPE_CHECKING:
    from operations.build import Built, Event, Outcome, Signer

PROJECT = Path(__file__).resolve().parents[2]
KEY = ".mo/signing.pem"
"""The checkout's own signing key, relative to the project."""


@dataclass(frozen=True)
class Wanted:
    """What a stack's file says about builds: the monorepo's folder, the services, the builder's id."""

    source: Path
    services: dict[str, Service]
    builder: str


def build(
    services: Annotated[
        list[str] | None,
        typer.Argument(help="Services to build; all of the stack where none is named.", autocompletion=complete_service),
    ] = None,
    stack: Annotated[
        str,
        typer.Option(
            "--stack", "-s", help="Whose services and `mo:source` count.", envvar="PULUMI_STACK", autocompletion=complete_stack
        ),
    ] = "sandbox",
    source: Annotated[Path | None, typer.Option(help="The monorepo's checkout, instead of the stack's `mo:source`.")] = None,
    out: Annotated[Path, typer.Option(help="Where the artefacts go.", show_default="dist")] = PROJECT / "dist",
    key: Annotated[
        Path,
        typer.Option(
            help="Ed25519 key (PEM, mode 600) that signs the attestation; made where it is not there.",
            envvar="MO_SIGNING_KEY",
            show_default=".mo/signing.pem",
        ),
    ] = PROJECT / KEY,
    jobs: Annotated[int | None, typer.Option(help="Services built at the same time; one for each processor.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Builds what changed and nothing else.

    Examples: `bin/mo build`; `bin/mo build votes api`; `bin/mo build --source ../monorepo --json`.

    Exit code 0: every service has an artefact of its present source. 1: at least one failed (the others are built); each is named with the
    last lines of its log.
    """
    from operations import build as builds

    console = Console(stderr=True, highlight=False)
    try:
        wanted = read(stack, source)
        chosen = _chosen(wanted.services, services or [])
        signer: Signer = builds.load_or_make(key, wanted.builder)
        built = builds.build(chosen, wanted.source, out, jobs=jobs, signer=signer, tell=_teller(console, len(chosen), as_json))
    except (builds.BuildError, reader.CatalogError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(summary(built), indent=1))
    else:
        _print(console, built)
    if not built.ok:
        raise typer.Exit(1)


def read(stack: str, source: Path | None = None, project: Path = PROJECT) -> Wanted:
    """What a stack's settings say about builds. Raises ``Problem``, ``BuildError`` or ``CatalogError``."""
    settings = settings_of(stack_file(stack, project), project)
    named = source or project / str(settings.get("source", StackSettings.model_fields["source"].default))
    extra = tuple(settings.get("services") or ())
    provenance = settings.get("provenance") or {}
    builder = str(provenance.get("builder") or ProvenanceSettings().builder)
    return Wanted(named, reader.read(project / "catalog/services.yaml").of_stack(stack, extra), builder)


def summary(built: Built) -> dict[str, Any]:
    """A build's result as JSON: one entry a service."""
    return {
        "build": built.id,
        "commit": built.commit,
        "dirty": built.dirty,
        "seconds": round(built.seconds, 2),
        "services": [
            {
                "service": outcome.service,
                "state": outcome.state,
                "release": outcome.manifest.release if outcome.manifest else None,
                "files": len(outcome.manifest.files) if outcome.manifest else 0,
                "bytes": outcome.manifest.size if outcome.manifest else 0,
                "seconds": round(outcome.seconds, 2),
                "error": outcome.error,
                "log": outcome.log,
                "leftOut": list(outcome.left_out),
                "notes": list(outcome.manifest.notes) if outcome.manifest else [],
            }
            for outcome in built.outcomes.values()
        ],
    }


def _chosen(all_services: dict[str, Service], names: list[str]) -> dict[str, Service]:
    unknown = [name for name in names if name not in all_services]
    if unknown:
        raise Problem(f"No service of this stack: {', '.join(unknown)}. There are: {', '.join(all_services)}.", 2)
    return {key: service for key, service in all_services.items() if not names or key in names}


def _teller(console: Console, total: int, quiet: bool) -> Any:
    """Prints a line as each service ends; on a terminal also what is being built just now."""
    lock = threading.Lock()
    busy: dict[str, str] = {}
    ended = [0]
    status = console.status("") if console.is_terminal and not quiet else None
    if status:
        status.start()

    def tell(event: Event) -> None:
        with lock:
            if event.outcome is None:
                busy[event.service] = event.what
            else:
                busy.pop(event.service, None)
                ended[0] += 1
                if not quiet and event.outcome.state != "unchanged":
                    console.print(_line(event.outcome), style="red" if event.outcome.error else None, markup=False, soft_wrap=True)
            if status:
                status.update(f"{ended[0]}/{total}  " + ", ".join(f"{service}: {what}" for service, what in sorted(busy.items())))
                if ended[0] == total:
                    status.stop()

    return tell


def _line(outcome: Outcome) -> str:
    if outcome.manifest is None or outcome.error:
        return f"{outcome.service:<12}{outcome.state}"
    files = len(outcome.manifest.files)
    return f"{outcome.service:<12}{outcome.state:<10}{outcome.manifest.release}  {files} files  {outcome.seconds:.1f} s"


def _print(console: Console, built: Built) -> None:
    states = [outcome.state for outcome in built.outcomes.values()]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    commit = (built.commit or "no commit")[:12] + (" with uncommitted changes" if built.dirty else "")
    console.print(f"{counted(len(states), 'service')}: {counts}; {commit}; {built.seconds:.1f} s", markup=False)
    for outcome in built.outcomes.values():
        for note in outcome.manifest.notes if outcome.manifest else ():
            console.print(f"{outcome.service}: {note}", style="yellow", markup=False, soft_wrap=True)
        if outcome.error:
            console.print(outcome.error, style="red", markup=False, soft_wrap=True)
