"""The running site that a gate looks at, once it is proven to serve what this build made: else its report would be of other code."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from catalog import reader
from catalog.settings import StackSettings
from operations.gates.context import Context, NotHereError, StepError, remedy
from operations.validation.browser import Site


def site(context: Context, services: Iterable[str]) -> Site:
    """The stack that is looked at (``context.at``). Raises ``StepError`` unless each of ``services`` tells there the release that the build
    of this commit has in ``dist/``, ``NotHereError`` where there is no such site or no build."""
    settings = context.site
    if settings is None:
        raise NotHereError(
            f"the settings of the stack {context.at} are not complete, so its pages cannot be checked; {remedy(context.at)}"
        )
    found = Site(settings, reader.read().of_stack(context.at, settings.services))
    built = _built(context)
    for key in services:
        if key not in found.services:
            raise StepError(f"the stack {context.at} has no service {key}; choose a stack that has it: --at sandbox")
        path = found.services[key].health.release_path
        if path is None:
            raise StepError(
                f"{key} does not report its release (release_path in the catalogue), so nothing proves which code would be checked"
            )
        release = (built.get(key) or {}).get("release")
        if not release:
            way = f"bin/mo build {key} --stack {context.at} --source {context.source}"
            raise StepError(f"dist/ has no artefact of {key} of commit {context.commit.id[:12]}: {way}")
        served = _release(settings, context, found, key, path)
        if served != release:
            raise StepError(
                f"{found.url(key, path)} reports {served}, but this build of {key} is release {release}: deploy it first "
                f"(bin/mo deploy --stack {context.at})"
            )
    return found


def ask(settings: StackSettings, project: Path, host: str, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """A GET of a public URL, over the edge that the settings describe. Raises ``httpx.HTTPError``."""
    edge = settings.edge
    trust = ssl.create_default_context(cafile=str(project / edge.ca_file) if edge.ca_file else None)
    address, _, port = (edge.connect or f"{host}:{edge.port}").rpartition(":")
    url = f"{edge.scheme}://{address}:{port}{path}"
    shown = host if edge.port in (80, 443) else f"{host}:{edge.port}"
    with httpx.Client(verify=trust, timeout=20, follow_redirects=False, trust_env=False) as client:
        return client.get(url, headers={**(headers or {}), "Host": shown}, extensions={"sni_hostname": host})


def host(site: Site, service: str) -> str:
    """The public host of a service."""
    name = site.services[service].host
    return f"{name + '.' if name else ''}{site.settings.domain}"


def _built(context: Context) -> dict[str, Any]:
    """What ``dist/`` holds of this commit, by service. Raises ``StepError`` where its build was of another one."""
    try:
        build = json.loads((context.project / "dist" / "manifest.json").read_bytes())
        commit, dirty, services = build["commit"], build["dirty"], dict(build["services"])
    except FileNotFoundError:
        raise NotHereError("dist/ holds no build to compare the site with: run bin/mo build") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise StepError("dist/manifest.json cannot be read: run bin/mo build") from None
    if commit != context.commit.id:
        raise StepError(f"dist/ holds a build of commit {str(commit)[:12]}, not of {context.commit.id[:12]}: run bin/mo build")
    if dirty and not context.commit.dirty:
        raise StepError(f"dist/ was built with changes that commit {context.commit.id[:12]} does not hold: run bin/mo build")
    return services


def _release(settings: StackSettings, context: Context, site: Site, key: str, path: str) -> str:
    """The release that a service reports, in words that fit ``reports …``. Raises ``NotHereError`` where nothing listens there."""
    try:
        answer = ask(settings, context.project, host(site, key), path)
        told = answer.json().get("release") if answer.status_code == 200 else None
    except (httpx.ConnectError, httpx.ConnectTimeout, OSError) as error:
        why = f"{site.url(key, path)} cannot be reached ({type(error).__name__})"
        raise NotHereError(f"{why}, so the pages of the stack {context.at} cannot be checked; {remedy(context.at)}") from None
    except httpx.HTTPError as error:
        return f"nothing ({type(error).__name__})"
    except (ValueError, AttributeError, RecursionError):
        return "no release"
    return told if isinstance(told, str) else f"no release (status {answer.status_code})"
