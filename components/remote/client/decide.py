"""What a switch does to the database: nothing, its pending migrations, or nothing because the schema is newer than the release.

One function, standard library only: the preview (``components/schema.py``) and the switch ask it on the same facts, so that a plan never
promises what the host refuses. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Literal

    Code = Literal["edited", "diverged", "failed", "file-missing", "half-applied", "half-reverted", "no-history"]
    Schema = Literal["none", "same", "pending", "ahead", "kept"]

Applied = tuple[str, str, str]
"""Name, checksum (empty where unknown), state: ``done``, ``failed`` or ``rolled``."""
BY_NAME = ("sql", "alembic", "prisma")
"""The kinds whose tool keeps a history by the names of migrations."""
ALL = "all that the tool finds"
"""The one pending name of a tool that lists none."""


class Refusal:
    """Why a switch does not go on. ``code``: what it is, for programs; ``text``: a sentence for people."""

    __slots__ = ("code", "text")

    def __init__(self, code: Code, text: str) -> None:
        self.code, self.text = code, text


class Facts:
    """What is known before the decision.

    ``wanted``: the release's migrations in order; ``applied``: the database's history; ``files``: the checksums under which the file of a
    migration may be recorded, its own first (other line endings, a byte order mark), none where the release lacks the file, and no entry
    where it was not looked at; ``parents``: what each one has before it, where that is not the one listed before it; ``value``: the
    schema's version now; ``expect``: what it must be afterwards; ``begun``: name and checksum of one that a failed or killed run left and
    that does not go on by itself; ``live``: whether the release is live already; ``back``: whether a rollback makes it so, which runs no
    migration; ``tables``: how many tables the database holds besides a tool's own; ``service``: for messages."""

    __slots__ = ("applied", "back", "begun", "expect", "files", "kind", "live", "parents", "service", "tables", "value", "wanted")

    def __init__(
        self, kind: str, wanted: Iterable[str] = (), applied: Iterable[Applied] = (), *,
        files: Mapping[str, Sequence[str]] | None = None, parents: Mapping[str, Sequence[str]] | None = None, value: str | None = None,
        expect: str | None = None, begun: tuple[str, str] | None = None, live: bool = False, back: bool = False, tables: int = 0,
        service: str = "SERVICE",
    ) -> None:  # fmt: skip
        self.back, self.tables, self.service = back, tables, service
        self.kind, self.wanted, self.applied = kind, list(wanted), list(applied)
        self.files: Mapping[str, Sequence[str]] = files or {}
        self.parents: Mapping[str, Sequence[str]] = parents or {}
        self.value, self.begun, self.live = value, begun, live
        self.expect = expect or self._last()

    def _last(self) -> str | None:
        """The one migration that the schema's version is after all of them; none where there are several heads."""
        followed = {name for names in self.parents.values() for name in names}
        heads = [name for name in self.wanted if name not in followed] if self.parents else self.wanted[-1:]
        return heads[0] if self.kind != "none" and len(heads) == 1 else None


