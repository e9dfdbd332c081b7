"""The secrets file of a service on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi
from pulumi_command import local

from catalog.models import Service
from components.component import PROTOCOL, Component, host_step
from components.release import probe, restart

SYSTEM = "system"


@dataclass(frozen=True)
class ServiceSecretsArgs:
    """``variables``: what the service reads from ``secrets.env``. ``ca``: PEM of its database server's CA, where it has TLS, or ``SYSTEM``:
    those that the host trusts.

    ``entry``, ``domain``, ``strategy``: of the release that may be live, which must take changed secrets and still answer."""

    stack: str
    host: str
    service: str
    variables: Mapping[str, pulumi.Input[str]] = field(repr=False)
    ca: str | None
    entry: Service
    domain: str
    strategy: Literal["symlink", "in-place"]


class ServiceSecrets(Component):
    """Child: ``<service>-env``, which writes ``secrets.env`` (600, outside every docroot) and restarts the process that has read it."""

    env: local.Command

    def __init__(
        self, name: str, args: ServiceSecretsArgs, after: Sequence[pulumi.Resource] = (), opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, {"service": args.service, "names": sorted(args.variables)}, after, opts)
        request = {
            "protocol": PROTOCOL,
            "stack": args.stack,
            "host": args.host,
            "service": args.service,
            "variables": dict(args.variables),
            "ca": args.ca,
            "target": args.entry.path,
            "strategy": args.strategy,
            "runtime": args.entry.runtime,
            "restart": restart(args.entry),
            "probe": probe(args.entry, args.domain),
        }
        self.env = host_step(f"{args.service}-env", "env", request, self.child(), secret=True)
        self.register_outputs({"names": sorted(args.variables)})
