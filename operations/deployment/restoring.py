"""Which snapshot brings a service's database back to what it was when a release was left, and where it would stay ahead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.models import Service
from components.facts import ServiceFacts
from operations import release_set, snapshots
from operations.deployment.here import Here
from operations.problem import Problem
from operations.records import Record
from operations.snapshots import Snapshot

BY_NAME = {"sql", "alembic", "prisma"}
"""The kinds of migration whose schema's version is the name of one."""


@dataclass(frozen=True)
class Restore:
    """One database that goes back: to the snapshot ``name``. ``pinned``: whether the operator had pinned it; ``schema``: the version of its
    schema; ``verified``: whether it was restored into a scratch database before anything changed."""

    service: str
    name: str
    at: str
    pinned: bool = False
    schema: str | None = None
    verified: bool = False


def wanted(services: Mapping[str, Service], moves: Iterable[str], names: Sequence[str]) -> list[str]:
    """The services whose database goes back: those of ``names`` (or all) that go back themselves and have one. Raises ``Problem``."""
    moving = list(moves)
    wished = [key for key in moving if services[key].database] if "all" in names else list(dict.fromkeys(names))
    wrong = sorted(key for key in wished if key not in services or services[key].database is None)
    if wrong:
        raise Problem(f"{', '.join(wrong)}: no service with a database.", 2)
    still = sorted(key for key in wished if key not in moving)
    if still:
        raise Problem(
            f"{', '.join(still)}: this rollback moves no release of it, and so not its database. A database alone goes back by "
            f"bin/mo snapshots restore {still[0]} NAME (bin/mo snapshots list {still[0]}). Nothing was changed.",
            2,
        )
    return wished


def planned(here: Here, services: Sequence[str], target: Record, *, site_open: bool = False) -> list[Restore]:
    """The snapshot of each of ``services`` for going back to ``target``, each restored into a scratch database. Raises ``Problem`` before
    anything changes where one has none, where it cannot be restored there, or where its site cannot be closed for the restore and not
    ``site_open``."""
    found: list[Restore] = []
    missing: list[str] = []
    for service in services:
        listed = snapshots.listed(here.root, here.stack, service, here.services[service])
        release = (target.releases or {})[service]
        snapshot = left(release, target.started, listed)
        if snapshot is None:
            missing.append(service)
        else:
            found.append(Restore(service, snapshot.name, snapshot.at, snapshot.pinned, snapshot.schema))
    if missing:
        names = ", ".join(missing)
        raise Problem(
            f"There is no snapshot of {names} from when update {target.number} was left (bin/mo snapshots list {missing[0]}), and "
            "nothing was changed. Go back without these databases, or restore another snapshot by bin/mo snapshots restore."
        )
    for one in found if not site_open else ():
        snapshots.refuse_open(here.root, here.stack, one.service, here.services[one.service], here.settings.domain)
    # What the test of a snapshot needs (its database, its rights, room) must not be missed once the code is back already.
    for one in found:
        snapshots.ask(here.root, here.stack, one.service, here.services[one.service], "verify", one.name)
    return [replace(one, verified=True) for one in found]


def left(release: str, since: str, listed: Sequence[Snapshot]) -> Snapshot | None:
    """The state in which ``release`` was left: of the first unbroken run of snapshots that were made while it was live, from ``since``
    (UTC) on, the last one. A deploy makes one before it switches, also where it fails then; so do a restore and an operator."""
    last: Snapshot | None = None
    for snapshot in sorted(listed, key=lambda one: (one.at, one.name)):
        if snapshot.at < since:
            continue
        if snapshot.release == release:
            last = snapshot
        elif last is not None:
            break
    return last


def keep(here: Here, what: Restore) -> None:
    """Pins the snapshot until the database has gone back: the switch before makes a new one, and the oldest would go for it.
    Raises ``Problem``."""
    if not what.pinned:
        snapshots.ask(here.root, here.stack, what.service, here.services[what.service], "pin", what.name)


def restored(here: Here, what: Restore, interrupted: str | None = None, *, site_open: bool = False) -> str:
    """Puts the database back; a fresh snapshot is made first. A sentence on it. ``interrupted``: the id of the run that had begun to;
    ``site_open``: also where the site cannot be closed. Raises ``Problem``."""
    entry = here.services[what.service]
    former = former_data(snapshots.listed(here.root, here.stack, what.service, entry), interrupted) if interrupted else None
    domain = here.settings.domain
    answer = snapshots.restore(
        here.root, here.stack, what.service, entry, what.name, domain, unverified=what.verified, site_open=site_open
    )
    if not what.pinned:
        snapshots.ask(here.root, here.stack, what.service, entry, "unpin", what.name)
    said = [f"database of {what.name}", f"what it was before is in {former or answer.get('made')}", *(answer.get("notes") or [])]
    return "; ".join(said)


def former_data(listed: Sequence[Snapshot], run: str) -> str | None:
    """The snapshot of what a database held before the run of that id restored it: a further restore only keeps what the first had made."""
    names = sorted(one.name for one in listed if "-restore-" in one.name and one.name[:15] >= run[:15])
    return names[0] if names else None


def ahead(
    here: Here, moves: Mapping[str, tuple[str | None, str]], without: Iterable[str], *, anew: bool = True
) -> dict[str, list[str]]:
    """Service → the migrations that its database has and the release gone back to has not, for those not in ``without``. Asks the host,
    or where not ``anew`` takes what it told last."""
    goes = {key: new for key, (_, new) in moves.items() if here.services[key].database and key not in set(without)}
    if not goes:
        return {}
    known = here.facts(goes, anew=anew)
    found = {key: beyond(known.of(key), migrations(here.root, key, release, known.of(key))) for key, release in goes.items()}
    return {key: names for key, names in found.items() if names}


def ahead_too(here: Here, moves: Mapping[str, tuple[str | None, str]], restores: Iterable[Restore]) -> dict[str, str]:
    """Service → the schema of the snapshot that it is to go back to, where that has a migration that the release has not: a switch had
    migrated, and failed, before the snapshot was made. Raises ``Problem`` where the host cannot be asked."""
    named = {}
    for one in restores:
        migrate = here.services[one.service].steps.migrate
        if one.schema and one.service in moves and migrate is not None and migrate.kind in BY_NAME:
            named[one.service] = one.schema
    if not named:
        return {}
    known = here.facts({key: moves[key][1] for key in named})
    own = {key: migrations(here.root, key, moves[key][1], known.of(key)) for key in named}
    return {key: schema for key, schema in named.items() if (has := own[key]) is not None and schema not in has}


def migrations(root: Path, service: str, release: str, known: ServiceFacts) -> tuple[str, ...] | None:
    """Those of a release, by its manifest here or on the host."""
    manifest = known.manifest_of(service, release) or release_set.manifest_of(root, service, release)
    return manifest.migrations if manifest else None


def beyond(known: ServiceFacts, own: Sequence[str] | None) -> list[str]:
    """What the database has beyond ``own``; nothing where either is not known."""
    if own is None or known.applied is None:
        return []
    return [name for name in known.applied if name not in own]
