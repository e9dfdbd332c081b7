"""What services on the net know of the repository: GitHub's alerts, Codacy's analysis."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx

from catalog.settings import StackSettings
from operations.build import checkout
from operations.gates.context import Context, NotHereError, StepError
from operations.gates.own_checks import stack_settings

GITHUB_API = "2022-11-28"
_PAGES = 100
_CODACY = "https://app.codacy.com/api/v3"


def dependabot(context: Context) -> None:
    """Leaves ``dependabot.json``: every open alert, all pages."""
    _alerts(context, "dependabot.json", "dependabot/alerts")


def code_scanning(context: Context) -> None:
    """Leaves ``code-scanning.json``: every open alert, all pages."""
    _alerts(context, "code-scanning.json", "code-scanning/alerts")


def sources(settings: StackSettings, source: Path) -> str:
    """``owner/name`` of the repository that holds the services' sources. Raises ``StepError`` where nobody says which it is."""
    if settings.gates.repository is not None:
        return settings.gates.repository
    ours, theirs = f"{settings.github.owner}/{settings.github.repository}", checkout.origin(source)
    if theirs is not None and theirs.lower() == ours.lower():
        return ours
    actual = theirs or "an unknown repository (remote origin names none)"
    raise StepError(
        f"{source} is not a clone of {ours} (mo:github) but of {actual}: name the repository whose alerts count, "
        "bin/pulumi config set --path 'mo:gates.repository' OWNER/NAME"
    )


def _alerts(context: Context, name: str, path: str) -> None:
    settings = stack_settings(context)
    token = os.environ.get("GITHUB_TOKEN") or context.secrets.get("githubToken")
    if not token:
        why = f" ({context.undecrypted})" if context.undecrypted else ""
        raise NotHereError(
            f"GitHub cannot be queried: set mo:githubToken, or GITHUB_TOKEN, to a token that may read the repository's alerts{why}"
        )
    repository = sources(settings, context.source)
    base = (settings.github.base_url or "https://api.github.com/").rstrip("/")
    url: str | None = f"{base}/repos/{repository}/{path}?state=open&per_page=100"
    alerts: list[Any] = []
    pages = 0
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json", "X-GitHub-Api-Version": GITHUB_API}
    try:
        with httpx.Client(timeout=30, headers=headers) as client:
            while url is not None:
                answer = client.get(url)
                if answer.status_code != 200:
                    raise StepError(
                        f"GitHub responds with {answer.status_code} to {path} of {repository}: are they enabled? Can the token read them?"
                    )
                page = answer.json()
                if not isinstance(page, list):
                    raise StepError(f"GitHub responds to {path} with something other than a list")
                alerts += page
                pages += 1
                link = answer.links.get("next", {}).get("url")
                # A token goes to no other server, whatever a page says comes next.
                url = link if link and link.startswith(base + "/") else None
                if (link and url is None) or pages > _PAGES:
                    raise StepError(f"GitHub's pages of {path} lead elsewhere or do not end")
    except (httpx.HTTPError, ValueError) as error:
        raise StepError(f"GitHub cannot be queried for {path}: {type(error).__name__}") from None
    _kept(context, name, alerts, "GitHub", GITHUB_API, pages)


def codacy(context: Context) -> None:
    """Leaves ``codacy.json``: Codacy's analysis of the repository."""
    name = "codacy.json"
    token = os.environ.get("CODACY_API_TOKEN")
    if not token:
        raise NotHereError(
            "Codacy cannot be queried: export CODACY_API_TOKEN (Codacy, My account, Access management, Account API tokens)"
        )
    owner, _, repository = sources(stack_settings(context), context.source).partition("/")
    url = f"{_CODACY}/analysis/organizations/gh/{owner}/repositories/{repository}"
    try:
        answer = httpx.get(url, headers={"api-token": token}, timeout=30)
        if answer.status_code != 200:
            raise StepError(f"Codacy responds with {answer.status_code}: is the repository there, and may the token read it?")
        _kept(context, name, answer.json(), "Codacy", "API v3", None)
    except (httpx.HTTPError, ValueError) as error:
        raise StepError(f"Codacy cannot be queried: {type(error).__name__}") from None


def _kept(context: Context, name: str, content: object, tool: str, version: str, count: int | None) -> None:
    with context.scratch() as scratch:
        (scratch / name).write_text(json.dumps(content))
        context.keep(scratch / name, name, tool, version, count=count)
