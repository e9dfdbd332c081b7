"""The release set of an update: which release each service is to run, for the update's configuration and so for the history."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog.activation import Activation
from catalog.manifest import Manifest
from catalog.models import Service
from components import artefacts
from components.artefacts import ArtefactError
from components.release import activation_of
from operations import unbuilt
from operations.problem import Problem
from operations.wording import build_command

DATABASES = {"mysql:index/database:Database", "postgresql:index/database:Database"}
"""The type tokens of what is a database itself."""


@dataclass(frozen=True)
class Live:
    """What is live as the stack's state knows it. ``releases``: by service; ``since``: when each was switched (UTC).

    ``export``: the stack's output ``monitoring`` of the last succeeded update, ``None`` before the first. ``databases``: the services with
    a database of their own; ``dropped``: of those, the ones whose database goes with them when they leave the catalogue.
    ``rules``: those by which each release was activated.
    """

    releases: Mapping[str, str]
    since: Mapping[str, str]
    export: Mapping[str, Any] | None
    databases: Set[str] = frozenset()
    dropped: Set[str] = frozenset()
    rules: Mapping[str, Activation] = field(default_factory=dict)

    def entries(self, services: Mapping[str, Service]) -> dict[str, Service]:
        """The catalogue's ``services``, each with the rules of its live release: what is live is checked as it was activated."""
        return {key: self.rules[key].applied_to(entry) if key in self.rules else entry for key, entry in services.items()}


def live(resources: Sequence[Mapping[str, Any]]) -> Live:
    """Reads ``Engine.resources``: a failed step leaves what the last good one did."""
    releases: dict[str, str] = {}
    since: dict[str, str] = {}
    databases: set[str] = set()
    dropped: set[str] = set()
    requests: dict[str, dict[str, Any]] = {}
    export = None
    for resource in resources:
        kind, name = str(resource.get("type")), str(resource.get("urn")).rsplit("::", 1)[-1]
        outputs = resource.get("outputs") or {}
        if kind == "pulumi:pulumi:Stack" and isinstance(outputs.get("monitoring"), dict):
            export = outputs["monitoring"]
        if kind == "command:local:Command" and name.endswith(_OF_RELEASE):
            requests[name] = _result((resource.get("inputs") or {}).get("stdin"))
        if kind == "command:local:Command" and name.endswith("-switch"):
            done = _result(outputs.get("stdout"))
            if isinstance(release := done.get("live") or done.get("release"), str):
                service = name.removesuffix("-switch")
                releases[service], since[service] = release, str(done.get("at") or "")
        service, _, what = name.rpartition("-")
        if what in ("database", "account") and not resource.get("delete"):
            databases.add(service)
            if kind in DATABASES and not resource.get("retainOnDelete"):
                dropped.add(service)
    rules = {key: found for key, release in releases.items() if (found := _rules(requests, key, release)) is not None}
    return Live(releases, since, export, databases, dropped, rules)


_OF_RELEASE = ("-stage", "-switch", "-health")
"""The steps whose requests hold a release's rules."""


def _rules(requests: Mapping[str, Mapping[str, Any]], service: str, release: str) -> Activation | None:
    """``None`` where the requests in the state are not of this release, or have another form: the catalogue's rules are used then."""
    stage, switch, health = (requests.get(service + suffix, {}) for suffix in _OF_RELEASE)
    if switch.get("release") != release:
        return None
    try:
        return activation_of(switch, stage, health if health.get("release") == release else None)
    except ValueError:
        return None


def _result(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def of_artefacts(project: Path, services: Collection[str], only: Collection[str], before: Mapping[str, str]) -> dict[str, str]:
    """The set of a deploy: for the services of ``only`` what ``dist/`` holds, for all others, and for those without an artefact, what is
    live. Raises ``Problem`` for an artefact that cannot be used, and for one of ``only`` that is not there."""
    try:
        built = artefacts.wishes(project, services, None).releases
    except ArtefactError as error:
        raise Problem(str(error)) from None
    absent = sorted(service for service in only if built[service] is None)
    if absent and len(only) < len(services):
        raise Problem(f"There is no artefact of {', '.join(absent)} in dist/: build it first: bin/mo build {' '.join(absent)}.")
    chosen = {service: (built[service] if service in only else None) or before.get(service) for service in services}
    return {service: release for service, release in chosen.items() if release}


def deployable(
    project: Path,
    services: Mapping[str, Service],
    only: Sequence[str] | None,
    before: Mapping[str, str],
    source: Path | None = None,
) -> tuple[dict[str, str], list[str]]:
    """The set of a deploy as ``of_artefacts`` gives it, and what to know of ``dist/``: services without an artefact, services whose last
    build failed, so that an older artefact lies there, those that the catalogue has other rules for, and those that the checkout
    ``source`` holds otherwise than they were built.
    Raises ``Problem``, also where there is nothing to deploy at all."""
    chosen = list(only or services)
    found = of_artefacts(project, services, chosen, before)
    built = {service for service in chosen if (project / "dist" / service / "manifest.json").is_file()}
    if not built:
        raise Problem("dist/ holds no artefact to deploy; build them first: bin/mo build.")
    words = []
    if absent := [service for service in chosen if service not in built]:
        never = [service for service in absent if service not in before]
        words.append(
            f"dist/ holds no artefact of {', '.join(absent)}: left as {'it is' if len(absent) == 1 else 'they are'}"
            + (f", never deployed: {', '.join(never)}" if never else "")
            + f" ({build_command(absent)})."
        )
    if failed := [service for service in chosen if service in built and failed_since(project, service)]:
        words.append(
            f"The last build of {', '.join(failed)} failed: dist/ holds the artefact of an earlier one, which is not uploaded; what the "
            f"host has already stays ({build_command(failed)})."
        )
    if other := _built_by_other_rules(project, services, [service for service in chosen if service in built]):
        words.append(
            f"The catalogue has changed how {', '.join(other)} is activated or checked since its build; the artefact keeps the rules that "
            f"it was built with ({build_command(other)} gives it today's)."
        )
    if source is not None:
        known = {service: services[service] for service in chosen if service in built and service not in failed}
        words += unbuilt.words(project / "dist", source, known)
    return found, words


def _built_by_other_rules(project: Path, services: Mapping[str, Service], built: Sequence[str]) -> list[str]:
    """Those whose manifest says other rules than the catalogue; one of an earlier version of this tool says none, and follows it."""
    manifests = artefacts.wishes(project, built, None).manifests
    rules = {key: manifest.activation for key, manifest in manifests.items()}
    return [key for key, own in rules.items() if own is not None and own != Activation.of(services[key])]


def failed_since(project: Path, service: str) -> bool:
    """Whether the last build of a service failed, so that its artefact is an older one's."""
    return (project / "dist" / ".failed" / service).exists()


def build_of(project: Path) -> str | None:
    """The id of the build that ``dist/`` comes from."""
    try:
        built = json.loads((project / "dist" / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return None
    found = built.get("build") if isinstance(built, dict) else None
    return found if isinstance(found, str) and re.fullmatch(r"b[\w-]{1,40}", found) else None


def manifest_of(project: Path, service: str, release: str) -> Manifest | None:
    """The manifest of a release whose artefact is on this machine."""
    for folder in (project / "dist" / service, project / "dist" / ".store" / service / release):
        try:
            found = artefacts.read(folder / "manifest.json", service)
        except ArtefactError:
            continue
        if found is not None and found.release == release:
            return found
    return None


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str | None, str]]:
    """Service → old and new release, for those that differ."""
    return {key: (before.get(key), release) for key, release in after.items() if before.get(key) != release}
