"""When to deploy: Saturday 08:00–14:00 UTC."""

from __future__ import annotations

from datetime import UTC, datetime

SATURDAY = 5
BEGIN, END = 8, 14


def is_open(now: datetime) -> bool:
    """Whether ``now`` (with its time zone) is inside the window."""
    there = now.astimezone(UTC)
    return there.weekday() == SATURDAY and BEGIN <= there.hour < END


def sentence(now: datetime) -> str:
    """What to say outside the window."""
    return f"It is {now.astimezone(UTC):%A %H:%M} UTC, outside the deployment window (Saturday {BEGIN:02}:00–{END}:00 UTC)."
