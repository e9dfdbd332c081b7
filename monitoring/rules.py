"""Recording and alert rules: one for every row of the monitoring and alert tables (docs/monitoring.md), with its time or target."""

from __future__ import annotations

from typing import Any

from catalog.exports import MonitoringExport
from monitoring.alert import HOUR, MINUTE, alert, held
from monitoring.missing import missing
from monitoring.settings import MonitoringSettings

_SERVER = "(server, engine, stack, host, instance, job)"
"""The labels of a server's exporter: PostgreSQL's tells each database by itself."""


def rules(exports: MonitoringExport, settings: MonitoringSettings) -> dict[str, Any]:
    """The rule file. Times are multiplied by ``settings.time_scale``."""
    told = [_critical(settings), missing(exports, settings), _warning(exports, settings), _targets(exports)]
    return {"groups": [_recorded(exports, settings), _of_the_day(exports), *told]}


def _recorded(exports: MonitoringExport, settings: MonitoringSettings) -> dict[str, Any]:
    # 30 minutes of probes, so that one lost answer in a hundred is below the warning and two are above it.
    # At least four looks, however short the times are made: a rate needs two samples.
    least = 4 * settings.scrape_interval
    window, short = (f"{max(least, round(minutes * MINUTE * settings.time_scale))}s" for minutes in (30, 5))
    return {
        "name": "mo-recorded",
        "rules": [
            {"record": "mo:http_ok:ratio", "expr": 'avg by (stack) (probe_success{job="mo-services"})'},
            {"record": "mo:probe_errors:ratio_window", "expr": f'1 - avg_over_time(probe_success{{job="mo-services"}}[{window}])'},
            {
                "record": "mo:response_seconds:p95",
                "expr": f'quantile_over_time(0.95, probe_duration_seconds{{job="mo-services"}}[{short}])',
            },
            # That an external service's files answer does not make its daemon one that does.
            {"record": "mo:services:up", "expr": 'sum by (stack) (probe_success{job="mo-services",serves!="files"})'},
            {
                "record": "mo:services:files_only",
                "expr": 'sum by (stack) (probe_success{job="mo-services",serves="files"})'
                ' or 0 * sum by (stack) (probe_success{job="mo-services"})',
            },
            {
                "record": "mo:database_connections:ratio",
                "expr": "mysql_global_status_threads_connected / mysql_global_variables_max_connections",
            },
            {
                "record": "mo:database_connections:ratio",
                "expr": f"sum by {_SERVER} (pg_stat_activity_count) / on {_SERVER} pg_settings_max_connections",
            },
            {"record": "mo:database_queries:rate", "expr": f"rate(mysql_global_status_queries[{short}])"},
            {"record": "mo:database_queries:rate", "expr": f"sum by {_SERVER} (rate(pg_stat_database_xact_commit[{short}]))"},
            # The exporters tell no query's time, but how many run: of N that run and R that end a second, each takes N / R (Little's
            # law). One that runs is the exporter's own.
            {
                "record": "mo:database_query_seconds:avg",
                "expr": f"clamp_min(avg_over_time(mysql_global_status_threads_running[{short}]) - 1, 0)"
                f" / rate(mysql_global_status_queries[{short}])",
            },
            {
                "record": "mo:database_query_seconds:avg",
                "expr": f'clamp_min(sum by {_SERVER} (avg_over_time(pg_stat_activity_count{{state="active"}}[{short}])) - 1, 0)'
                f" / on {_SERVER} sum by {_SERVER} (rate(pg_stat_database_xact_commit[{short}]))",
            },
            {"record": "mo:database_slow_queries:rate", "expr": f"rate(mysql_global_status_slow_queries[{short}])"},
            {
                "record": "mo:database_transaction_seconds:longest",
                "expr": f'max by {_SERVER} (pg_stat_activity_max_tx_duration{{state="active"}})',
            },
        ],
    }


def _of_the_day(exports: MonitoringExport) -> dict[str, Any]:
    """What the targets of response time and error rate are held against: the probes of a day."""
    of_a_day = '{job="mo-services"}[1d]'
    return {
        "name": "mo-day",
        "interval": "1m",
        "rules": [
            {"record": "mo:response_seconds:p95_day", "expr": f"quantile_over_time(0.95, probe_duration_seconds{of_a_day})"},
            {"record": "mo:probe_errors:ratio_day", "expr": f"1 - avg_over_time(probe_success{of_a_day})"},
            # 1: nothing failed; 0: as much failed as may; below: more.
            {"record": "mo:error_budget:left", "expr": f"1 - mo:probe_errors:ratio_day / {exports.thresholds.error_ratio}"},
        ],
    }


