"""Metrics of deployments and of the host's facts, as a text file for node_exporter's textfile collector (Prometheus exposition format)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from catalog.exports import MonitoringExport


class DeploymentMetrics(BaseModel):
    """What the last deploy and the last look at the host said.

    Times are Unix seconds; ``None`` leaves a metric out rather than guess it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    exported_at: float | None = None
    """When these figures were gathered."""
    duration: float | None = None
    finished_at: float | None = None
    failures: int | None = None
    rollbacks: int | None = None
    migrations_pending: Mapping[str, int] = {}
    """Service → migrations of the live release that are not applied."""
    database_up: Mapping[str, bool] = {}
    live_files_changed: Mapping[str, int] = {}
    """Service → files of the live release whose digest is not the manifest's."""
    security_alerts_open: Mapping[str, int] = {}
    """Source (``dependabot``, ``code-scanning``) → open alerts of HIGH or CRITICAL severity."""
    quota_bytes: int | None = None
    quota_free_bytes: int | None = None


def textfile(exports: MonitoringExport, metrics: DeploymentMetrics) -> dict[str, str]:
    """The file ``prometheus/textfile/mo_<stack>.prom``."""
    stack = {"stack": exports.stack}
    host = {**stack, "host": exports.host.name}
    deployed = [s for s in exports.services if s.release is not None]
    out: list[str] = []

    def family(name: str, help_text: str, samples: list[tuple[dict[str, str], float | int | bool | None]]) -> None:
        known = [(labels, value) for labels, value in samples if value is not None]
        if known:
            out.append(f"# HELP {name} {help_text}")
            out.append(f"# TYPE {name} gauge")
            out.extend(f"{name}{_labels(labels)} {_number(value)}" for labels, value in known)

    family("mo_export_timestamp_seconds", "When bin/mo export gathered these figures.", [(stack, metrics.exported_at)])
    family("mo_services_deployed", "Services with a live release.", [(stack, len(deployed))])
    family("mo_services_expected", "Services that the stack deploys.", [(stack, len(exports.services))])
    family(
        "mo_service_info",
        "Live release of each service; always 1.",
        [
            (
                {
                    **stack,
                    "service": s.key,
                    "release": s.release or "",
                    "commit": s.commit or "",
                    "version": s.version or "",
                    "runtime": s.runtime,
                },
                1,
            )
            for s in deployed
        ],
    )
    family(
        "mo_schema_info",
        "Schema version of each database, as the last switch verified it; always 1.",
        [
            ({**stack, "service": s.key, "server": s.database.server, "database": s.database.name, "version": version}, 1)
            for s in deployed
            if s.database and (version := s.database.schema_version)
        ],
    )
    family("mo_deployment_duration_seconds", "Duration of the last deployment.", [(stack, metrics.duration)])
    family("mo_deployment_finished_timestamp_seconds", "End of the last deployment.", [(stack, metrics.finished_at)])
    family("mo_deployment_failures", "Services that failed in the last deployment.", [(stack, metrics.failures)])
    family("mo_deployment_rollbacks", "Services put back in the last deployment.", [(stack, metrics.rollbacks)])

    def by_service(values: Mapping[str, int] | Mapping[str, bool]) -> list[tuple[dict[str, str], float | int | bool | None]]:
        return [({**host, "service": key}, value) for key, value in sorted(values.items())]

    family("mo_migrations_pending", "Migrations of the live release that are not applied.", by_service(metrics.migrations_pending))
    family(
        "mo_database_up",
        "Whether the service's database accepts its account, asked from the host.",
        by_service(metrics.database_up),
    )
    family("mo_live_files_changed", "Files of the live release that are not as deployed.", by_service(metrics.live_files_changed))
    family(
        "mo_security_alerts_open",
        "Open security alerts of HIGH or CRITICAL severity.",
        [({**stack, "source": key}, value) for key, value in sorted(metrics.security_alerts_open.items())],
    )
    family("mo_quota_bytes", "The account's space.", [(host, metrics.quota_bytes)])
    family("mo_quota_free_bytes", "Free space of the account.", [(host, metrics.quota_free_bytes)])
    return {f"prometheus/textfile/mo_{exports.stack}.prom": "\n".join(out) + "\n"}


def _labels(labels: Mapping[str, str]) -> str:
    escaped = (f'{k}="{v.translate(_ESCAPES)}"' for k, v in labels.items())
    return "{" + ",".join(escaped) + "}"


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def _number(value: float | int | bool) -> str:
    return str(int(value)) if isinstance(value, bool) or float(value).is_integer() else repr(float(value))
