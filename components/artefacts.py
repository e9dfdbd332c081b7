"""Which release each service is to run: the stack's release set where it has one, else what ``dist/`` holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from catalog import manifest as manifests
from catalog.manifest import Manifest
from components.facts import Facts, ServiceFacts


class ArtefactError(Exception):
    """A service's release cannot be deployed. ``problems``: one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Choice:
    """What a service is to run. ``kept``: nothing was asked for it, so that it stays exactly as the last update left it; ``folder``: where
    its artefact is on this machine."""

    manifest: Manifest
    kept: bool = False
    folder: Path | None = None

    @property
    def release(self) -> str:
        """The release's id."""
        return self.manifest.release


@dataclass(frozen=True)
class Wishes:
    """What is asked for, before the host was asked: ``releases`` by service (``None``: nothing), ``manifests`` of the artefacts,
    ``folders`` where those lie; ``damaged``: what is wrong with an artefact that a release set does not need where the host has it."""

    releases: dict[str, str | None]
    manifests: dict[str, Manifest]
    folders: dict[str, Path]
    from_set: bool
    damaged: dict[str, str] = field(default_factory=dict)


def wishes(project: Path, services: Iterable[str], release_set: Mapping[str, str] | None) -> Wishes:
    """What the release set, or else ``dist/``, asks for. Raises ``ArtefactError`` for artefacts that cannot be used, unless a set names the
    release, which the host may hold."""
    problems: list[str] = []
    damaged: dict[str, str] = {}
    releases: dict[str, str | None] = {}
    found: dict[str, Manifest] = {}
    folders: dict[str, Path] = {}
    for service in services:
        asked = releases[service] = release_set.get(service) if release_set is not None else None
        places = [project / "dist" / service]
        if release_set is not None:
            places = [*places, project / "dist" / ".store" / service / asked] if asked else []
        for folder in places:
            try:
                current = read(folder / "manifest.json", service)
            except ArtefactError as error:
                if release_set is None:
                    problems += error.problems
                damaged[service] = str(error)
                continue
            if release_set is None:
                releases[service] = current.release if current else None
            if current is not None and current.release == releases[service]:
                found[service], folders[service] = current, folder
                break
    if problems:
        raise ArtefactError(problems)
    return Wishes(releases, found, folders, release_set is not None, damaged)


def read(path: Path, service: str) -> Manifest | None:
    """The manifest of an artefact; ``None`` where there is none. Raises ``ArtefactError`` where it is damaged, another's, or empty."""
    try:
        manifest = manifests.load(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtefactError([f"{path} of service {service} cannot be read: {error.strerror}."]) from None
    except ValueError:
        raise ArtefactError([f"{path} of service {service} is no manifest; build it again: bin/mo build {service}."]) from None
    if manifest.service != service:
        raise ArtefactError(
            [f"{path} belongs to service {manifest.service}, not {service}; build it again: bin/mo build {service}."]
        )
    if not manifest.files:
        raise ArtefactError(
            [f"The artefact of service {service} holds no file; deploying it would empty the site. Build it again."]
        )
    if manifest.release != manifests.release_id(manifest.files, manifest.links, manifest.build_inputs):
        raise ArtefactError([f"{path} of service {service} does not match its release id {manifest.release}; build it again."])
    return manifest


def choose(wished: Wishes, facts: Facts, *, allow_older: bool) -> dict[str, Choice]:
    """The release of each service that has one. A service that nothing was asked for keeps what is live; one that was never deployed is
    left out. Raises ``ArtefactError`` where a release is nowhere, or older than the live one."""
    problems: list[str] = []
    chosen: dict[str, Choice] = {}
    for service, release in wished.releases.items():
        known = facts.of(service)
        if release is None:
            if known.manifest is not None:
                chosen[service] = Choice(known.manifest, kept=True)
            continue
        manifest = wished.manifests.get(service) or known.manifest_of(service, release)
        if manifest is None and release in (m.release for m in (known.wanted, known.manifest) if m is not None):
            problems.append(
                f"The manifest of release {release} of service {service} was changed on the host: its list of files does not give that id. "
                f"Build its commit again (bin/mo build {service}), or take another release; nothing was changed."
            )
        elif manifest is None:
            problems.append(
                wished.damaged.get(service)
                or f"Release {release} of service {service} is neither in dist/ nor on the host; build its commit again, "
                "or leave it out of the set."
            )
        elif not wished.from_set and not allow_older and (older := _older(manifest, known)):
            problems.append(older)
        else:
            chosen[service] = Choice(manifest, folder=wished.folders.get(service))
    if problems:
        raise ArtefactError(problems)
    return chosen


def _older(manifest: Manifest, known: ServiceFacts) -> str | None:
    live = known.manifest
    if (
        live is None
        or live.release == manifest.release
        or not live.built_at
        or not manifest.built_at
        or manifest.built_at >= live.built_at
    ):
        return None
    return (
        f"The artefact of service {manifest.service} was built {manifest.built_at}, before the live release {live.release} "
        f"({live.built_at}); build it again, or allow it: bin/pulumi config set mo:allowOlder true."
    )


def last_commit(project: Path) -> str | None:
    """The monorepo's commit of the last build (``dist/manifest.json``)."""
    try:
        built = json.loads((project / "dist" / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return None
    commit = built.get("commit") if isinstance(built, dict) else None
    return commit if isinstance(commit, str) else None


def commit_of(project: Path, wished: Wishes) -> str | None:
    """The commit that the evidence must be of: that of the last build (``dist/manifest.json``), else of the newest artefact."""
    if (commit := last_commit(project)) is not None:
        return commit
    return newest_commit(wished.manifests.values())


def newest_commit(built: Iterable[Manifest]) -> str | None:
    """The commit of the manifest that was built last."""
    latest = max(built, key=lambda m: m.built_at or "", default=None)
    return latest.commit if latest else None
