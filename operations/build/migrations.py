"""Which migrations an artefact holds, in the order in which its tool applies them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

from catalog.models import Migration
from operations.build.errors import BuildError

_CIVICRM_VERSION = "vendor/civicrm/civicrm-core/xml/version.xml"
_VERSION = re.compile(r"<version_no>\s*([0-9][0-9A-Za-z.]*)\s*</version_no>")


def contained(tree: Path, service: str, migration: Migration | None) -> tuple[str, ...]:
    """The versions of the migrations in ``tree``. Raises ``BuildError`` where the catalogue declares some and the tree holds none.

    ``sql``: names of ``<version>.sql`` (``<version>.down.sql`` is the way back and no migration); ``prisma``: folders with a
    ``migration.sql``; ``alembic``: revision identifiers from base to head; ``drush``: CiviCRM's version; ``command``: not known.
    """
    if migration is None or migration.kind == "command":
        return ()
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
