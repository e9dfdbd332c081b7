"""``build``: the artefacts of many services, side by side; one that fails leaves the others alone and its own artefact as it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from catalog.manifest import Manifest
from catalog.models import Service
from operations.build import attestation, cache, checkout, sbom
from operations.build.errors import BuildError, SourceMissingError, StepFailedError
from operations.build.service import Context, State, make
from operations.build.signing import Signer
from operations.build.store import Store, write


@dataclass(frozen=True)
class Outcome:
    """What became of one service. ``error`` (one sentence and the log's last lines) only where it is ``failed`` or ``absent``."""

    service: str
    state: State | Literal["failed", "absent"]
    seconds: float
    manifest: Manifest | None = None
    error: str | None = None
    log: str | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Built:
    """A finished build. ``id`` is new for each; ``commit`` and ``dirty`` are the monorepo's."""

    id: str
    commit: str | None
    dirty: bool
    outcomes: dict[str, Outcome]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every service asked for has an artefact of its present source."""
        return all(outcome.error is None for outcome in self.outcomes.values())


@dataclass(frozen=True)
class Event:
    """Progress: ``service`` does ``what``; with ``outcome`` it has ended."""

    service: str
    what: str
    outcome: Outcome | None = None


def build(
    services: Mapping[str, Service],
    source: Path,
    out: Path,
    *,
    cache_folder: Path | None = None,
    jobs: int | None = None,
    signer: Signer | None = None,
    tell: Callable[[Event], None] = lambda event: None,
) -> Built:
    """Builds ``services`` from the monorepo at ``source`` into ``out`` (``dist``).

    ``signer`` signs the attestation of all artefacts of this commit; without one there is none. Raises ``BuildError`` only where
    nothing can be built at all; what concerns one service is in its outcome.
    """
    if not source.is_dir():
        raise BuildError(f"The monorepo {source} is not there; set `mo:source` to its checkout.")
    started = time.monotonic()
    moment = datetime.now(UTC)
    look = checkout.look(source)
    store = Store(out)
    folder = cache_folder or cache.default()
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        store.recover()
        context = Context(
            source=source.resolve(),
            store=store,
            cache=folder,
            logs=out / ".logs",
            checkout=look,
            build=f"b{moment:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
            built_at=f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        )
        with ThreadPoolExecutor(max(1, jobs or os.cpu_count() or 1), "build") as pool:
            # The slow kinds first, so that they do not come last with nothing beside them.
            order = sorted(services, key=lambda k: services[k].build.kind in ("copy", "php"))
            futures = {key: pool.submit(_one, context, key, services[key], tell) for key in order}
            outcomes = {key: futures[key].result() for key in services}
        _documents(context, outcomes, signer)
        store.prune()
        cache.prune(folder)
    dirty = look.dirty("")
    return Built(context.build, look.commit, dirty, outcomes, time.monotonic() - started)


def _one(context: Context, key: str, service: Service, tell: Callable[[Event], None]) -> Outcome:
    started = time.monotonic()
    try:
        made = make(context, key, service, lambda what: tell(Event(key, what)))
        context.store.confirm(key, context.checkout)
        context.store.note(key, context.source, context.checkout, (service.source, *service.build.include))
        outcome = Outcome(key, made.state, time.monotonic() - started, made.manifest, left_out=made.left_out)
    except BuildError as error:
        state: Literal["failed", "absent"] = "absent" if isinstance(error, SourceMissingError) else "failed"
        log = error.log if isinstance(error, StepFailedError) else None
        outcome = Outcome(key, state, time.monotonic() - started, context.store.current(key), str(error), log)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        text = f"{key}: its artefact could not be made: {error.strerror or error}{place}"
        outcome = Outcome(key, "failed", time.monotonic() - started, context.store.current(key), text)
    context.store.mark(key, failed=outcome.error is not None)
    tell(Event(key, outcome.state, outcome))
    return outcome


def _documents(context: Context, outcomes: Mapping[str, Outcome], signer: Signer | None) -> None:
    """Writes the bill of materials, the manifest and the attestation of all that is confirmed for this commit, where they would say
    something new. An artefact of another commit that still lies in ``dist/`` is in none of them, so no deploy uploads it."""
    out = context.store.out
    present = attestation.current(out, {key: outcome.manifest for key, outcome in outcomes.items() if outcome.manifest})
    artefacts = {key: manifest for key, manifest in present.items() if context.store.confirmed(key, context.checkout)}
    if not artefacts:
        return
    if attestation.write_build_manifest(context, artefacts) or not (out / "SBOM.json").is_file():
        write(out / "SBOM.json", sbom.of_build(out, artefacts))
    if signer and attestation.outdated(out, signer):
        attestation.write_signed(context, artefacts, signer, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """One build at a time in this folder; a second one waits."""
    with (out / ".lock").open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
