"""Tells n8n of a deployment: ``POST /webhook/deployment``, signed, retried, and never a reason for the deployment to fail."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import httpx

from catalog.settings_file import Loaded, reveal
from monitoring.n8n import SIGNATURE_HEADER, signature
from operations.deployment.outcome import Outcome

TIMEOUT = 10.0
"""Seconds for one attempt."""
PAUSES = (1.0, 3.0)
"""Seconds before the second and the third attempt."""
_WORTH_ANOTHER = {408, 425, 429}


@dataclass(frozen=True)
class Event:
    """How a deployment ended. ``services``: those that it concerned, in the catalogue's order; ``text``: one line for people, without
    secrets."""

    stack: str
    status: Literal["success", "failure", "rollback"]
    services: tuple[str, ...]
    branch: str | None
    commit: str | None
    text: str = ""


def notify(
    loaded: Loaded,
    event: Event,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    transport: httpx.BaseTransport | None = None,
) -> Outcome:
    """Sends ``event`` to ``mo:notify.url``. The outcome is ``ok`` where it arrived or where nobody is to be told (which report and terminal
    say: ``left_out``); it never asks for a rollback, and nothing is raised.

    ``sleep``, ``now`` and ``transport`` are for tests.
    """
    url, secret = loaded.settings.notify.url, reveal(loaded.secrets.webhook_secret)
    if url is None:
        return Outcome(
            "notify", True, "Nobody was told: the stack names no webhook (mo:notify.url).", {"sent": False, "instead": "off"}
        )
    if secret is None:
        how = f"bin/pulumi config set --stack {event.stack} --secret mo:webhookSecret"
        return Outcome("notify", False, f"Nobody was told: there is no secret to sign with; set it: {how}.", {"sent": False})
    problem = ""
    with httpx.Client(timeout=TIMEOUT, transport=transport, follow_redirects=False, trust_env=True) as client:
        for attempt, pause in enumerate((0.0, *PAUSES), 1):
            if pause:
                sleep(pause)
            # A fresh time for each attempt: the receiver refuses one that is minutes old, whoever sends it.
            body = _body(event, now())
            headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature(secret.encode(), body)}
            try:
                answer = client.post(url, content=body, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                problem = f"{url} cannot be reached ({type(error).__name__})"
                continue
            if answer.is_success:
                return Outcome("notify", True, f"{url} was told.", {"sent": True, "attempts": attempt})
            problem = f"{url} answers {answer.status_code}"
            if answer.status_code < 500 and answer.status_code not in _WORTH_ANOTHER:
                break
    hint = "; has n8n the same MO_WEBHOOK_SECRET, and is its clock right?" if problem.endswith(" 401") else ""
    return Outcome("notify", False, f"{problem} after {attempt} attempt(s){hint}.", {"sent": False, "attempts": attempt})


def branch_of(source: Path) -> str | None:
    """The branch of the monorepo that is deployed: the workflow's, else the checkout's; ``None`` where it is on none."""
    named = os.environ.get("GITHUB_REF_NAME")
    if named:
        return named
    try:
        done = subprocess.run(
            ["git", "-C", str(source), "branch", "--show-current"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _body(event: Event, now: datetime) -> bytes:
    return json.dumps(
        {
            "stack": event.stack,
            "service": ", ".join(event.services) or "none",
            "services": list(event.services),
            "status": event.status,
            "timestamp": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "branch": event.branch,
            "commit": event.commit,
            "text": event.text[:500],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
