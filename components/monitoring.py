"""What the stack tells the monitoring: the output ``monitoring``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from components.component import Component, result
from components.health_check import HealthCheck
from components.release import Release, public_host


@dataclass(frozen=True)
class MonitoringArgs:
    """``releases``: the ``Release`` of each service that has one, and its ``HealthCheck``; ``commit``: of this deploy."""

    stack: str
    settings: StackSettings
    services: Mapping[str, Service]
    choices: Mapping[str, Choice]
    releases: Mapping[str, tuple[Release, HealthCheck]]
    commit: str | None


class Monitoring(Component):
    """No children. ``export``: see ``catalog.exports.MonitoringExport``; no secret is in it."""

    export: pulumi.Output[dict[str, Any]]

    def __init__(
        self, name: str, args: MonitoringArgs, after: Sequence[pulumi.Resource] = (), opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, {"services": sorted(args.services)}, after, opts)
        live = {
            key: pulumi.Output.all(
                at=release.switched_at,
                schema=result(release.switch, "schema_version"),
                files_only=check.files_only,
                version=check.version,
            )
            for key, (release, check) in args.releases.items()
        }
        # Output.all() of nothing is an empty list.
        known = pulumi.Output.all(**live) if live else pulumi.Output.from_input({})
        self.export = known.apply(lambda switched: export(args, switched))
        self.register_outputs({"services": sorted(args.services)})


def export(args: MonitoringArgs, live: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The export as JSON. ``live``: for each deployed service when it was switched (``at``), its schema's version
    (``schema``), whether it is ``files_only``, and the ``version`` that the site told."""
    settings = args.settings
    used = {service.database.server for service in args.services.values() if service.database}
    return MonitoringExport(
        stack=args.stack,
        domain=settings.domain,
        commit=args.commit,
        host=HostExport(**settings.host.model_dump(include={"name", "address", "port", "user", "root"})),
        edge=EdgeExport(**settings.edge.model_dump()),
        services=tuple(_service(args, key, live.get(key, {})) for key in args.services),
        servers=tuple(
            ServerExport(name=name, **server.model_dump(include={"engine", "host", "port", "reach", "tls"}))
            for name, server in settings.servers.items()
            if name in used
        ),
        thresholds=ThresholdsExport(services_deployed=len(args.services)),
        security_sources=tuple(source for source in SECURITY_SOURCES if source in settings.gates.required),
    ).model_dump(mode="json", by_alias=True)


def _service(args: MonitoringArgs, key: str, live: Mapping[str, Any]) -> ServiceExport:
    entry, edge = args.services[key], args.settings.edge
    domain = public_host(entry, args.settings.domain)
    default = {"https": 443, "http": 80}[edge.scheme]
    choice = args.choices.get(key)
    database = entry.database
    return ServiceExport(
        key=key,
        title=entry.title,
        domain=domain,
        url=f"{edge.scheme}://{domain}{'' if edge.port == default else f':{edge.port}'}/",
        runtime=entry.runtime,
        technology=entry.technology,
        release=choice.release if choice else None,
        commit=choice.manifest.commit if choice else None,
        deployed_at=live.get("at"),
        path=entry.path,
        health=HealthExport(**entry.health.model_dump(include={"path", "status", "contains", "timeout", "daemon"})),
        version=live.get("version"),
        files_only=live.get("files_only") if entry.runtime == "external" else None,
        database=DatabaseExport(
            engine=database.engine, server=database.server, name=database.name, schema_version=live.get("schema")
        )
        if database
        else None,
        mail=entry.mail.replace("{domain}", args.settings.domain) if entry.mail else None,
    )
