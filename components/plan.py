"""The dry run: what a deploy would change for one service, from manifests and facts. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from catalog.manifest import Manifest
from catalog.models import Service
from components.artefacts import Choice
from components.facts import Facts, ServiceFacts, needed_programs
from components.remote.client.decide import Plan, Refusal
from components.schema import decision, lists_migrations

LISTED = 12
"""How many files are named one by one; the rest are counted."""
VERBOSE = "MO_VERBOSE_PLAN"
"""The environment's variable with which a preview names every file. No setting: it says how to look at a deploy, and nothing of it."""


@dataclass(frozen=True)
class FileChange:
    """One file: ``size`` in bytes, of the new one, or of the old one where it is removed."""

    what: Literal["added", "changed", "removed"]
    path: str
    size: int


@dataclass(frozen=True)
class Snapshot:
    """The snapshot before the switch, in bytes. ``database``: what the database holds; ``expected``: what the snapshot will take, from the
    newest one's ratio (``None`` without one); ``room``: what must be free for it; ``free``: what is, where the host tells."""

    database: int
    expected: int | None
    room: int
    free: int | None = None


@dataclass(frozen=True)
class ServicePlan:
    """What would happen to one service. ``files`` and ``migrations`` are ``None`` where they cannot be known before; ``newer``: what the
    schema has that the release does not know, so that only the code changes; ``refusal``: why the switch will refuse, as the host
    decides it."""

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
    taken_over: tuple[str, ...] = ()
    snapshot: Snapshot | None = None
    newer: tuple[str, ...] = ()
    refusal: Refusal | None = None
    kept: bool = False
    """Whether a rollback leaves the schema as it is, and nothing more is known of it."""
    half_applied: str | None = None
    """A migration that an earlier run left half done and that this one continues, as a sentence."""
    closed: bool = False
    """Whether a person has closed the site to visitors."""
    staged: bool = False
    """Whether the host holds the release already."""
    content: tuple[FileChange, ...] = ()
    """All files of the release."""

    @property
    def upload_bytes(self) -> int:
        """Bytes of new and changed files; all where the live content is unknown, none where the host holds the release already."""
        if self.staged:
            return 0
        return self.total_bytes if self.files is None else sum(f.size for f in self.files if f.what != "removed")


def of(service: str, entry: Service, choice: Choice | None, facts: Facts, *, back: bool = False) -> ServicePlan | None:
    """The plan of a service; ``back``: whether a rollback makes its release live.

    ``None`` where its release is live already, or nothing was asked for it."""
    if choice is None or choice.kept:
        return None
    known = facts.of(service)
    if known.live == choice.release:
        return None
    manifest = choice.manifest
    migrate = entry.steps.migrate
    decided = decision(known, manifest, entry, choice.folder, back=back)
    return ServicePlan(
        service=service,
        old=known.live,
        new=choice.release,
        files=_files(known, manifest),
        total_files=len(manifest.files),
        total_bytes=manifest.size,
        migrations=_migrations(decided, entry),
        migrates=f"{migrate.kind}, {migrate.mode}" if migrate else None,
        restart=_restart(entry, facts),
        accounts=_accounts(entry, known),
        taken_over=_taken_over(entry, known),
        lacks=_lacks(entry, facts, known),
        snapshot=snapshot(entry, known, free(facts)),
        kept=back and migrate is not None and (decided is None or decided.schema == "kept"),
        newer=tuple(decided.newer) if decided and decided.schema == "ahead" else (),
        refusal=decided.refusal if decided else None,
        half_applied=_half_applied(known, decided),
        closed=known.closed,
        staged=choice.release in known.releases,
        content=_added(manifest),
    )


SNAPSHOT_RESERVE = 4 << 20
"""Bytes that must stay free besides a snapshot's own (as the host program asks, dump: snapshot_need)."""


def free(facts: Facts) -> int | None:
    """Bytes free on the host: of the disk or of the account's quota, whichever is less; ``None`` where it tells neither."""
    return min((n for n in (facts.free_bytes, facts.quota_bytes) if n is not None), default=None)


