"""What only the monitoring machine knows: where its tools listen and where alerts go.

All of it has a default that fits Debian's packages.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MonitoringSettings(BaseModel):
    """Addresses are ``host:port``; durations are in seconds.

    ``time_scale`` multiplies every time of an alert: 1 in production, less where the alerts are tried for real.
    ``n8n_webhook``: the URL that Alertmanager posts to; ``smtp`` and ``mail_to``: e-mail beside it, left out where ``None``;
    ``smtp_user``: logs in with the password in ``<secrets_directory>/smtp-password``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prometheus: str = "127.0.0.1:9090"
    alertmanager: str = "127.0.0.1:9093"
    blackbox: str = "127.0.0.1:9115"
    node_exporter: str = "127.0.0.1:9100"
    mysqld_exporters: dict[str, str] = {}
    """Server name of the stack → its mysqld exporter."""
    postgres_exporters: dict[str, str] = {}
    scrape_interval: int = Field(default=15, ge=1, le=120)
    export_interval: int = Field(default=300, ge=60, le=86400)
    """How often the timer runs ``bin/mo export``; figures that are older than three of it are an alert."""
    time_scale: float = Field(default=1.0, gt=0, le=1)
    n8n_webhook: str = "http://127.0.0.1:5678/webhook/alert"
    smtp: str | None = None
    smtp_user: str | None = None
    smtp_tls: bool = True
    """Whether the mail server must offer STARTTLS."""
    smtp_ca_file: str | None = None
    """Whom to trust for it; ``None``: the system's authorities."""
    mail_from: str = "alerts@localhost"
    mail_to: str | None = None
    secrets_directory: str = "/etc/mo-monitoring"
    """Where the monitoring machine keeps credentials that no file of ours may hold (``webhook-token``, ``smtp-password``)."""
