"""What a switch does to the database: nothing, its pending migrations, or nothing because the database is ahead. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

Applied = tuple[str, str, str]
"""Name, checksum (empty where unknown), state: ``done``, ``failed`` or ``rolled``."""


class Plan:
    """``schema``: ``none``, ``same``, ``pending`` or ``ahead``; ``pending``: what to apply; ``refuse``: why not to go on."""

    __slots__ = ("pending", "refuse", "schema")

    def __init__(self, schema: str, pending: Sequence[str] = (), refuse: str | None = None) -> None:
        self.schema, self.pending, self.refuse = schema, list(pending), refuse


def plan(
    kind: str, wanted: Sequence[str], applied: Sequence[Applied], files: dict[str, str], value: str | None, expect: str | None,
    begun: tuple[str, str] | None = None, live: bool = False,
) -> Plan:  # fmt: skip
    """``wanted``: the release's migrations in order; ``files``: digest (or ``missing``) of each one's file on the host; ``value``: the
    schema's version now; ``begun``: name and digest of one that a failed or killed run left; ``live``: the release is live already."""
    if kind in ("sql", "prisma"):
        return _by_name(kind, wanted, applied, files, begun)
    if kind == "alembic":
        return _by_revision(wanted, [name for name, _, _ in applied])
    if kind in ("drush", "command"):
        if value and expect and version_key(value) > version_key(expect):
            return Plan("ahead")
        if live and (not expect or value == expect):
            return Plan("same")
        return Plan("pending", wanted or ("all that the tool finds",))
    return Plan("none")


def _by_name(
    kind: str, wanted: Sequence[str], applied: Sequence[Applied], files: dict[str, str], begun: tuple[str, str] | None
) -> Plan:
    done = {name: checksum for name, checksum, state in applied if state == "done"}
    pending = [name for name in wanted if name not in done]
    unknown = [name for name in done if name not in wanted]
    failed = next((name for name, _, state in applied if state == "failed" and name not in done), None)
    if failed and pending:
        return Plan("none", refuse=(
            f"the migration {failed} failed in an earlier run and is marked so in "
            f"_prisma_migrations; expected it to be resolved: mend the schema, "
            "then set finished_at (applied by hand) or rolled_back_at (to be run again) of its row, as `prisma migrate resolve` does"
        ))  # fmt: skip
    for name in wanted:
        if name in done and done[name] and files.get(name, done[name]) not in (done[name], "missing"):
            return Plan("none", refuse=(
                f"the migration {name} was edited after it had been applied (another "
                f"checksum than in the database); expected applied migrations to stay "
                "as they were; restore the file and write a new migration"
            ))  # fmt: skip
    for name in pending:
        if files.get(name) == "missing":
            return Plan(
                "none", refuse=f"the release lacks the file of the migration {name}, which its manifest lists; build it again"
            )
    if unknown and pending:
        return Plan("none", refuse=(
            f"the database has the migration {unknown[-1]}, which this release does not know, and lacks {pending[0]}, which it brings; "
            "expected one to be a continuation of the other; merge the two lines of migrations"
        ))  # fmt: skip
    if begun and begun[0].endswith(".down"):
        return Plan("none", refuse=(
            f"the step back of {begun[0].removesuffix('.down')} was begun by an earlier run and may be half done; look at the schema, then "
            "restore the snapshot that was made before it, or finish it by hand and remove the file migrating beside the lock on the host"
        ))  # fmt: skip
    if begun and begun[0] in pending and kind == "sql" and files.get(begun[0]) == begun[1]:
        return Plan("none", refuse=(
            f"the migration {begun[0]} was begun by an earlier run and is not "
            f"recorded as applied, so it may be half applied (MariaDB commits each "
            f"statement); look at the schema, then either finish it by hand and "
            f"insert ('{begun[0]}', '{begun[1]}') into schema_version, or undo what "
            "it did and remove the file migrating beside the lock on the host, or ship a corrected file"
        ))  # fmt: skip
    if unknown:
        return Plan("ahead")
    if pending:
        return Plan("pending", pending)
    return Plan("same" if wanted else "none")


def _by_revision(wanted: Sequence[str], current: Sequence[str]) -> Plan:
    if not wanted:
        return Plan("pending", ["head"])
    if not current:
        return Plan("pending", wanted)
    unknown = [revision for revision in current if revision not in wanted]
    if unknown:
        return Plan("ahead")
    last = max(wanted.index(revision) for revision in current)
    pending = wanted[last + 1 :]
    return Plan("pending", pending) if pending else Plan("same")


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
