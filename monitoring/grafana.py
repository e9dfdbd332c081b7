"""Grafana: provisioning files and four dashboards (overview, one service, deployments, databases), for any Prometheus datasource."""

from __future__ import annotations

import json
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


def _panel(kind: str, title: str, targets: list[tuple[str, str]], *, unit: str = "short", size: tuple[int, int] = (12, 8)) -> Json:
    instant = kind in ("stat", "table", "bargauge")
    return {
        "type": kind,
        "title": title,
        "size": size,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
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
    return _board(
        exports,
        "overview",
        "All services",
        [
            _panel("stat", "Services that answer", [(f"mo:services:up{{{stack}}}", "up")], size=(6, 4)),
            _panel("stat", "HTTP 200 rate", [(f"mo:http_ok:ratio{{{stack}}}", "rate")], unit="percentunit", size=(6, 4)),
            _panel("stat", "Services deployed", [(f"mo_services_deployed{{{stack}}}", "deployed")], size=(6, 4)),
            _panel(
                "stat",
                "Free space",
                [(f"mo_quota_free_bytes{{{stack}}} / mo_quota_bytes{{{stack}}}", "free")],
                unit="percentunit",
                size=(6, 4),
            ),
            _panel("bargauge", "State by service (1 = answers)", [(f"probe_success{{{services}}}", "{{title}}")], size=(12, 14)),
            _panel(
                "bargauge",
                "Response time, 95th percentile",
                [(f"mo:response_seconds:p95{{{stack}}}", "{{title}}")],
                unit="s",
                size=(12, 14),
            ),
        ],
        [],
    )


def _service(exports: MonitoringExport) -> Json:
    match = f'stack="{exports.stack}",service="$service"'
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
            _panel("timeseries", "Error ratio", [(f"mo:probe_errors:ratio_window{{{match}}}", "errors")], unit="percentunit"),
        ],
        [variable],
    )


def _deployments(exports: MonitoringExport) -> Json:
    stack = f'stack="{exports.stack}"'
    return _board(
        exports,
        "deployments",
        "Deployments",
        [
            _panel(
                "stat", "Duration of the last", [(f"mo_deployment_duration_seconds{{{stack}}}", "duration")], unit="s", size=(8, 4)
            ),
            _panel("stat", "Failures", [(f"mo_deployment_failures{{{stack}}}", "failures")], size=(8, 4)),
            _panel("stat", "Rollbacks", [(f"mo_deployment_rollbacks{{{stack}}}", "rollbacks")], size=(8, 4)),
            _panel("timeseries", "Duration", [(f"mo_deployment_duration_seconds{{{stack}}}", "seconds")], unit="s"),
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
            _panel("bargauge", "Database reachable from the host", [(f"mo_database_up{{{stack}}}", "{{service}}")]),
            _panel("bargauge", "Pending migrations", [(f"mo_migrations_pending{{{stack}}}", "{{service}}")]),
        ],
        [],
    )
