"""Builds the artefact of one service: looks whether anything changed, makes it or takes it from the cache, writes tree and manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from catalog.activation import Activation
from catalog.manifest import File, Link, Manifest, release_id
from catalog.models import Service
from operations.build import cache, packing, sbom, serving, tree
from operations.build import migrations as migration_lists
from operations.build.checkout import Checkout
from operations.build.errors import BuildError, SourceMissingError
from operations.build.packing import Packed
from operations.build.steps import Steps
from operations.build.store import Store, write
from operations.build.strategies import STRATEGIES, Project
from operations.build.tree import Listing

State = Literal["built", "cached", "rules", "unchanged"]
"""``rules``: the content is unchanged, and the catalogue has other rules for activating it."""
_PACKED = TypeAdapter(dict[str, Any])


@dataclass(frozen=True)
class Context:
    """What all services of one build share. ``build`` is its id, ``built_at`` its time (UTC, ISO 8601)."""

    source: Path
    store: Store
    cache: Path
    logs: Path
    checkout: Checkout
    build: str
    built_at: str


@dataclass(frozen=True)
class Made:
    """A service's artefact and how it came to be."""

    state: State
    manifest: Manifest
    left_out: tuple[str, ...]


def make(context: Context, key: str, service: Service, told: Callable[[str], None]) -> Made:
    """The artefact of one service at ``dist/<key>``. ``told`` hears the name of what is being done. Raises ``BuildError``."""
    source = context.source / service.source
    if not source.is_dir():
        raise SourceMissingError(
            f"{key}: its source {service.source} is not in {context.source}; check `mo:source`, or take the service off the stack"
        )
    told("reading the source")
    own = tree.listing(source, key, persistent=service.persistent, check=False)
    included = [(target, _included(context, key, folder)) for folder, target in sorted(service.build.include.items())]
    if not own.files:
        raise BuildError(f"{key}: its source {service.source} holds no file; an empty artefact would empty the site")
    steps = Steps(key, context.logs / key, service.build.timeout)
    strategy = STRATEGIES[service.build.kind]
    with cache.work_folder(context.cache) as work:
        project = Project(key, service, context.source, source, own, work, context.cache, steps)
        made_from = _digest(service, {**strategy.inputs(project), "strategy": strategy.version}, [("", own), *included])
        before = context.store.current(key)
        if before and context.store.key(key) == made_from and context.store.whole(before):
            if before.activation == Activation.of(service):
                return Made("unchanged", before, ())
            # The same content under other rules: the same release, with a manifest that says them.
            renewed = before.model_copy(update={"activation": Activation.of(service)})
            context.store.renew_manifest(renewed)
            return Made("rules", renewed, ())
        told("building")
        shutil.rmtree(steps.logs, ignore_errors=True)
        with context.store.incoming(key) as incoming:
            if strategy.cached(project):
                state, packed, left_out = _from_cache(project, made_from, included, incoming)
            else:
                state, (packed, left_out) = "built", _pack(project, strategy.make(project), included, incoming / "tree")
            if serving.applies(service):
                packed = serving.add(packed, incoming / "tree", key, service)
            told("packing")
            said = tuple(strategy.notes(project))
            manifest = _manifest(context, key, service, packed, incoming / "tree", dict(strategy.tools(project)), said)
            materials = sbom.of_service(project, manifest)
            write(incoming / "SBOM.json", materials)
            if (
                before
                and before.release == manifest.release
                and before.migrations == manifest.migrations
                and before.migration_parents == manifest.migration_parents
                and before.notes == manifest.notes
                and before.activation == manifest.activation
                and context.store.whole(before)
            ):
                context.store.renew(key, materials, made_from)
                return Made("unchanged", before, left_out)
            stored = context.store.put(manifest, incoming)
            context.store.publish(key, stored, made_from)
    return Made(state, manifest, left_out)


def _included(context: Context, key: str, folder: str) -> Listing:
    place = context.source / folder
    if not place.is_dir():
        raise SourceMissingError(f"{key}: {folder}, which its build includes, is not in {context.source}")
    return tree.listing(place, key)


