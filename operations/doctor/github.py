"""GitHub: whether the token is accepted, may do what deploys do, and for how long; each right is tried by reading what it guards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from catalog import secret_names
from catalog.models import Service
from catalog.secret_names import Theirs
from catalog.settings import GitHubSettings
from catalog.settings_file import Loaded, reveal
from operations.doctor.finding import Finding, clock
from operations.problem import Problem

SECONDS = 15
EXPIRES_SOON = 14
"""Days before a token's end at which to make a new one."""
NEW_TOKEN = "a new one: https://github.com/settings/personal-access-tokens, then bin/pulumi config set --secret mo:githubToken"

ASKING = {"dependabot", "code-scanning", "codacy"}
"""The gates that ask others about the repository of the sources."""

Get = Callable[[str], Any]
"""An address below the repository's to GitHub's answer (``httpx.Response``)."""


def look(root: Path, loaded: Loaded, services: Mapping[str, Service], backend: str) -> list[Finding]:
    """Asks GitHub. ``backend``: the scheme of the state's address. Raises ``Problem`` where it cannot be asked."""
    import httpx

    from operations.gates.context import StepError
    from operations.gates.services import sources

    github, gates = loaded.settings.github, loaded.settings.gates.required
    base = f"{(github.base_url or 'https://api.github.com/').rstrip('/')}/repos/"
    headers = {
        "Authorization": f"Bearer {reveal(loaded.secrets.github_token)}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }

    with httpx.Client(headers=headers, timeout=SECONDS) as client:

        def of(repository: str) -> Get:
            def get(path: str) -> Any:
                try:
                    return client.get(base + repository + path)
                except httpx.HTTPError as error:
                    why = f"{base}{repository} cannot be reached ({type(error).__name__}); check the network and mo:github."
                    raise Problem(why) from None

            return get

        get, told = of(f"{github.owner}/{github.repository}"), []
        alerts = get
        try:
            if ASKING & {*gates}:
                alerts = of(sources(loaded.settings, (root / loaded.settings.source).resolve()))
        except StepError as error:
            told, gates = [Finding("mo:gates.repository", False, str(error))], tuple(gate for gate in gates if gate not in ASKING)
        more = secret_names.by_need(backend, loaded.settings.gates.required)
        return [*findings(get, github, gates, alerts), *told, *secrets(get, github, services, more), *nightly(get, github, backend)]


def findings(get: Get, github: GitHubSettings, gates: tuple[str, ...], alerts: Get | None = None) -> Iterator[Finding]:
    """What the answers tell. ``gates``: those that the stack requires; two of them ask GitHub, for the repository of the sources
    (``alerts``)."""
    name = f"{github.owner}/{github.repository}"
    answer = get("")
    if answer.status_code != 200:
        why = (
            "the token is refused"
            if answer.status_code == 401
            else f"answers {answer.status_code}: is the name right, may the token see it?"
        )
        yield Finding("GitHub", False, f"{name}: {why}; {NEW_TOKEN}")
        return
    scopes = answer.headers.get("x-oauth-scopes")
    yield Finding("GitHub", True, f"{name} is readable" + (f"; scopes {scopes}" if scopes else ""))
    yield from _moments(answer.headers)
    ask = alerts or get
    rights: list[tuple[Get, str, str, str]] = [
        (get, "Environments: write", f"/environments/{github.environment}", "the deployment environment"),
        (get, "Secrets: write", f"/environments/{github.environment}/secrets/public-key", "the environment's secrets"),
        (get, "Issues: write", "/issues?per_page=1", "the deployment's issue"),
    ]
    if "dependabot" in gates:
        rights.append((ask, "Dependabot alerts: read", "/dependabot/alerts?per_page=1", "the gate dependabot"))
    if "code-scanning" in gates:
        rights.append((ask, "Code scanning alerts: read", "/code-scanning/alerts?per_page=1", "the gate code-scanning"))
    lacking = [_lacks(asked(path), right, purpose) for asked, right, path, purpose in rights]
    yield from (finding for finding in lacking if finding is not None)
    if not any(finding is not None and finding.good is False for finding in lacking):
        yield Finding("token", True, f"may reach {', '.join(purpose for *_, purpose in rights)}")


def _lacks(answer: Any, right: str, purpose: str) -> Finding | None:
    """A right that the token has not. 404 is said of what is not there yet, and of what may not be seen: the repository itself was."""
    if answer.status_code in (200, 404):
        return None
    if answer.status_code in (401, 403):
        wanted = answer.headers.get("x-accepted-github-permissions")
        return Finding("token", False, f"lacks {right}{f' ({wanted})' if wanted else ''}, for {purpose}; {NEW_TOKEN}")
    return Finding("token", None, f"{right}: GitHub answers {answer.status_code} just now; try again")


def secrets(get: Get, github: GitHubSettings, services: Mapping[str, Service], more: Sequence[Theirs] = ()) -> Iterator[Finding]:
    """Whether the environment has every secret that its jobs need: by name, since values cannot be read. What is missing is named at once;
    ours are written by the next update, others by the command that is told. Jobs run in production and staging alone. ``more``: what
    backend and gates ask for."""
    if github.environment not in secret_names.ENVIRONMENTS:
        return
    repository, place = f"{github.owner}/{github.repository}", f"environment {github.environment}"
    own, shared = get(f"/environments/{github.environment}/secrets?per_page=100"), get("/actions/secrets?per_page=100")
    if own.status_code == 404:
        yield Finding("secrets", None, f"{place} is not there yet; the first update makes it")
        return
    if own.status_code != 200:
        yield Finding("secrets", None, f"GitHub answers {own.status_code} just now; try again")
        return
    present = {
        str(entry.get("name")) for answer in (own, shared) if answer.status_code == 200 for entry in answer.json()["secrets"]
    }
    needed = {*secret_names.of_stack(services), *(secret.name for secret in more)}
    theirs = (*secret_names.THEIRS, *more)
    missing = sorted(needed - present)
    for secret in theirs:
        if secret.name in missing:
            how = secret_names.command(secret, repository, github.environment)
            yield Finding("secrets", False, f"{place} lacks {secret.name}, {secret.purpose}: {how}")
    if secret_names.SSH_KEY in missing:
        missing.remove(secret_names.SSH_KEY)
        how = f"bin/mo deploy writes it where the settings hold the key; else gh secret set {secret_names.SSH_KEY} --repo {repository}"
        yield Finding("secrets", False, f"{place} lacks {secret_names.SSH_KEY}: {how} --env {github.environment} < KEYFILE")
    if lost := [name for name in missing if name not in {secret.name for secret in theirs}]:
        again = "bin/pulumi refresh, then bin/mo deploy, write what was deleted"
        yield Finding("secrets", False, f"{place} lacks {', '.join(lost)}, which the stack writes; {again}")
    if present >= needed:
        yield Finding("secrets", True, f"{place} has all {len(needed)} that its jobs need")


def nightly(get: Get, github: GitHubSettings, backend: str) -> Iterator[Finding]:
    """Whether the workflow drift can run by itself. No deploy needs it, so what is missing is no fault."""
    if github.environment != "production":
        return
    answer = get(f"/environments/{secret_names.DRIFT}/secrets?per_page=100")
    if answer.status_code == 404:
        text = f"environment {secret_names.DRIFT} is not there, so nobody looks every night; docs/runbook.md (Once, on GitHub) makes it"
        yield Finding("drift", None, text)
    elif answer.status_code == 200:
        present = {str(entry.get("name")) for entry in answer.json()["secrets"]}
        needed = {*secret_names.DRIFT_NEEDS, *(secret.name for secret in secret_names.BY_BACKEND.get(backend, ()))}
        if missing := sorted(needed - present):
            how = f"gh secret set NAME --repo {github.owner}/{github.repository} --env {secret_names.DRIFT}"
            yield Finding(
                "drift", None, f"environment {secret_names.DRIFT} lacks {', '.join(missing)}, so nobody looks every night: {how}"
            )


def _moments(headers: Mapping[str, str]) -> Iterator[Finding]:
    """The token's end, and GitHub's clock."""
    if told := headers.get("github-authentication-token-expiration"):
        try:
            end = datetime.strptime(told[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            yield Finding("token", None, "its end cannot be read from GitHub's answer")
        else:
            days = (end - datetime.now(UTC)).days
            yield Finding(
                "token", days > EXPIRES_SOON or None, f"ends {end:%Y-%m-%d}" + ("" if days > EXPIRES_SOON else f"; {NEW_TOKEN}")
            )
    try:
        there = parsedate_to_datetime(headers["date"])
    except (KeyError, TypeError, ValueError):
        return
    yield clock("GitHub's clock", (there - datetime.now(UTC)).total_seconds())
