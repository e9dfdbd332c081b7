"""Which migrations an artefact holds, in the order in which its tool applies them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
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
    ``migration.sql``; ``alembic``: revision identifiers from base to head; ``drush``: CiviCRM's version; ``command``: the version that the
    file of its ``version`` says, else not known.
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


def _alembic(folder: Path) -> tuple[str, ...]:
    parents: dict[str, str | None] = {}
    for place in sorted((folder / "versions").glob("*.py")):
        values = _assignments(place)
        if "revision" in values:
            revision, parent = values["revision"], values.get("down_revision")
            if not isinstance(revision, str) or not (parent is None or isinstance(parent, str)):
                raise ValueError(f"{place.name} is a merge of Alembic branches, which cannot be put in one order")
            parents[revision] = parent
    children: dict[str | None, list[str]] = {}
    for revision, parent in parents.items():
        children.setdefault(parent, []).append(revision)
    ordered: list[str] = []
    at: str | None = None
    while following := children.get(at):
        if len(following) > 1:
            raise ValueError(f"Alembic's revisions {', '.join(sorted(following))} follow the same one; merge them into one line")
        at = following[0]
        ordered.append(at)
    if len(ordered) != len(parents):
        lost = sorted(set(parents) - set(ordered))
        raise ValueError(f"Alembic's revisions {', '.join(lost)} have no way from the base; mend their down_revision")
    return tuple(ordered)


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
