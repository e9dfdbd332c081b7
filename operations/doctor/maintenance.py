"""Whether the web server closes a site while an offline migration runs, tried by a request that the rule closes for itself alone."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from catalog.models import Service
from catalog.settings import StackSettings
from operations import remote
from operations.doctor.finding import Finding, guarded
from operations.problem import Problem

RULE = "docs/runbook.md (Once, for a service that migrates offline) has the rule"
_MARK = 'mkdir -p "$0" && : >"$0/shut-$1"'
_CLEAR = 'rm -f "$0/shut-$1"; rmdir "$0" 2>/dev/null; :'
"""The folder goes too where nothing was ever deployed."""


def named(services: Mapping[str, Service]) -> list[Finding]:
    """The same services where nobody can be asked: the step is named, so that it is known with all the others."""
    offline = [key for key, entry in services.items() if entry.steps.migrate and entry.steps.migrate.mode == "offline"]
    return [Finding(key, None, f"migrates offline, for which the web server must have the 503 rule; {RULE}") for key in offline]


def look(root: Path, stack: str, settings: StackSettings, services: Mapping[str, Service]) -> list[Finding]:
    """One finding for each service whose migrations are offline: without the rule its first one is refused."""
    findings: list[Finding] = []
    for key, entry in services.items():
        if entry.steps.migrate is not None and entry.steps.migrate.mode == "offline":
            findings += guarded(key, partial(_tried, root, stack, settings, key, entry))
    return findings


def _tried(root: Path, stack: str, settings: StackSettings, key: str, entry: Service) -> list[Finding]:
    import httpx

    from operations.gates.served import ask

    token, domain = secrets.token_hex(16), f"{entry.host}.{settings.domain}".lstrip(".")

    def on_the_host(script: str) -> None:
        command = ["sh", "-c", script, f"{settings.host.root}/.deploy/{key}", token]
        told = remote.run(root, stack, "exec", {"service": key, "target": entry.path, "command": command})
        if told.get("exit") != 0:
            raise Problem(f"{settings.host.root}/.deploy/{key} cannot be written: {told.get('output')}")

    try:
        on_the_host(_MARK)
        everybody, marked = (ask(settings, root, domain, entry.health.path, headers) for headers in ({}, {"X-Mo-Probe": token}))
    except (httpx.HTTPError, ssl.SSLError) as error:
        return [
            Finding(
                key, None, f"https://{domain} gives no answer ({type(error).__name__}), so its 503 rule cannot be tried; {RULE}"
            )
        ]
    finally:
        on_the_host(_CLEAR)
    if everybody.status_code == 503:
        return [Finding(key, None, f"https://{domain} answers 503 to everybody, so its 503 rule cannot be tried")]
    if marked.status_code == 503 and "retry-after" in marked.headers:
        return [Finding(key, True, "the web server can close the site for its offline migrations (503)")]
    text = f"https://{domain} answers {marked.status_code} to the request that its 503 rule must close"
    return [Finding(key, False, f"{text}: until the web server has that rule, an offline migration is refused; {RULE}")]
