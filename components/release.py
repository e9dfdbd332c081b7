"""A release of a service: brought to the host, then made live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
from pulumi_command import local

from catalog.activation import Activation
from catalog.models import Service
from components.artefacts import Choice
from components.component import PROTOCOL, Component, host_step, or_else, result
from components.facts import needed_programs


@dataclass(frozen=True)
class ReleaseArgs:
    """``adopt``: what to do with content found at the first deploy that the release would hide. ``domain``: of the stack.

    ``before_switch``: what must be there before the release is live (secrets file, database, other services' switches)."""

    stack: str
    host: str
    service: str
    entry: Service
    choice: Choice
    domain: str
    strategy: Literal["symlink", "in-place"]
    adopt: Literal["refuse", "replace"]
    keep: int
    before_switch: Sequence[pulumi.Resource]


class Release(Component):
    """Children: ``<service>-stage`` (touches nothing live), ``<service>-switch`` (snapshot, migrate, rename, restart, probe, put back).

    ``id``: the release. ``switched_at``: when it became live (UTC)."""

    id: str
    stage: local.Command
    switch: local.Command
    switched_at: pulumi.Output[str | None]

    def __init__(
        self, name: str, args: ReleaseArgs, after: Sequence[pulumi.Resource] = (), opts: pulumi.ResourceOptions | None = None
    ) -> None:
        self.id = args.choice.release
        super().__init__(name, {"service": args.service, "release": self.id, "runtime": args.entry.runtime}, after, opts)
        kept = {"ignore_changes": ["stdin"]} if args.choice.kept else {}
        self.stage = host_step(f"{args.service}-stage", "stage", stage_request(args), self.child(**kept))
        self.switch = host_step(
            f"{args.service}-switch", "switch", switch_request(args), self.child(self.stage, *args.before_switch, **kept)
        )
        self.switched_at = result(self.switch, "at")
        self.register_outputs({"release": self.id, "switchedAt": or_else(self.switched_at, None)})


def _common(args: ReleaseArgs) -> dict[str, Any]:
    return {
        "protocol": PROTOCOL,
        "stack": args.stack,
        "host": args.host,
        "service": args.service,
        "release": args.choice.release,
        "target": args.entry.path,
        "strategy": args.strategy,
    }


def stage_request(args: ReleaseArgs) -> dict[str, Any]:
    """The request of ``stage``."""
    return {**_common(args), "hard_links": args.entry.hard_links, "dependencies": args.entry.steps.dependencies, "keep": args.keep}


def switch_request(args: ReleaseArgs) -> dict[str, Any]:
    """The request of ``switch``."""
    entry = args.entry
    migrate = entry.steps.migrate
    programs = [list(names) for names in needed_programs(entry)]
    return {
        **_common(args),
        **({"programs": programs} if programs else {}),
        "runtime": entry.runtime,
        **({"web_root": entry.web_root} if entry.web_root else {}),
        "adopt": args.adopt,
        "persistent": list(entry.persistent),
        "migrate": {
            "kind": migrate.kind,
            "mode": migrate.mode,
            "timeout": migrate.timeout,
            "directory": migrate.directory,
            "commands": [list(command) for command in migrate.commands],
            "migrations": list(args.choice.manifest.migrations),
            # Where there are none, nothing: a key more is another request, and would run the step again.
            **(
                {"parents": {k: list(v) for k, v in parents.items()}} if (parents := args.choice.manifest.migration_parents) else {}
            ),
            **({"check": list(migrate.check)} if migrate.check else {}),
        }
        if migrate
        else None,
        "schema": {"query": entry.schema_query, "expect": None} if entry.schema_query else None,
        "database": {"engine": entry.database.engine, "name": entry.database.name} if entry.database else None,
        "restart": restart(entry),
        "probe": probe(entry, args.domain),
        "keep": args.keep,
    }


def activation_of(
    switch: Mapping[str, Any], stage: Mapping[str, Any] | None = None, health: Mapping[str, Any] | None = None
) -> Activation:
    """The rules that a release's requests state: the inverse of ``switch_request``, ``stage_request`` (the dependencies) and
    ``health_probe`` (the version that the site tells). Raises ``ValueError`` for what are no such requests."""
    try:
        asked = {key: value for key, value in (health or switch)["probe"].items() if key != "domain"}
        migrate, schema = switch["migrate"], switch["schema"]
        return Activation.model_validate(
            {
                "runtime": switch["runtime"],
                "dependencies": (stage or {}).get("dependencies"),
                "persistent": switch["persistent"],
                "migrate": {key: value for key, value in migrate.items() if key not in ("migrations", "parents")}
                if migrate
                else None,
                "schema_query": schema["query"] if schema else None,
                "restart": switch["restart"],
                "programs": [names[0] for names in switch.get("programs", ()) if len(names) == 1],
                "health": asked,
            }
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"no requests of a release: {error!r}") from None


def restart(entry: Service) -> dict[str, Any] | None:
    """How a process takes a new release or new secrets, as ``switch`` and ``env`` are told; ``None`` for what runs no process."""
    found = entry.steps.restart
    if found is None:
        return None
    otherwise = {"otherwise": [list(command) for command in found.otherwise]} if found.otherwise else {}
    return {"command": list(found.command), **otherwise, "budget": found.budget}


def public_host(entry: Service, domain: str) -> str:
    """The service's full domain name."""
    return f"{entry.host}.{domain}" if entry.host else domain


def probe(entry: Service, domain: str) -> dict[str, Any]:
    """What the public URL must answer, as ``switch`` asks it."""
    health = entry.health
    return {
        "domain": public_host(entry, domain),
        "path": health.path,
        "status": health.status,
        "contains": health.contains,
        "release_path": health.release_path,
        "successes": health.successes,
        "timeout": health.timeout,
        # Where there is none, nothing: a key more is another request, and would run the step again.
        **({"daemon": health.daemon.model_dump()} if health.daemon else {}),
    }


def health_probe(entry: Service, domain: str) -> dict[str, Any]:
    """The same as ``health`` asks it: with the version that the site tells."""
    version = entry.health.version
    return {**probe(entry, domain), **({"version": version.model_dump()} if version else {})}
