"""Removal of a service for good: what there is of it, on the host, on the database server, at GitHub and in the stack's state."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from catalog import reader
from catalog.models import Service
from catalog.settings_file import Loaded
from components.plan import size
from components.release import probe
from operations import remote
from operations.problem import Problem

TIMEOUT = 3 * 3600
"""Seconds for the final dump, its test and the removal."""


@dataclass(frozen=True)
class Removal:
    """What is to be removed. ``found``: the answer of ``run remove`` (components/remote/client/remove.py); ``secrets``: names at GitHub."""

    service: str
    stack: str
    found: Mapping[str, Any]
    secrets: tuple[str, ...]

    @property
    def anything(self) -> bool:
        """Whether anything is left to remove."""
        data = self.found.get("database") is True or bool(self.found.get("accounts"))
        return bool(self.found.get("there") or self.found.get("target") or data or self.secrets)

    def lines(self) -> Iterator[str]:
        """What exactly goes, and where the final dump will be."""
        found = self.found
        data = found.get("data")
        if data:
            where = found.get("server") or f"{data[1]}:{data[2]}"
            if found.get("database") is not False:
                yield f"  database {data[3]} on {where}" + ("" if found.get("database") else " (to be deleted in the panel)")
            yield from (f"  account {account} on {where}" for account in found.get("accounts") or [])
        if found.get("there"):
            yield f"  {found['releases']} releases, {found['snapshots']} snapshots, secrets and logs: {size(found['bytes'])} on the host"
        if found.get("target"):
            yield f"  the path {found['target']} on the host"
        yield from (f"  GitHub secret {name}" for name in self.secrets)
        if found.get("there"):
            kept = (
                ["a final dump, tested, with its checksum and the way to restore it"]
                if data and found.get("database") is not False
                else []
            )
            kept += [f"{size(found['persistent'])} of the running site (shared/)"] if found.get("persistent") else []
            kept += [f"{size(found['site'])} of the path (site/)"] if found.get("site") else []
            if kept:
                yield f"kept on the host in {found['keep']}: {', and '.join(kept)}"


def refuse_declared(service: str, although: bool) -> Service | None:
    """The service's entry of the catalogue, where ``although`` allows that there is one. Raises ``Problem``."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", service):
        raise Problem(f"{service!r} is no name of a service.", 2)
    try:
        entry = reader.read().services.get(service)
    except reader.CatalogError as error:
        raise Problem(str(error)) from None
    if entry is not None and not although:
        raise Problem(
            f"{service} is still in the catalogue. Take it out of catalog/services.yaml, deploy (bin/mo deploy --plan says what that "
            "leaves), and remove it then; or say that it is to go although it is declared (--although-declared): the next deploy then "
            "makes it anew, empty."
        )
    return entry


def refuse_in_state(service: str, stack: str, resources: Sequence[Mapping[str, Any]]) -> None:
    """Raises ``Problem`` where the stack's state still holds the service: it has not been deployed without it yet."""
    if resources_of(service, (), resources):
        raise Problem(
            f"{service} is out of the catalogue, but the stack {stack} still has it: deploy once without it (bin/mo deploy --stack {stack}"
            "; with --plan it says what that leaves), and remove it then."
        )


def refuse_shared(service: str, entry: Service | None, found: Mapping[str, Any]) -> None:
    """Raises ``Problem`` where another service, of whichever stack, declares the same database or account, or uses it on the host."""
    data = found.get("data")
    shares = list(found.get("shares") or [])
    for key, other in reader.read().services.items():
        if key != service and data and other.database and (other.database.name == data[3] or other.database.user == data[4]):
            shares.append(f"service {key} (the catalogue)")
    if shares and data:
        raise Problem(
            f"{service}: its database {data[3]} is used by others too: {', '.join(sorted(set(shares)))}. Nothing was removed; give them a "
            "database of their own first."
        )


def look(root: Path, stack: str, service: str, entry: Service | None, keep: str | None, loaded: Loaded) -> Removal:
    """Finds what there is. Raises ``Problem``."""
    found = remote.run(root, stack, "remove", _request(service, entry, keep, "look"))
    return Removal(service, stack, found, tuple(GitHubSecrets(loaded).present(secret_names(found, entry))))


def secret_names(found: Mapping[str, Any], entry: Service | None) -> tuple[str, ...]:
    """The GitHub secrets of the service's database."""
    data = found.get("data")
    name = data[3] if data else entry.database.name if entry and entry.database else None
    return (f"{name.upper()}_DB_USER", f"{name.upper()}_DB_PASS") if name else ()


