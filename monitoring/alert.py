"""One alert of the rule file."""

from __future__ import annotations

from typing import Any

from monitoring.settings import MonitoringSettings

MINUTE = 60
HOUR = 3600


def held(seconds: float, settings: MonitoringSettings) -> str:
    """How long it must hold, by the settings' ``time_scale``."""
    return f"{max(1, round(seconds * settings.time_scale))}s"


def alert(name: str, expr: str, after: str, severity: str, summary: str, description: str) -> dict[str, Any]:
    """The rule; ``after`` ``0s``: at once."""
    made: dict[str, Any] = {"alert": name, "expr": expr}
    if after != "0s":
        made["for"] = after
    return {**made, "labels": {"severity": severity}, "annotations": {"summary": summary, "description": description}}
