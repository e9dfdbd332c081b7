"""The dry run: what a deploy would change for one service, from manifests and facts. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from catalog.manifest import Manifest
from catalog.models import Service
from components.artefacts import Choice
from components.facts import Facts, ServiceFacts, needed_programs

LISTED = 12
"""How many files are named one by one; the rest are counted."""


@dataclass(frozen=True)
class FileChange:
    """One file: ``size`` in bytes, of the new one, or of the old one where it is removed."""

    what: Literal["added", "changed", "removed"]
    path: str
    size: int


@dataclass(frozen=True)
class ServicePlan:
    """What would happen to one service. ``files`` and ``migrations`` are ``None`` where they cannot be known before."""

    service: str
    old: str | None
    new: str
    files: tuple[FileChange, ...] | None
    total_files: int
    total_bytes: int
    migrations: tuple[str, ...] | None
    migrates: str | None
    restart: str | None
    accounts: tuple[str, ...]
    lacks: tuple[str, ...]

    @property
    def upload_bytes(self) -> int:
        """Bytes of new and changed files; all where the live content is unknown."""
        return self.total_bytes if self.files is None else sum(f.size for f in self.files if f.what != "removed")


def of(service: str, entry: Service, choice: Choice | None, facts: Facts) -> ServicePlan | None:
    """The plan of a service; ``None`` where its release is live already, or nothing was asked for it."""
    if choice is None or choice.kept:
        return None
    known = facts.of(service)
    if known.live == choice.release:
        return None
    manifest = choice.manifest
    migrate = entry.steps.migrate
    return ServicePlan(
        service=service,
        old=known.live,
        new=choice.release,
        files=_files(known, manifest),
        total_files=len(manifest.files),
        total_bytes=manifest.size,
        migrations=_pending(known, manifest, entry),
        migrates=f"{migrate.kind}, {migrate.mode}" if migrate else None,
        restart=" ".join(entry.steps.restart.command) if entry.steps.restart else None,
        accounts=_accounts(entry, known),
        lacks=_lacks(entry, facts, known),
    )


def _files(known: ServiceFacts, manifest: Manifest) -> tuple[FileChange, ...] | None:
    if known.live is None and known.content in (None, "none"):
        return tuple(FileChange("added", f.path, f.size) for f in manifest.files)
    if known.manifest is None:
        return None
    old = {f.path: f for f in known.manifest.files}
    new = {f.path: f for f in manifest.files}
    changes = [FileChange("added", path, f.size) for path, f in new.items() if path not in old]
    changes += [
        FileChange("changed", p, f.size) for p, f in new.items() if p in old and (f.sha256, f.mode) != (old[p].sha256, old[p].mode)
    ]
    changes += [FileChange("removed", path, f.size) for path, f in old.items() if path not in new]
    return tuple(sorted(changes, key=lambda change: change.path))


def _pending(known: ServiceFacts, manifest: Manifest, entry: Service) -> tuple[str, ...] | None:
    """The migrations to run; ``None`` where only running the tool can tell (drush, commands)."""
    migrate = entry.steps.migrate
    if migrate is None:
        return ()
    if migrate.kind in ("drush", "command"):
        return None
    if known.applied is None and (known.live is not None or known.database):
        return None
    applied = set(known.applied or ())
    return tuple(name for name in manifest.migrations if name not in applied)


def _accounts(entry: Service, known: ServiceFacts) -> tuple[str, ...]:
    if entry.database is None or known.database is not False:
        return ()
    return (f"database {entry.database.name}", f"account {entry.database.user}")


def _lacks(entry: Service, facts: Facts, known: ServiceFacts) -> tuple[str, ...]:
    if facts.programs is None:
        return known.lacks
    missing = [program for program in needed_programs(entry) if program in facts.programs and not facts.programs[program]]
    return tuple(dict.fromkeys([*missing, *known.lacks]))


def lines(plan: ServicePlan) -> Iterator[str]:
    """The plan as a person reads it."""
    yield f"{plan.service}: {plan.old or 'nothing live'} → {plan.new}"
    if plan.files is None:
        yield f"  files: {plan.total_files}, {size(plan.total_bytes)}; what is live now will be adopted or named"
    else:
        counts = ", ".join(
            f"{n} {what}" for what in ("added", "changed", "removed") if (n := sum(f.what == what for f in plan.files))
        )
        yield f"  files: {counts or 'none'} of {plan.total_files}; {size(plan.upload_bytes)} to upload"
        if plan.old is not None or len(plan.files) <= LISTED:
            yield from (f"    {_SIGNS[f.what]} {f.path} ({size(f.size)})" for f in plan.files[:LISTED])
            if len(plan.files) > LISTED:
                yield f"    … and {len(plan.files) - LISTED} more"
    if plan.migrates:
        pending = "unknown before they run" if plan.migrations is None else ", ".join(plan.migrations) or "none pending"
        yield f"  migrations ({plan.migrates}): {pending}"
    if plan.restart:
        yield f"  restart: {plan.restart}"
    if plan.accounts:
        yield f"  to be made: {', '.join(plan.accounts)}"
    if plan.lacks:
        yield f"  the host lacks: {', '.join(plan.lacks)}"


_SIGNS = {"added": "+", "changed": "~", "removed": "-"}


def size(count: int) -> str:
    """Bytes as a person reads them: exact below 10 kB."""
    if count < 10_000:
        return f"{count} B"
    for unit in ("kB", "MB", "GB"):
        count_in = count / 1000
        if count_in < 1000 or unit == "GB":
            return f"{count_in:.1f} {unit}"
        count = round(count_in)
    raise AssertionError