def drop(
    root: Path, removal: Removal, entry: Service | None, keep: str | None, loaded: Loaded, *, unverified: bool, site_open: bool
) -> dict[str, Any]:
    """Removes all of it, also where the site cannot be closed for the final dump if ``site_open``; gives ``kept``, ``dump``, ``verified``,
    ``removed``, ``by_hand``, ``notes``. Raises ``Problem``."""
    request = {
        **_request(removal.service, entry, keep, "drop"),
        "unverified": unverified,
        "site_open": site_open,
        "probe": probe(entry, loaded.settings.domain) if entry else None,
        "folder": removal.found.get("keep"),
    }
    done = remote.run(root, removal.stack, "remove", request, timeout=TIMEOUT)
    removed = [*done["removed"]]
    for name in removal.secrets:
        GitHubSecrets(loaded).delete(name)
        removed.append(f"the GitHub secret {name}")
    by_hand = [*done["by_hand"], f"remove the subdomain and its certificate in the hoster's panel ({removal.service})"]
    return {
        "service": removal.service,
        "stack": removal.stack,
        "kept": done["kept_in"],
        "dump": done["dump"],
        "verified": done["verified"],
        "removed": removed,
        "by_hand": by_hand,
        "notes": done["notes"],
    }


def _request(service: str, entry: Service | None, keep: str | None, action: str) -> dict[str, Any]:
    database = entry.database if entry else None
    declared = {"server": database.server, "name": database.name, "user": database.user} if database else None
    return {"service": service, "action": action, "target": entry.path if entry else None, "keep": keep, "database": declared}


class GitHubSecrets:
    """The secrets of the stack's environment at GitHub, by name. Without a token there are none to remove."""

    def __init__(self, loaded: Loaded, client: Callable[..., httpx.Response] = httpx.request) -> None:
        github, token = loaded.settings.github, loaded.secrets.github_token
        base = (github.base_url or "https://api.github.com/").rstrip("/")
        self._url = f"{base}/repos/{github.owner}/{github.repository}/environments/{github.environment}/secrets"
        self._token = token.get_secret_value() if token else None
        self._client = client

    def present(self, names: Sequence[str]) -> list[str]:
        """Those of ``names`` that GitHub has."""
        return [name for name in names if self._token and self._ask("GET", name) != 404]

    def delete(self, name: str) -> None:
        """Deletes one; one that is not there is none to delete."""
        self._ask("DELETE", name)

    def _ask(self, method: str, name: str) -> int:
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        try:
            answer = self._client(method, f"{self._url}/{name}", headers=headers, timeout=20.0)
        except httpx.HTTPError as error:
            raise Problem(f"GitHub cannot be asked for the secret {name}: {type(error).__name__}; run it again.") from None
        if answer.status_code not in (200, 204, 404):
            raise Problem(
                f"GitHub answers {answer.status_code} to {method} of the secret {name}; the token may lack the right to it."
            )
        return answer.status_code


def resources_of(service: str, secrets: tuple[str, ...], resources: Sequence[Mapping[str, Any]]) -> list[str]:
    """The URNs in a stack's state that belong to the service. Names are ``<service>-<what>``, and a key holds no hyphen."""
    own = {f"github-{name.lower().replace('_', '-')}" for name in secrets}
    found = []
    for resource in resources:
        urn = str(resource.get("urn"))
        name = urn.rsplit("::", 1)[-1]
        if name.startswith(f"{service}-") or name in own or (name == service and urn.endswith(f"mo:deploy:Subdomain::{service}")):
            found.append(urn)
    return found


def forget_in_state(root: Path, stack: str, service: str, secrets: tuple[str, ...]) -> int:
    """Takes the service out of the stack's state, secrets staying encrypted, so that the next deploy makes it anew; gives the number of
    resources. Raises ``Problem``."""
    whole = json.loads(_pulumi(root, stack, "export"))
    urns = resources_of(service, secrets, whole["deployment"].get("resources") or [])
    if urns:
        _pulumi(root, stack, "import", json.dumps({**whole, "deployment": forget(whole["deployment"], urns)}))
    return len(urns)


def _pulumi(root: Path, stack: str, command: str, text: str | None = None) -> str:
    done = subprocess.run(
        ["bin/pulumi", "stack", command, "--stack", stack],
        cwd=root,
        env={**os.environ, "PULUMI_STACK": stack},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Problem(f"The state of the stack {stack} cannot be {command}ed: {done.stderr.strip().removeprefix('error: ')}")
    return done.stdout


def forget(state: dict[str, Any], urns: list[str]) -> dict[str, Any]:
    """A state's deployment without these resources, and without what others say of them."""
    gone = set(urns)
    kept = []
    for resource in state.get("resources") or []:
        if resource.get("urn") in gone:
            continue
        changed = dict(resource)
        if "dependencies" in changed:
            changed["dependencies"] = [urn for urn in changed["dependencies"] if urn not in gone]
        if "propertyDependencies" in changed:
            changed["propertyDependencies"] = {
                key: [urn for urn in urns_ if urn not in gone] for key, urns_ in (changed["propertyDependencies"] or {}).items()
            }
        kept.append(changed)
    return {**state, "resources": kept}
