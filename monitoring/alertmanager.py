"""Alertmanager: who hears of what. Critical at once, warnings grouped; a host that is down silences its services."""

from __future__ import annotations

from typing import Any

import yaml

from catalog.exports import MonitoringExport
from monitoring.settings import MonitoringSettings


def alertmanager(exports: MonitoringExport, settings: MonitoringSettings) -> dict[str, str]:
    """The file ``alertmanager/alertmanager.yml``. The webhook's token is read from a file of the monitoring machine, never written here."""

    def seconds(value: float) -> str:
        return f"{max(1, round(value * settings.time_scale))}s"

    def receiver(name: str) -> dict[str, Any]:
        result: dict[str, Any] = {
            "name": name,
            "webhook_configs": [
                {
                    "url": settings.n8n_webhook,
                    "send_resolved": True,
                    "http_config": {
                        "authorization": {"type": "Bearer", "credentials_file": f"{settings.secrets_directory}/webhook-token"}
                    },
                }
            ],
        }
        if settings.smtp and settings.mail_to:
            mail: dict[str, Any] = {
                "to": settings.mail_to,
                "from": settings.mail_from,
                "smarthost": settings.smtp,
                "require_tls": settings.smtp_tls,
                "send_resolved": True,
            }
            if settings.smtp_user:
                mail |= {"auth_username": settings.smtp_user, "auth_password_file": f"{settings.secrets_directory}/smtp-password"}
            if settings.smtp_ca_file:
                mail["tls_config"] = {"ca_file": settings.smtp_ca_file}
            result["email_configs"] = [mail]
        return result

    configuration = {
        "route": {
            "receiver": "warning",
            "group_by": ["stack", "alertname"],
            "group_wait": seconds(30),
            "group_interval": seconds(300),
            "repeat_interval": "4h",
            "routes": [
                {
                    "matchers": ['severity="critical"'],
                    "receiver": "critical",
                    "group_by": ["stack", "alertname", "service"],
                    # A few seconds, so that a host's own alert is there to silence those of its services.
                    "group_wait": seconds(5),
                    "group_interval": seconds(60),
                    "repeat_interval": "1h",
                },
                {"matchers": ['severity="info"'], "receiver": "info", "repeat_interval": "24h"},
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['alertname="HostDown"'],
                "target_matchers": ['alertname=~"ServiceDown|SlowResponse|ErrorRate|DatabaseConnectionFailure|MetricMissing"'],
                "equal": ["host"],
            },
            {
                "source_matchers": ['alertname="ExporterDown"'],
                "target_matchers": ['alertname="MetricMissing"'],
                "equal": ["stack", "job", "server"],
            },
            {
                "source_matchers": ['alertname="ServiceDown"'],
                "target_matchers": ['alertname=~"SlowResponse|ErrorRate"'],
                "equal": ["service"],
            },
        ],
        "receivers": [receiver("critical"), receiver("warning"), receiver("info")],
    }
    return {"alertmanager/alertmanager.yml": yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True, width=140)}