def _digest(service: Service, inputs: dict[str, Any], parts: Sequence[tuple[str, Listing]]) -> str:
    """What the artefact is made from, as one SHA-256. The service's name is no part of it: equal sources are built once."""
    migrate = service.steps.migrate
    settled = {
        "build": service.build.model_dump(exclude={"timeout"}),
        "excludes": service.excludes,
        "persistent": service.persistent,
        "migrate": migrate.model_dump(include={"kind", "directory"}) if migrate else None,
        **({"version": migrate.version.model_dump()} if migrate and migrate.version else {}),
        "source": service.source,
        "inputs": inputs,
        "content": tree.digest(parts),
        "packing": 2,
        **({"serving": [serving.VERSION, service.web_root]} if serving.applies(service) else {}),
    }
    return hashlib.sha256(json.dumps(settled, sort_keys=True).encode()).hexdigest()


def _pack(
    project: Project, folders: Sequence[tuple[str, Path]], included: Sequence[tuple[str, Listing]], target: Path
) -> tuple[Packed, tuple[str, ...]]:
    service = project.service
    parts = []
    for prefix, folder in folders:
        # Excludes and persistent paths count from the artefact's root, which is where an unprefixed folder goes.
        persistent, only = (service.persistent, service.build.only) if not prefix else ((), ())
        parts.append((prefix, tree.listing(folder, project.key, excludes=service.excludes, persistent=persistent, only=only)))
    packed = packing.pack([*parts, *included], target, project.key)
    if not packed.files:
        raise BuildError(f"{project.key}: its artefact would hold no file; an empty artefact would empty the site")
    return packed, tuple(sorted({name for _, part in parts for name in part.left_out}))


def _from_cache(
    project: Project, made_from: str, included: Sequence[tuple[str, Listing]], incoming: Path
) -> tuple[State, Packed, tuple[str, ...]]:
    fresh = threading.Event()

    def fill(folder: Path) -> None:
        fresh.set()
        folders = STRATEGIES[project.service.build.kind].make(project)
        packed, left_out = _pack(project, folders, included, folder / "tree")
        record = {
            "files": [f.model_dump() for f in packed.files],
            "links": [link.model_dump() for link in packed.links],
            "left_out": left_out,
        }
        write(folder / "packed.json", json.dumps(record).encode())

    for _ in range(2):
        kept = cache.keep(project.cache, "artefacts", made_from, fill)
        packed = packing.pack([("", tree.listing(kept / "tree", project.key))], incoming / "tree", project.key)
        recorded = _recorded(kept / "packed.json")
        if recorded is not None and recorded[0] == packed:
            return "built" if fresh.is_set() else "cached", packed, recorded[1]
        # Damaged in the cache: made again once.
        cache.forget(project.cache, "artefacts", made_from)
        for leftover in sorted((incoming / "tree").rglob("*"), reverse=True):
            leftover.rmdir() if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()
    raise BuildError(
        f"{project.key}: the cache {project.cache} does not keep what is written to it; check that disk, or set MO_CACHE to another folder"
    )


def _recorded(place: Path) -> tuple[Packed, tuple[str, ...]] | None:
    try:
        record = _PACKED.validate_json(place.read_bytes())
        files = tuple(File.model_validate(f) for f in record["files"])
        links = tuple(Link.model_validate(link) for link in record["links"])
        return Packed(files, links), tuple(record["left_out"])
    except (OSError, ValidationError, KeyError, TypeError):
        return None


def _manifest(
    context: Context, key: str, service: Service, packed: Packed, place: Path, tools: dict[str, str], notes: tuple[str, ...]
) -> Manifest:
    # Only what the content cannot tell: a longer time limit or another tool's version makes no new release.
    build_inputs = {"kind": service.build.kind}
    return Manifest(
        service=key,
        release=release_id(packed.files, packed.links, build_inputs),
        files=packed.files,
        links=packed.links,
        migrations=migration_lists.contained(place, key, service.steps.migrate),
        migration_parents=migration_lists.branches(place, service.steps.migrate),
        build_inputs=build_inputs,
        commit=context.checkout.commit,
        dirty=context.checkout.dirty(service.source, *service.build.include),
        built_at=context.built_at,
        build=context.build,
        tools=tools,
        notes=notes,
        activation=Activation.of(service),
    )
