"""What the stack exports for the monitoring: one versioned structure without secrets, the output ``monitoring`` of the stack.

``docs/exports.schema.json`` is this model's JSON schema (a test keeps them equal). Read it by
``pulumi stack output monitoring --json`` or through a ``StackReference``. Keys are camelCase in JSON. A field that is added
raises nothing; one that changes its meaning raises ``version``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

SECURITY_SOURCES = ("trivy", "gitleaks", "dependabot", "code-scanning")
"""The gates whose findings are security alerts."""


class _Export(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class DatabaseExport(_Export):
    """Where a service's data is. ``schema_version`` as the last ``switch`` verified it."""

    engine: Literal["mariadb", "postgresql"]
    server: str
    name: str
    schema_version: str | None = None


class DaemonExport(_Export):
    """Where the daemon of an external service answers 200, not in HTML and with ``contains``."""

    path: str
    contains: str | None = None


class HealthExport(_Export):
    """What the service's ``url`` must answer; ``timeout`` in seconds."""

    path: str
    status: int
    contains: str | None = None
    timeout: int
    daemon: DaemonExport | None = None


class ServiceExport(_Export):
    """One service. ``runtime`` ``external``: the daemon is somebody else's. ``release`` is ``None`` before its first deploy."""

    key: str
    title: str
    domain: str
    url: str
    runtime: Literal["files", "php", "process", "external"]
    technology: str
    release: str | None
    commit: str | None
    deployed_at: str | None
    """When the live release became live, UTC, ISO 8601; ``None`` where unknown."""
    path: str
    health: HealthExport
    failed: bool = False
    """Whether the last update could not make its release live (``release`` is the one before it then), or the release's health check
    failed."""
    version: str | None = None
    """As the site told it after its release went live; ``None`` where it tells none."""
    files_only: bool | None = None
    """Of an external service: whether its domain led to the files alone, and to no daemon, when its release was last asked."""
    database: DatabaseExport | None = None
    mail: str | None = None
    owner_mail: str | None = None


class ServerExport(_Export):
    """A database server. No account, no password."""

    name: str
    engine: Literal["mariadb", "postgresql"]
    host: str
    port: int
    reach: Literal["direct", "host"]
    tls: bool


class HostExport(_Export):
    """The SSH host."""

    name: str
    address: str
    port: int
    user: str
    root: str


class EdgeExport(_Export):
    """How public URLs are asked from the monitoring machine (``connect``: ``address:port`` in place of DNS)."""

    scheme: Literal["https", "http"]
    port: int
    connect: str | None = None
    ca_file: str | None = None


class ThresholdsExport(_Export):
    """The targets of the monitoring: seconds, ratios (0–1), minutes."""

    response_time_p95: float = 0.5
    response_time_warning: float = 2.0
    error_ratio: float = 0.001
    error_ratio_warning: float = 0.01
    free_disk_ratio_warning: float = 0.2
    deployment_minutes: int = 30
    services_deployed: int


class MonitoringExport(_Export):
    """The stack output ``monitoring``."""

    version: Literal[1] = 1
    stack: str
    domain: str
    commit: str | None
    host: HostExport
    edge: EdgeExport
    services: tuple[ServiceExport, ...]
    servers: tuple[ServerExport, ...]
    thresholds: ThresholdsExport
    security_sources: tuple[str, ...] = ()
    """Which of ``SECURITY_SOURCES`` the stack requires reports of."""