def snapshot(entry: Service, known: ServiceFacts, room: int | None = None) -> Snapshot | None:
    """The snapshot that the switch will make first; ``None`` where the database is empty or not known."""
    if entry.database is None or not known.database or not known.database_bytes:
        return None
    held = known.database_bytes
    if known.snapshot_bytes and known.snapshot_of:
        expected = held * known.snapshot_bytes // known.snapshot_of
        return Snapshot(held, expected, expected * 3 // 2 + SNAPSHOT_RESERVE, room)
    return Snapshot(held, None, held + SNAPSHOT_RESERVE, room)


def _migrations(decided: Plan | None, entry: Service) -> tuple[str, ...] | None:
    if decided is None or (decided.schema == "pending" and not lists_migrations(entry)):
        return None
    return tuple(decided.pending)


def _half_applied(known: ServiceFacts, decided: Plan | None) -> str | None:
    half = known.begun
    if half is None or decided is None or half.name not in decided.pending or decided.refusal:
        return None
    if half.resumes:
        return f"{half.name} was interrupted and continues at the statement where it stopped"
    return f"{half.name} failed half-way in an earlier run; its file has changed since, so it is run again as it is now"


def room(plans: Iterable[ServicePlan], facts: Facts) -> str | None:
    """What is wrong with the space on the host for all of these, or ``None``: uploads of releases that are not there yet and snapshots."""
    left = free(facts)
    uploads = snapshots = 0
    for plan in plans:
        uploads += plan.upload_bytes
        snapshots += plan.snapshot.room if plan.snapshot else 0
    if left is None or left > uploads + snapshots:
        return None
    return (
        f"Only {size(left)} are free on the host; expected {size(uploads + snapshots)}: {size(uploads)} of releases and "
        f"{size(snapshots)} for snapshots of the databases. Nothing was changed. Make room (bin/mo snapshots list SERVICE, mo:snapshots, "
        "mo:keepReleases), or deploy fewer services at a time (--only)."
    )


def _files(known: ServiceFacts, manifest: Manifest) -> tuple[FileChange, ...] | None:
    if known.live is None and known.content in (None, "none"):
        return _added(manifest)
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


def _added(manifest: Manifest) -> tuple[FileChange, ...]:
    return tuple(FileChange("added", f.path, f.size) for f in manifest.files)


def _accounts(entry: Service, known: ServiceFacts) -> tuple[str, ...]:
    found = known.existing
    if entry.database is None or (known.database is not False and found is None):
        return ()
    made = () if found is not None and found.exists else (f"database {entry.database.name}",)
    return made if found is not None and found.account else (*made, f"account {entry.database.user}")


def _taken_over(entry: Service, known: ServiceFacts) -> tuple[str, ...]:
    """What is there already, each as a sentence."""
    found = known.existing
    if entry.database is None or found is None:
        return ()
    told = []
    if found.exists:
        held = f"{found.tables} table{'' if found.tables == 1 else 's'}" + ("" if found.bytes is None else f", {size(found.bytes)}")
        told.append(f"database {entry.database.name} exists: {held}; will be taken over unchanged")
    if found.account:
        told.append(
            f"account {entry.database.user} exists; it gets this stack's password, and its former one stays valid until the release is live"
        )
    return tuple(told)


def _lacks(entry: Service, facts: Facts, known: ServiceFacts) -> tuple[str, ...]:
    if facts.programs is None:
        return known.lacks
    return tuple(dict.fromkeys([*missing_programs(entry, facts.programs), *known.lacks]))


def missing_programs(entry: Service, programs: Mapping[str, str | None]) -> list[str]:
    """What the service needs and ``programs`` (name → path on the host or ``None``) tells that the host has not."""
    return [" or ".join(names) for names in needed_programs(entry) if all(programs.get(name, "") is None for name in names)]


def _restart(entry: Service, facts: Facts) -> str | None:
    """The restart that the host will run; the first one where it has the program of none."""
    if entry.steps.restart is None:
        return None
    commands, programs = entry.steps.restart.commands, facts.programs or {}
    return " ".join(next((command for command in commands if programs.get(command[0], "") is not None), commands[0]))


def lines(plan: ServicePlan, *, verbose: bool = False) -> Iterator[str]:
    """The plan as a person reads it; ``verbose``: with every file, else with some."""
    yield f"{plan.service}: {plan.old or 'nothing live'} → {plan.new}"
    if plan.files is None:
        yield f"  files: {plan.total_files}, {size(plan.total_bytes)}; what is live now will be adopted or named"
        if verbose:
            yield from map(_file, plan.content)
    else:
        counts = ", ".join(
            f"{n} {what}" for what in ("added", "changed", "removed") if (n := sum(f.what == what for f in plan.files))
        )
        to_upload = "nothing to upload, the host holds the release" if plan.staged else f"{size(plan.upload_bytes)} to upload"
        yield f"  files: {counts or 'none'} of {plan.total_files}; {to_upload}"
        few = len(plan.files) <= LISTED
        if verbose or few or plan.old is not None:
            yield from map(_file, plan.files if verbose or few else plan.files[:LISTED])
        if not (verbose or few):
            more = f"… and {len(plan.files) - LISTED} more" if plan.old is not None else "…"
            yield f"    {more} (bin/mo deploy --plan --verbose names them)"
    if plan.migrates:
        yield f"  migrations ({plan.migrates}): {_shown(plan)}"
    if plan.refusal:
        yield f"  refused: {plan.refusal.text}"
    if plan.half_applied:
        yield f"  half applied: {plan.half_applied} (docs/runbook.md, A migration is half applied)"
    if plan.closed:
        yield f"  closed by a person: the switch refuses until bin/mo maintenance off {plan.service} opens the site"
    if plan.snapshot:
        told = (
            f"about {size(plan.snapshot.expected)}" if plan.snapshot.expected is not None else "size unknown before the first one"
        )
        left = "" if plan.snapshot.free is None else f", {size(plan.snapshot.free)} are"
        yield f"  snapshot: {told}, of a database of {size(plan.snapshot.database)}; {size(plan.snapshot.room)} must be free{left}"
    if plan.restart:
        yield f"  restart: {plan.restart}"
    for sentence in plan.taken_over:
        yield f"  {sentence}"
    if plan.accounts:
        yield f"  to be made: {', '.join(plan.accounts)}"
    if plan.lacks:
        yield f"  the host lacks: {', '.join(plan.lacks)}"


def _shown(plan: ServicePlan) -> str:
    if plan.kept:
        return "none; a rollback runs no migration"
    if plan.newer:
        return f"none; the schema is newer than the release (by {', '.join(plan.newer)}), so only the code changes"
    return "unknown before they run" if plan.migrations is None else ", ".join(plan.migrations) or "none pending"


def _file(change: FileChange) -> str:
    return f"    {_SIGNS[change.what]} {change.path} ({size(change.size)})"


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
