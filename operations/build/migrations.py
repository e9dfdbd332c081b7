"""Which migrations an artefact holds, in the order in which its tool applies them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.models import Migration, VersionIn
from operations.build.errors import BuildError

_CIVICRM_VERSION = "vendor/civicrm/civicrm-core/xml/version.xml"
_MAX_VERSION_FILE = 1 << 20
_VERSION_WORD = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,99}")
_VERSION = re.compile(r"<version_no>\s*([0-9][0-9A-Za-z.]*)\s*</version_no>")


def contained(tree: Path, service: str, migration: Migration | None) -> tuple[str, ...]:
    """The versions of the migrations in ``tree``. Raises ``BuildError`` where the catalogue declares some and the tree holds none.

    ``sql``: names of ``<version>.sql`` (``<version>.down.sql`` is the way back and no migration); ``prisma``: folders with a
    ``migration.sql``; ``alembic``: revision identifiers, each after those that it follows; ``drush``: CiviCRM's version; ``command``: the
    version that the file of its ``version`` says, else not known.
    """
    if migration is None:
        return ()
    if migration.kind == "command":
        return _told(tree, service, migration.version) if migration.version else ()
    reader: Callable[[Path], tuple[str, ...]] = {"sql": _sql, "prisma": _prisma, "alembic": _alembic, "drush": _drush}[
        migration.kind
    ]
    place = tree if migration.kind == "drush" else tree / (migration.directory or "migrations")
    try:
        found = reader(place)
    except ValueError as error:
        raise BuildError(f"{service}: {error}") from None
    if not found:
        where = _CIVICRM_VERSION if migration.kind == "drush" else migration.directory or "migrations"
        raise BuildError(
            f"{service}: the catalogue says that it migrates by {migration.kind}, but its artefact has nothing for that at {where}"
        )
    return found


def _sql(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(p.name[:-4] for p in folder.glob("*.sql") if not p.name.endswith(".down.sql")))


def _prisma(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(p.parent.name for p in folder.glob("*/migration.sql")))


def _drush(tree: Path) -> tuple[str, ...]:
    place = tree / _CIVICRM_VERSION
    found = _VERSION.search(place.read_text("utf-8", "replace")) if place.is_file() else None
    return (found.group(1),) if found else ()


def _told(tree: Path, service: str, version: VersionIn) -> tuple[str, ...]:
    place = tree / version.file
    try:
        with place.open("rb") as file:
            text = file.read(_MAX_VERSION_FILE).decode("utf-8", "replace")
    except OSError as error:
        raise BuildError(f"{service}: its version should stand in {version.file}, which cannot be read: {error.strerror}") from None
    found = re.search(version.pattern, text)
    if found is None or not _VERSION_WORD.fullmatch(found[1] or ""):
        raise BuildError(
            f"{service}: {version.file} says no version where the catalogue's pattern {version.pattern!r} looks for it"
        )
    return (found[1],)


@dataclass(frozen=True)
class Revision:
    """One of Alembic's: what it follows (``down_revision``), what it needs besides (``depends_on``), and the names of its branch."""

    follows: tuple[str, ...]
    needs: tuple[str, ...] = ()
    labels: frozenset[str] = frozenset()

    @property
    def parents(self) -> tuple[str, ...]:
        """Everything that is applied before it."""
        return tuple(dict.fromkeys((*self.follows, *self.needs)))


def branches(tree: Path, migration: Migration | None) -> dict[str, tuple[str, ...]]:
    """What each of Alembic's revisions has before it, where they are no single line (merges, several bases or heads); else nothing: their
    order says it. What ``contained`` refuses is nothing here."""
    if migration is None or migration.kind != "alembic":
        return {}
    revisions = _revisions(tree / (migration.directory or "migrations"))
    ordered = _ordered(revisions)
    line = {name: (ordered[n - 1],) if n else () for n, name in enumerate(ordered)}
    parents = {name: revisions[name].parents for name in ordered}
    return {} if parents == line else parents


def _alembic(folder: Path) -> tuple[str, ...]:
    revisions = _revisions(folder)
    ordered = _ordered(revisions)
    followed = {parent for revision in revisions.values() for parent in revision.follows}
    heads = [name for name in ordered if name not in followed]
    labels = {head: _labels(revisions, head) for head in heads}
    for head in heads if len(heads) > 1 else ():
        if not labels[head] - frozenset().union(*(labels[other] for other in heads if other != head)):
            raise ValueError(
                f"Alembic has {len(heads)} heads ({', '.join(heads)}); merge them (alembic merge heads), or give each branch that is meant "
                "to stay one of its own a name (branch_labels)"
            )
    return ordered


def _revisions(folder: Path) -> dict[str, Revision]:
    found: dict[str, Revision] = {}
    for place in sorted((folder / "versions").glob("*.py")):
        values = _assignments(place)
        if "revision" not in values:
            continue
        revision = values["revision"]
        if not isinstance(revision, str):
            raise ValueError(f"{place.name} names no revision: it must be a text, not {revision!r}")
        if revision in found:
            raise ValueError(f"{place.name} is a second file of Alembic's revision {revision}; expected one")
        follows, needs, labels = (_names(place, values, key) for key in ("down_revision", "depends_on", "branch_labels"))
        found[revision] = Revision(follows, needs, frozenset(labels))
    return found


def _names(place: Path, values: Mapping[str, object], key: str) -> tuple[str, ...]:
    """The texts of a constant that is nothing, one text, or several."""
    value = values.get(key)
    several = value if isinstance(value, tuple | list | set | frozenset) else () if value is None else (value,)
    if not all(isinstance(name, str) for name in several):
        raise ValueError(f"{place.name}: {key} must be revisions or names, not {value!r}")
    return tuple(sorted(map(str, several))) if isinstance(value, set | frozenset) else tuple(map(str, several))


def _ordered(revisions: Mapping[str, Revision]) -> tuple[str, ...]:
    """Every revision after all that it follows or needs; of several that could be next, the one whose name is first."""
    left, ordered = {name: set(revision.parents) for name, revision in revisions.items()}, list[str]()
    while ready := sorted(name for name, parents in left.items() if not parents):
        ordered.append(ready[0])
        del left[ready[0]]
        for parents in left.values():
            parents.discard(ready[0])
    if left:
        lost = ", ".join(sorted(left))
        raise ValueError(f"Alembic's revisions {lost} have no way from the base; correct their down_revision")
    return tuple(ordered)


def _labels(revisions: Mapping[str, Revision], head: str) -> frozenset[str]:
    """The names of the branch that ends at ``head``."""
    found, left, seen = frozenset[str](), [head], set[str]()
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            found |= revisions[name].labels
            left += revisions[name].follows
    return found


def _assignments(place: Path) -> dict[str, object]:
    """The module's top-level constants, read without running it."""
    values: dict[str, object] = {}
    try:
        body = ast.parse(place.read_bytes()).body
    except SyntaxError:
        raise ValueError(f"{place.name} is no valid Python") from None
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(target, ast.Name) and value is not None:
            try:
                values[target.id] = ast.literal_eval(value)
            except ValueError:
                continue
    return values
