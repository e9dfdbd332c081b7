"""Alerts about what the other alerts look at: a rule over a metric that is not there is silent, and reads as good news.

Every service, server, host and security source that the exports name has its metric asked for by name.
"""

from __future__ import annotations

from typing import Any

from catalog.exports import MonitoringExport
from monitoring.alert import alert
from monitoring.settings import MonitoringSettings

LOST_SCRAPES = 3
"""An exporter that is restarted (an upgrade of its package) loses one or two."""
LOST_EXPORTS = 3
"""One run of ``bin/mo export`` may fall out because the stack is being deployed, a second because it takes its time."""


def missing(exports: MonitoringExport, settings: MonitoringSettings) -> dict[str, Any]:
    """The group ``mo-missing``. Its times follow the scrapes and the exports, so ``time_scale`` does not touch them."""
    after = f"{LOST_SCRAPES * settings.scrape_interval}s"
    oldest = LOST_EXPORTS * settings.export_interval
    exported = f'mo_export_timestamp_seconds{{stack="{exports.stack}"}}'
    wanted = [*_probes(exports), *_servers(exports, settings), *_figures(exports)]
    return {
        "name": "mo-missing",
        "rules": [
            alert(
                "ExporterDown",
                'count by (stack, job, server) (up{job=~"mo-.+"} == 0)',
                after,
                "critical",
                "Nothing is measured by {{ $labels.job }}{{ with $labels.server }} of {{ . }}{{ end }}",
                "{{ $value }} target(s) not scraped (mo-services, mo-host: blackbox exporter; mo-deployment: node_exporter), so what they"
                " measure can raise no alert. Look: systemctl status prometheus-*-exporter",
            ),
            alert(
                "MetricMissing",
                " or ".join(f"absent({selector})" for selector in wanted),
                after,
                "critical",
                "Nothing is known of {{ $labels.service }}{{ $labels.server }}{{ $labels.source }} ({{ $labels.job }})",
                "A metric of what the stack exports is not there, so no alert can tell that it is bad. Look: /targets of Prometheus;"
                " bin/mo export and its notes; docs/monitoring.md",
            ),
            alert(
                "FiguresOld",
                f"time() - {exported} > {oldest}",
                "0s",
                "critical",
                "bin/mo export of {{ $labels.stack }} has stopped",
                "The figures of host and deployments are {{ $value | humanizeDuration }} old, "
                f"and are to be at most {oldest // 60} min. Look: the timer of bin/mo export and its last output.",
            ),
        ],
    }


def _selector(metric: str, **labels: str) -> str:
    return metric + "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def _probes(exports: MonitoringExport) -> list[str]:
    place = {"stack": exports.stack, "host": exports.host.name}
    deployed = [s.key for s in exports.services if s.release is not None]
    found = [_selector("probe_success", job="mo-services", **place, service=key) for key in deployed]
    return [*found, _selector("probe_success", job="mo-host", **place)]


def _servers(exports: MonitoringExport, settings: MonitoringSettings) -> list[str]:
    """Of the servers that have an exporter; the others are asked for from the host, service by service."""
    place = {"stack": exports.stack, "host": exports.host.name}
    kinds = {
        "mariadb": ("mysql_up", "mo-mysqld", settings.mysqld_exporters),
        "postgresql": ("pg_up", "mo-postgres", settings.postgres_exporters),
    }
    return [
        _selector(metric, job=job, **place, server=server.name)
        for server in exports.servers
        for metric, job, exporters in (kinds[server.engine],)
        if server.name in exporters
    ]


def _figures(exports: MonitoringExport) -> list[str]:
    """What ``bin/mo export`` writes for the text file collector."""
    of_stack = {"job": "mo-deployment", "stack": exports.stack}
    place = {**of_stack, "host": exports.host.name}
    deployed = [s for s in exports.services if s.release is not None]
    return [
        _selector("mo_export_timestamp_seconds", **of_stack),
        _selector("mo_quota_bytes", **place),
        _selector("mo_quota_free_bytes", **place),
        *(_selector("mo_database_up", **place, service=s.key) for s in deployed if s.database),
        *(_selector("mo_live_files_changed", **place, service=s.key) for s in deployed),
        *(_selector("mo_security_alerts_open", **of_stack, source=source) for source in exports.security_sources),
    ]
