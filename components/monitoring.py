"""What the stack tells the monitoring: the output ``monitoring``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from catalog.exports import (
    SECURITY_SOURCES,
    DatabaseExport,
    EdgeExport,
    HealthExport,
    HostExport,
    MonitoringExport,
    ServerExport,
    ServiceExport,
    ThresholdsExport,
)
from catalog.models import Service
from catalog.settings import StackSettings
from components.artefacts import Choice
from components.component import Component, or_else, result
from components.facts import Facts
from components.health_check import HealthCheck
from components.release import Release, public_host


@dataclass(frozen=True)
class MonitoringArgs:
    """``releases``: the ``Release`` of each service that has one, and its ``HealthCheck``; ``commit``: of this deploy; ``before``: what the
    host told of each service before it."""

    stack: str
    settings: StackSettings
    services: Mapping[str, Service]
    choices: Mapping[str, Choice]
    releases: Mapping[str, tuple[Release, HealthCheck]]
    commit: str | None
    before: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class Told:
    """What a service's steps told. ``switched``: whether its release is live; ``checked``: whether its health check passed; ``at``: when it
    was switched; ``schema``: its schema's version; ``version``: as the site told it."""

    switched: bool = True
    checked: bool = True
    at: str | None = None
    schema: str | None = None
    files_only: bool | None = None
    version: str | None = None


class Monitoring(Component):
    """No children. ``export``: see ``catalog.exports.MonitoringExport``; no secret is in it."""

    export: pulumi.Output[dict[str, Any]]

    def __init__(
        self, name: str, args: MonitoringArgs, after: Sequence[pulumi.Resource] = (), opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, {"services": sorted(args.services)}, after, opts)
        live = {key: _of(release, check) for key, (release, check) in args.releases.items()}
        # Output.all() of nothing is an empty list.
        known = pulumi.Output.all(**live) if live else pulumi.Output.from_input({})
        self.export = known.apply(lambda told: export(args, {key: Told(**one) for key, one in told.items()}))
        self.register_outputs({"services": sorted(args.services)})


def _of(release: Release, check: HealthCheck) -> pulumi.Output[dict[str, Any]]:
    """The fields of ``Told``. A failed step is told as such: an output without it would be no output for any service."""
    switched = pulumi.Output.all(switched=True, at=release.switched_at, schema=result(release.switch, "schema_version"))
    checked = pulumi.Output.all(checked=True, files_only=check.files_only, version=check.version)
    both = pulumi.Output.all(or_else(switched, {"switched": False}), or_else(checked, {"checked": False}))
    merged: pulumi.Output[dict[str, Any]] = both.apply(lambda parts: {**parts[0], **parts[1]})
    return merged


def export(args: MonitoringArgs, live: Mapping[str, Told]) -> dict[str, Any]:
    """The export as JSON. ``live``: what the steps of each deployed service told."""
    settings = args.settings
    used = {service.database.server for service in args.services.values() if service.database}
    return MonitoringExport(
        stack=args.stack,
        domain=settings.domain,
        commit=args.commit,
        host=HostExport(**settings.host.model_dump(include={"name", "address", "port", "user", "root"})),
        edge=EdgeExport(**settings.edge.model_dump()),
        services=tuple(_service(args, key, live.get(key, Told())) for key in args.services),
        servers=tuple(
            ServerExport(name=name, **server.model_dump(include={"engine", "host", "port", "reach", "tls"}))
            for name, server in settings.servers.items()
            if name in used
        ),
        thresholds=ThresholdsExport(services_deployed=len(args.services)),
        security_sources=tuple(source for source in SECURITY_SOURCES if source in settings.gates.required),
    ).model_dump(mode="json", by_alias=True)


def _service(args: MonitoringArgs, key: str, live: Told) -> ServiceExport:
    entry, edge = args.services[key], args.settings.edge
    domain = public_host(entry, args.settings.domain)
    default = {"https": 443, "http": 80}[edge.scheme]
    choice, before = args.choices.get(key), args.before.of(key)
    manifest = choice.manifest if choice and (live.switched or before.live == choice.release) else before.manifest
    database = entry.database
    return ServiceExport(
        key=key,
        title=entry.title,
        domain=domain,
        url=f"{edge.scheme}://{domain}{'' if edge.port == default else f':{edge.port}'}/",
        runtime=entry.runtime,
        technology=entry.technology,
        release=before.live if not live.switched else choice.release if choice else None,
        commit=manifest.commit if manifest else None,
        deployed_at=live.at if live.switched else before.at,
        failed=not (live.switched and live.checked),
        path=entry.path,
        health=HealthExport(**entry.health.model_dump(include={"path", "status", "contains", "timeout", "daemon"})),
        version=live.version,
        files_only=live.files_only if entry.runtime == "external" else None,
        database=DatabaseExport(
            engine=database.engine,
            server=database.server,
            name=database.name,
            schema_version=live.schema if live.switched else before.schema_version,
        )
        if database
        else None,
        mail=entry.mail.replace("{domain}", args.settings.domain) if entry.mail else None,
    )