def _critical(settings: MonitoringSettings) -> dict[str, Any]:
    return {
        "name": "mo-critical",
        "rules": [
            alert(
                "HostDown",
                'probe_success{job="mo-host"} == 0',
                "0s",
                "critical",
                "Host {{ $labels.host }} does not answer on SSH",
                "No SSH banner from {{ $labels.instance }}. Its services' own alerts are silenced meanwhile. Look: bin/mo doctor",
            ),
            alert(
                "ServiceDown",
                'probe_success{job="mo-services"} == 0',
                "0s",
                "critical",
                "{{ $labels.title }} ({{ $labels.service }}) is down",
                "{{ $labels.url }} does not answer as it must. Look: bin/mo status; bin/mo logs {{ $labels.service }}",
            ),
            alert(
                "DatabaseConnectionFailure",
                "mysql_up == 0 or pg_up == 0 or mo_database_up == 0",
                "0s",
                "critical",
                "Database {{ $labels.server }}{{ $labels.service }} cannot be reached",
                "A connection to {{ $labels.server }}{{ $labels.service }} fails. Look: bin/mo doctor",
            ),
            alert(
                "SecurityIncident",
                "mo_live_files_changed > 0 or (mo_security_alerts_open > 0)",
                "0s",
                "critical",
                "Security incident at {{ $labels.service }}{{ $labels.source }}",
                "{{ $value }} file(s) of a live release changed on the host, or new HIGH alerts are open. Look: bin/mo drift",
            ),
        ],
    }


def _warning(exports: MonitoringExport, settings: MonitoringSettings) -> dict[str, Any]:
    limits = exports.thresholds
    return {
        "name": "mo-warning",
        "rules": [
            alert(
                "SlowResponse",
                f'probe_duration_seconds{{job="mo-services"}} > {limits.response_time_warning}',
                held(15 * MINUTE, settings),
                "warning",
                "{{ $labels.title }} ({{ $labels.service }}) answers slowly",
                "{{ $labels.url }} takes {{ $value | humanizeDuration }}, more than " + f"{limits.response_time_warning} s.",
            ),
            alert(
                "ErrorRate",
                f"mo:probe_errors:ratio_window > {limits.error_ratio_warning}",
                held(30 * MINUTE, settings),
                "warning",
                "{{ $labels.title }} ({{ $labels.service }}) fails too often",
                "{{ $value | humanizePercentage }} of the probes failed, more than " + f"{limits.error_ratio_warning:.0%}.",
            ),
            alert(
                "DiskSpaceLow",
                f"mo_quota_free_bytes / mo_quota_bytes < {limits.free_disk_ratio_warning}",
                held(HOUR, settings),
                "warning",
                "Host {{ $labels.host }} is running out of space",
                "{{ $value | humanizePercentage }} of the account's space is free, less than "
                + f"{limits.free_disk_ratio_warning:.0%}. Look: bin/mo doctor; bin/mo snapshots list",
            ),
        ],
    }


def _targets(exports: MonitoringExport) -> dict[str, Any]:
    """The targets (of a finished deploy or a whole day, so they hold at once), and certificates that run out."""
    limits = exports.thresholds
    return {
        "name": "mo-targets",
        "rules": [
            alert(
                "DeploymentSlow",
                f"mo_deployment_duration_seconds > {limits.deployment_minutes * MINUTE}",
                "0s",
                "info",
                "The last deployment of {{ $labels.stack }} took too long",
                "{{ $value | humanizeDuration }}, target " + f"{limits.deployment_minutes} min.",
            ),
            alert(
                "ServicesMissing",
                f"mo_services_deployed < {limits.services_deployed}",
                "0s",
                "info",
                "Fewer services deployed than the catalogue has",
                "{{ $value }} of " + f"{limits.services_deployed} services are deployed.",
            ),
            alert(
                "DeploymentFailed",
                "mo_deployment_failures > 0 or mo_deployment_rollbacks > 0",
                "0s",
                "info",
                "The last deployment of {{ $labels.stack }} had failures or was rolled back",
                "Look: the report in quality-reports/, bin/mo history",
            ),
            alert(
                "ResponseTimeTarget",
                f"mo:response_seconds:p95_day > {limits.response_time_p95}",
                "0s",
                "info",
                "{{ $labels.title }} ({{ $labels.service }}) misses its target of response time",
                "Of the last day's answers, 5 % took longer than {{ $value | humanizeDuration }}, target "
                + f"{limits.response_time_p95 * 1000:g} ms.",
            ),
            alert(
                "ErrorRateTarget",
                f"mo:probe_errors:ratio_day > {limits.error_ratio}",
                "0s",
                "info",
                "{{ $labels.title }} ({{ $labels.service }}) misses its target of errors",
                "{{ $value | humanizePercentage }} of the last day's probes failed, target " + f"{limits.error_ratio:.1%}.",
            ),
            alert(
                "MigrationPending",
                "mo_migrations_pending > 0",
                "0s",
                "info",
                "{{ $labels.service }} has pending migrations",
                "{{ $value }} migrations of the live release are not applied. Look: bin/mo status",
            ),
            alert(
                "CertificateExpires",
                'probe_ssl_earliest_cert_expiry{job="mo-services"} - time() < 14 * 86400',
                "0s",
                "warning",
                "The certificate of {{ $labels.service }} runs out",
                "In {{ $value | humanizeDuration }}: renew it in the panel.",
            ),
        ],
    }
