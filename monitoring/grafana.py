"""Grafana: provisioning files and four dashboards (overview, one service, deployments, databases), for any Prometheus datasource."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml

from catalog.exports import MonitoringExport
from monitoring.settings import MonitoringSettings

Json = dict[str, Any]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def grafana(exports: MonitoringExport, settings: MonitoringSettings) -> dict[str, str]:
    """The files below ``grafana/``: ``provisioning/`` and ``dashboards/``."""
    boards = [_overview(exports), _service(exports), _deployments(exports), _databases(exports)]
    files = {f"grafana/dashboards/{b['uid']}.json": json.dumps(b, indent=2, ensure_ascii=False) + "\n" for b in boards}
    files["grafana/provisioning/datasources/mo.yaml"] = yaml.safe_dump(
        {
            "apiVersion": 1,
            "datasources": [
                {
                    "name": "mo-deploy",
                    "type": "prometheus",
                    "access": "proxy",
                    "url": f"http://{settings.prometheus}",
                    "editable": True,
                }
            ],
        },
        sort_keys=False,
    )
    files["grafana/provisioning/dashboards/mo.yaml"] = yaml.safe_dump(
        {
            "apiVersion": 1,
            "providers": [
                {
                    "name": "mo-deploy",
                    "folder": "mo-deploy",
                    "type": "file",
                    "options": {"path": "/var/lib/grafana/dashboards/mo-deploy"},
                }
            ],
        },
        sort_keys=False,
    )
    return files


def queries(board: Json) -> list[str]:
    """Every PromQL expression of a dashboard, for a check that each one runs."""
    found = [t["expr"] for p in board["panels"] for t in p.get("targets", [])]
    return found + [a["expr"] for a in board.get("annotations", {}).get("list", []) if "expr" in a]


def _board(exports: MonitoringExport, name: str, title: str, panels: list[Json], variables: list[Json]) -> Json:
    datasource = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "refresh": 1,
        "regex": "",
    }
    return {
        "uid": f"mo-{exports.stack}-{name}",
        "title": f"{title} ({exports.stack})",
        "tags": ["mo-deploy", exports.stack],
        "timezone": "utc",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [datasource, *variables]},
        "annotations": {
            "list": [
                {
                    "name": "Deployments",
                    "datasource": DATASOURCE,
                    "enable": True,
                    "iconColor": "blue",
                    "expr": f'mo_deployment_finished_timestamp_seconds{{stack="{exports.stack}"}} * 1000',
                    "useValueForTime": True,
                    "titleFormat": "deployment",
                }
            ]
        },
        "panels": _placed(panels),
    }


def _placed(panels: list[Json]) -> list[Json]:
    """Panels from left to right in a grid of 24 columns; each says its own width and height."""
    x = y = height = 0
    placed = []
    for number, panel in enumerate(panels, 1):
        w, h = panel.pop("size")
        if x + w > 24:
            x, y, height = 0, y + height, 0
        placed.append({"id": number, "datasource": DATASOURCE, **panel, "gridPos": {"x": x, "y": y, "w": w, "h": h}})
        x, height = x + w, max(height, h)
    return placed


@dataclass(frozen=True)
class Target:
    """What a figure is held against; ``least``: it must be that or more, else less."""

    value: float
    least: bool = False


def _panel(
    kind: str,
    title: str,
    targets: list[tuple[str, str]],
    *,
    unit: str = "short",
    size: tuple[int, int] = (12, 8),
    target: Target | None = None,
) -> Json:
    """A panel; its ``target`` is a line in a time series, and a colour elsewhere."""
    instant = kind in ("stat", "table", "bargauge")
    defaults: Json = {"unit": unit}
    if target is not None:
        below, above = ("red", "green") if target.least else ("green", "red")
        steps = [{"color": below, "value": None}, {"color": above, "value": target.value}]
        defaults |= {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}}
        if kind == "timeseries":
            defaults |= {"color": {"mode": "palette-classic"}, "custom": {"thresholdsStyle": {"mode": "line"}}}
    return {
        "type": kind,
        "title": title,
        "size": size,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": DATASOURCE,
                "expr": expr,
                "legendFormat": legend,
                "instant": instant,
                "range": not instant,
            }
            for n, (expr, legend) in enumerate(targets)
        ],
    }


def _overview(exports: MonitoringExport) -> Json:
    stack = f'stack="{exports.stack}"'
    services = f'job="mo-services",{stack}'
    limits = exports.thresholds
    return _board(
        exports,
        "overview",
        "All services",
        [
            _panel(
                "stat",
                "Services that answer",
                [(f"mo:services:up{{{stack}}}", "answer"), (f"mo:services:files_only{{{stack}}}", "files only")],
                size=(6, 4),
            ),
            _panel(
                "stat",
                "HTTP 200 rate",
                [(f"mo:http_ok:ratio{{{stack}}}", "rate")],
                unit="percentunit",
                size=(6, 4),
                target=Target(1, least=True),
            ),
            _panel(
                "stat",
                "Services deployed",
                [(f"mo_services_deployed{{{stack}}}", "deployed")],
                size=(6, 4),
                target=Target(limits.services_deployed, least=True),
            ),
            _panel(
                "stat",
                "Free space",
                [(f"mo_quota_free_bytes{{{stack}}} / mo_quota_bytes{{{stack}}}", "free")],
                unit="percentunit",
                size=(6, 4),
                target=Target(limits.free_disk_ratio_warning, least=True),
            ),
            _panel(
                "bargauge",
                "State by service (1: answers)",
                [(f"probe_success{{{services}}}", "{{title}} ({{serves}})")],
                size=(12, 14),
            ),
            _panel(
                "bargauge",
                "Response time of a day, 95th percentile",
                [(f"mo:response_seconds:p95_day{{{stack}}}", "{{title}}")],
                unit="s",
                size=(12, 14),
                target=Target(limits.response_time_p95),
            ),
            _panel(
                "timeseries",
                "Response time, 95th percentile of 5 min",
                [(f"mo:response_seconds:p95{{{stack}}}", "{{title}}")],
                unit="s",
                target=Target(limits.response_time_p95),
            ),
            _panel(
                "bargauge",
                "Error rate of a day",
                [(f"mo:probe_errors:ratio_day{{{stack}}}", "{{title}}")],
                unit="percentunit",
                target=Target(limits.error_ratio),
            ),
            _panel(
                "timeseries",
                "Error budget of a day that is left",
                [(f"mo:error_budget:left{{{stack}}}", "{{title}}")],
                unit="percentunit",
                size=(24, 8),
                target=Target(0, least=True),
            ),
        ],
        [],
    )


def _service(exports: MonitoringExport) -> Json:
    match = f'stack="{exports.stack}",service="$service"'
    limits = exports.thresholds
    variable = {
        "name": "service",
        "label": "Service",
        "type": "custom",
        "query": ",".join(s.key for s in exports.services),
        "options": [{"text": s.title, "value": s.key, "selected": n == 0} for n, s in enumerate(exports.services)],
        "current": {"text": exports.services[0].title, "value": exports.services[0].key} if exports.services else {},
        "hide": 0,
    }
    return _board(
        exports,
        "service",
        "One service",
        [
            _panel("stat", "Answers", [(f"probe_success{{{match}}}", "up")], size=(6, 4)),
            _panel("stat", "HTTP status", [(f"probe_http_status_code{{{match}}}", "status")], size=(6, 4)),
            _panel(
                "stat",
                "Certificate expires in",
                [(f"probe_ssl_earliest_cert_expiry{{{match}}} - time()", "left")],
                unit="s",
                size=(6, 4),
            ),
            _panel("table", "Release", [(f"mo_service_info{{{match}}}", "")], size=(6, 4)),
            _panel("timeseries", "Response time by phase", [(f"probe_http_duration_seconds{{{match}}}", "{{phase}}")], unit="s"),
            _panel(
                "timeseries",
                "Response time, 95th percentile",
                [(f"mo:response_seconds:p95{{{match}}}", "5 min"), (f"mo:response_seconds:p95_day{{{match}}}", "day")],
                unit="s",
                target=Target(limits.response_time_p95),
            ),
            _panel(
                "timeseries",
                "Error ratio",
                [(f"mo:probe_errors:ratio_window{{{match}}}", "30 min"), (f"mo:probe_errors:ratio_day{{{match}}}", "day")],
                unit="percentunit",
                target=Target(limits.error_ratio),
            ),
            _panel(
                "timeseries",
                "Error budget of a day that is left",
                [(f"mo:error_budget:left{{{match}}}", "left")],
                unit="percentunit",
                target=Target(0, least=True),
            ),
        ],
        [variable],
    )


def _deployments(exports: MonitoringExport) -> Json:
    stack = f'stack="{exports.stack}"'
    longest = Target(exports.thresholds.deployment_minutes * 60)
    return _board(
        exports,
        "deployments",
        "Deployments",
        [
            _panel(
                "stat",
                "Duration of the last",
                [(f"mo_deployment_duration_seconds{{{stack}}}", "duration")],
                unit="s",
                size=(8, 4),
                target=longest,
            ),
            _panel("stat", "Failures", [(f"mo_deployment_failures{{{stack}}}", "failures")], size=(8, 4), target=Target(1)),
            _panel("stat", "Rollbacks", [(f"mo_deployment_rollbacks{{{stack}}}", "rollbacks")], size=(8, 4), target=Target(1)),
            _panel("timeseries", "Duration", [(f"mo_deployment_duration_seconds{{{stack}}}", "seconds")], unit="s", target=longest),
            _panel("table", "Live releases", [(f"mo_service_info{{{stack}}}", "")], size=(12, 12)),
        ],
        [],
    )


def _databases(exports: MonitoringExport) -> Json:
    stack = f'stack="{exports.stack}"'
    return _board(
        exports,
        "databases",
        "Databases",
        [
            _panel(
                "timeseries",
                "Connection-pool use",
                [(f"mo:database_connections:ratio{{{stack}}}", "{{server}}")],
                unit="percentunit",
            ),
            _panel("timeseries", "Queries and commits", [(f"mo:database_queries:rate{{{stack}}}", "{{server}}")], unit="ops"),
            _panel(
                "timeseries",
                "Average time of a query, by how many run and end",
                [(f"mo:database_query_seconds:avg{{{stack}}}", "{{server}}")],
                unit="s",
            ),
            _panel(
                "timeseries",
                "Slow queries (MariaDB, long_query_time)",
                [(f"mo:database_slow_queries:rate{{{stack}}}", "{{server}}")],
                unit="ops",
            ),
            _panel(
                "timeseries",
                "Longest transaction that runs (PostgreSQL)",
                [(f"mo:database_transaction_seconds:longest{{{stack}}}", "{{server}}")],
                unit="s",
            ),
            _panel("bargauge", "Database reachable from the host", [(f"mo_database_up{{{stack}}}", "{{service}}")]),
            _panel("bargauge", "Pending migrations", [(f"mo_migrations_pending{{{stack}}}", "{{service}}")], target=Target(1)),
            _panel("table", "Schema versions", [(f"mo_schema_info{{{stack}}}", "")]),
        ],
        [],
    )
