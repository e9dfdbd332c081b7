"""The question to the public URL, from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from catalog.models import Service
from components.artefacts import Choice
from components.component import PROTOCOL, Component, host_step, or_else, result
from components.release import health_probe


@dataclass(frozen=True)
class HealthCheckArgs:
    """``choice``: the release that the URL must tell; ``domain``: of the stack."""

    stack: str
    host: str
    service: str
    entry: Service
    choice: Choice
    domain: str


class HealthCheck(Component):
    """Child: ``<service>-health``, asked again only where release or expectation change. ``status``: of the last answer.

    ``files_only``: whether an external service's domain led to its files and to no daemon. ``version``: as the site told it."""

    status: pulumi.Output[int | None]
    files_only: pulumi.Output[bool | None]
    version: pulumi.Output[str | None]

    def __init__(
        self, name: str, args: HealthCheckArgs, after: Sequence[pulumi.Resource] = (), opts: pulumi.ResourceOptions | None = None
    ) -> None:
        question = health_probe(args.entry, args.domain)
        super().__init__(name, {"service": args.service, "probe": question}, after, opts)
        request = {
            "protocol": PROTOCOL,
            "stack": args.stack,
            "host": args.host,
            "service": args.service,
            "release": args.choice.release,
            "probe": question,
        }
        kept = {"ignore_changes": ["stdin"]} if args.choice.kept else {}
        check = host_step(f"{args.service}-health", "health", request, self.child(**kept))
        self.status = result(check, "status")
        self.files_only = result(check, "files_only")
        self.version = result(check, "version")
        self.register_outputs({"status": or_else(self.status, None)})