class Plan:
    """``pending``: what the database lacks of the release, in order; ``newer``: what it has that the release does not know; ``refusal``:
    why nothing of it is done; ``skipped``: what a rollback does not run of what the database lacks.

    ``schema``: ``none`` (the release has no migrations), ``same``, ``pending``, ``ahead`` (newer than the release), or ``kept``: a rollback
    leaves it as it is, and it is not compared with what the release expects."""

    __slots__ = ("newer", "pending", "refusal", "schema", "skipped")

    def __init__(
        self, schema: Schema, pending: Sequence[str] = (), refusal: Refusal | None = None, newer: Sequence[str] = (),
        skipped: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.schema: Schema = schema
        self.pending, self.refusal, self.newer, self.skipped = list(pending), refusal, list(newer), list(skipped)


def plan(facts: Facts) -> Plan:
    """The decision."""
    decided = _forward(facts)
    if not facts.back or facts.live:
        return decided if decided.refusal else _with_history(facts, decided)
    if decided.schema in ("none", "same", "ahead") and decided.refusal is None:
        return decided
    if decided.newer:
        return Plan("ahead", newer=decided.newer)
    return Plan("kept", skipped=decided.pending if facts.kind in BY_NAME or facts.value else ())


def _with_history(facts: Facts, decided: Plan) -> Plan:
    """A database that was there before: nobody knows which of the release's migrations its tables have, and an early one may drop them."""
    if decided.schema != "pending" or facts.kind not in BY_NAME or facts.applied or facts.begun or not facts.tables:
        return decided
    counted = "1 table" if facts.tables == 1 else f"{facts.tables} tables"
    last = facts.wanted[-1] if facts.wanted else "NAME"
    return Plan("none", decided.pending, Refusal("no-history", (
        f"the database holds {counted} and no history of migrations, and this release would run {decided.pending[0]} on them; expected a "
        f"history; record the last migration that the tables have already, which runs none (bin/mo migrate {facts.service} --baseline "
        f"{last}, say), or empty the database"
    )))  # fmt: skip


def _forward(facts: Facts) -> Plan:
    if facts.kind in ("sql", "prisma"):
        return _by_name(facts)
    if facts.kind == "alembic":
        return _by_revision(facts)
    if facts.kind in ("drush", "command"):
        return _by_version(facts)
    return Plan("none")


def _by_name(facts: Facts) -> Plan:
    done = {name: checksum for name, checksum, state in facts.applied if state == "done"}
    pending = [name for name in facts.wanted if name not in done]
    unknown = [name for name in done if name not in facts.wanted]
    if refusal := _refusal(facts, done, pending, unknown):
        return Plan("none", pending, refusal, unknown)
    if unknown:
        return Plan("ahead", newer=unknown)
    if pending:
        return Plan("pending", pending)
    return Plan("same" if facts.wanted else "none")


def _refusal(facts: Facts, done: Mapping[str, str], pending: Sequence[str], unknown: Sequence[str]) -> Refusal | None:
    failed = next((name for name, _, state in facts.applied if state == "failed" and name not in done), None)
    if failed and pending:
        return Refusal("failed", (
            f"the migration {failed} failed in an earlier run and is marked so in "
            f"_prisma_migrations; expected it to be resolved: repair the schema, "
            "then set finished_at (applied by hand) or rolled_back_at (to be run again) of its row, as `prisma migrate resolve` does"
        ))  # fmt: skip
    for name in facts.wanted:
        recorded, known = done.get(name), facts.files.get(name)
        if recorded and known and recorded not in known:
            return Refusal("edited", (
                f"the migration {name} was edited after it had been applied (another "
                f"checksum than in the database); expected applied migrations to stay "
                "as they were; restore the file and write a new migration"
            ))  # fmt: skip
    for name in pending:
        if name in facts.files and not facts.files[name]:
            return Refusal(
                "file-missing", f"the release lacks the file of the migration {name}, which its manifest lists; build it again"
            )
    if unknown and pending:
        return Refusal("diverged", (
            f"the database has the migration {unknown[-1]}, which this release does not know, and lacks {pending[0]}, which it brings; "
            "expected one to be a continuation of the other; merge the two lines of migrations"
        ))  # fmt: skip
    return _half_done(facts, pending)


def _half_done(facts: Facts, pending: Sequence[str]) -> Refusal | None:
    if facts.begun is None:
        return None
    name, checksum = facts.begun
    if name.endswith(".down"):
        return Refusal("half-reverted", (
            f"the step back of {name.removesuffix('.down')} was begun by an earlier run and may be half done; look at the schema, then "
            "restore the snapshot that was made before it, or finish it by hand and remove the file migrating beside the lock on the host"
        ))  # fmt: skip
    if facts.kind == "sql" and name in pending and checksum in facts.files.get(name, ()):
        return Refusal("half-applied", (
            f"the migration {name} was begun by an earlier run and is not "
            f"recorded as applied, so it may be half applied (MariaDB commits each "
            f"statement); look at the schema, then either finish it by hand and "
            f"insert ('{name}', '{checksum}') into schema_version, or undo what "
            "it did and remove the file migrating beside the lock on the host, or ship a corrected file"
        ))  # fmt: skip
    return None


def _by_revision(facts: Facts) -> Plan:
    """Alembic keeps the heads alone: what a head follows is applied with it."""
    current = [name for name, _, _ in facts.applied]
    if not facts.wanted:
        return Plan("pending", ["head"])
    unknown = [revision for revision in current if revision not in facts.wanted]
    done: set[str] = set()
    left = [revision for revision in current if revision not in unknown]
    while left:
        name = left.pop()
        if name not in done:
            done.add(name)
            left += _before(facts, name)
    pending = [revision for revision in facts.wanted if revision not in done]
    if unknown and done and pending:
        return Plan("none", pending, Refusal("diverged", (
            f"the database is at the revision {unknown[-1]}, which this release does not know, and lacks {pending[0]}, which it brings; "
            "expected one to be a continuation of the other; merge the two lines (alembic merge heads)"
        )), unknown)  # fmt: skip
    if unknown:
        return Plan("ahead", newer=unknown)
    return Plan("pending", pending) if pending else Plan("same")


def _before(facts: Facts, name: str) -> Sequence[str]:
    if facts.parents:
        return facts.parents.get(name, ())
    position = facts.wanted.index(name)
    return facts.wanted[position - 1 : position] if position else ()


def _by_version(facts: Facts) -> Plan:
    if facts.value and facts.expect and version_key(facts.value) > version_key(facts.expect):
        return Plan("ahead", newer=[facts.value])
    if facts.live and (not facts.expect or facts.value == facts.expect):
        return Plan("same")
    return Plan("pending", facts.wanted or (ALL,))


def version_key(text: str) -> list[tuple[int, int, str]]:
    """Orders versions by their numbers: 5.70.10 is after 5.70.9, 5.70 after 5.70-beta1."""
    key: list[tuple[int, int, str]] = []
    word = ""
    for c in text + ".":
        if c.isalnum():
            word += c
        elif word:
            key.append((2, int(word), "") if word.isdecimal() else (0, 0, word))
            word = ""
    return [*key, (1, 0, "")]
