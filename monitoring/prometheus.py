"""Prometheus and blackbox exporter: configuration, targets, probe modules. Alert rules: ``monitoring.rules``."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from catalog.exports import MonitoringExport, ServiceExport
from monitoring.rules import rules
from monitoring.settings import MonitoringSettings


def prometheus(exports: MonitoringExport, settings: MonitoringSettings) -> dict[str, str]:
    """The files below ``prometheus/``."""
    return {
        "prometheus/prometheus.yml": _yaml(_configuration(exports, settings)),
        "prometheus/blackbox.yml": _yaml({"modules": {**_modules(exports), "host_ssh": _ssh_module()}}),
        "prometheus/rules.yml": _yaml(rules(exports, settings)),
        "prometheus/targets/services.json": _json(
            # One that was never deployed is no outage: ServicesMissing tells of it.
            [_service_target(exports, s) for s in exports.services if s.release is not None]
        ),
        "prometheus/targets/host.json": _json(
            [
                {
                    "targets": [f"{exports.host.address}:{exports.host.port}"],
                    "labels": {"host": exports.host.name, "stack": exports.stack},
                }
            ]
        ),
        "prometheus/targets/mysqld.json": _json(_exporters(exports, "mariadb", settings.mysqld_exporters)),
        "prometheus/targets/postgres.json": _json(_exporters(exports, "postgresql", settings.postgres_exporters)),
    }


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=140)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _service_target(exports: MonitoringExport, service: ServiceExport) -> dict[str, Any]:
    return {
        "targets": [_probed_url(exports, service)],
        "labels": {
            "stack": exports.stack,
            "host": exports.host.name,
            "service": service.key,
            "title": service.title,
            "runtime": service.runtime,
            "url": service.url,
            "serves": "files" if service.files_only else "site" if service.health.daemon is None else "daemon",
            "module": _module_name(service),
        },
    }


def _probed_url(exports: MonitoringExport, service: ServiceExport) -> str:
    """The service's health URL, by address where the exports say to connect somewhere else than DNS says."""
    authority = exports.edge.connect or re.sub(r"^https?://", "", service.url).split("/", 1)[0]
    daemon = service.health.daemon
    path = service.health.path if daemon is None or service.files_only else daemon.path
    return f"{exports.edge.scheme}://{authority}{path}"


def _module_name(service: ServiceExport) -> str:
    return f"service_{service.key}"


def _modules(exports: MonitoringExport) -> dict[str, Any]:
    """One probe module a service: status, redirects to nowhere, TLS and its expiry, body.

    The name is asked for even where we connect by address.
    """
    modules: dict[str, Any] = {}
    for service in exports.services:
        http: dict[str, Any] = {
            "valid_status_codes": [service.health.status],
            "follow_redirects": False,
            "preferred_ip_protocol": "ip4",
            "headers": {"Host": service.domain},
        }
        if exports.edge.scheme == "https":
            http["fail_if_not_ssl"] = True
            tls = {"server_name": service.domain}
            if exports.edge.ca_file:
                tls["ca_file"] = exports.edge.ca_file
            http["tls_config"] = tls
        contains = service.health.contains
        if service.health.daemon is not None and not service.files_only:
            contains = service.health.daemon.contains
            http["fail_if_body_matches_regexp"] = [r"^\s*<"]  # a site that answers every path with a page
        if contains:
            http["fail_if_body_not_matches_regexp"] = [re.escape(contains)]
        modules[_module_name(service)] = {"prober": "http", "timeout": f"{service.health.timeout}s", "http": http}
    return modules


def _ssh_module() -> dict[str, Any]:
    return {"prober": "tcp", "timeout": "10s", "tcp": {"query_response": [{"expect": "^SSH-2.0-"}], "preferred_ip_protocol": "ip4"}}


def _exporters(exports: MonitoringExport, engine: str, addresses: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "targets": [addresses[s.name]],
            "labels": {"server": s.name, "engine": s.engine, "stack": exports.stack, "host": exports.host.name},
        }
        for s in exports.servers
        if s.engine == engine and s.name in addresses
    ]


def _configuration(exports: MonitoringExport, settings: MonitoringSettings) -> dict[str, Any]:
    interval = f"{settings.scrape_interval}s"

    def by_file(name: str) -> list[dict[str, Any]]:
        return [{"files": [f"targets/{name}.json"], "refresh_interval": "30s"}]

    def blackbox(extra: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            *extra,
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": settings.blackbox},
        ]

    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval, "external_labels": {"stack": exports.stack}},
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [settings.alertmanager]}]}]},
        "scrape_configs": [
            {
                "job_name": "mo-services",
                "metrics_path": "/probe",
                "file_sd_configs": by_file("services"),
                "relabel_configs": blackbox(
                    [
                        {"source_labels": ["module"], "target_label": "__param_module"},
                        {"action": "labeldrop", "regex": "module"},
                    ]
                ),
            },
            {
                "job_name": "mo-host",
                "metrics_path": "/probe",
                "params": {"module": ["host_ssh"]},
                "file_sd_configs": by_file("host"),
                "relabel_configs": blackbox([]),
            },
            {"job_name": "mo-mysqld", "file_sd_configs": by_file("mysqld")},
            {"job_name": "mo-postgres", "file_sd_configs": by_file("postgres")},
            {
                "job_name": "mo-deployment",
                "static_configs": [
                    {"targets": [settings.node_exporter], "labels": {"stack": exports.stack, "host": exports.host.name}}
                ],
                "honor_labels": True,
            },
        ],
    }
