"""What a release would do to a service's database: the switch's own decision (``components/remote/client/decide.py``), asked on the host's
facts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from catalog.manifest import Manifest
from catalog.models import Service
from components.facts import ServiceFacts
from components.remote.client import decide

MARK = b"\xef\xbb\xbf"
"""A byte order mark in UTF-8."""


def decision(
    known: ServiceFacts, manifest: Manifest, entry: Service, artefact: Path | None = None, *, back: bool = False
) -> decide.Plan | None:
    """What the switch will decide for the release of ``manifest``; ``None`` where the host's facts do not tell: the database was not
    reached, or a run that was cut is to be recovered first. ``artefact``: the release's folder on this machine; ``back``: whether a
    rollback makes the release live."""
    migrate = entry.steps.migrate
    if migrate is None or entry.database is None:
        return decide.Plan("none")
    history = known.recorded
    if known.interrupted or (history is None and (known.live is not None or known.database)):
        return None
    half = known.begun
    return decide.plan(
        decide.Facts(
            migrate.kind,
            manifest.migrations,
            history or (),
            files=_files(known, manifest, entry, artefact),
            parents=manifest.migration_parents,
            value=known.schema_version,
            begun=(half.name, half.sha256) if half and not half.resumes else None,
            live=known.live == manifest.release,
            back=back,
            tables=known.tables or 0,
            service=manifest.service,
        )
    )


def lists_migrations(entry: Service) -> bool:
    """Whether the service's tool names its migrations one by one before it runs them."""
    return entry.steps.migrate is not None and entry.steps.migrate.kind not in ("drush", "command")


def lacking(known: ServiceFacts, manifest: Manifest, entry: Service) -> tuple[str, ...] | None:
    """What the database lacks of the release's migrations; ``None`` where nobody can tell before the tool runs."""
    if entry.steps.migrate is not None and not lists_migrations(entry):
        return None
    decided = decision(known, manifest, entry)
    return tuple(decided.pending) if decided else None


def _files(known: ServiceFacts, manifest: Manifest, entry: Service, artefact: Path | None) -> dict[str, Sequence[str]]:
    """The checksums under which each migration's file may be recorded: as the host tells for a release that it holds, else of the artefact
    on this machine, else by the manifest."""
    migrate = entry.steps.migrate
    if migrate is None or migrate.kind not in ("sql", "prisma"):
        return {}
    recorded = {name: checksum for name, checksum, _ in known.recorded or ()}
    if known.begun:
        recorded.setdefault(known.begun.name, known.begun.sha256)
    sums = {file.path: file.sha256 for file in manifest.files}
    found: dict[str, Sequence[str]] = {}
    for name in manifest.migrations:
        path = migration_file(migrate.kind, migrate.directory, name)
        if path not in sums:
            found[name] = ()
        elif name in known.files:
            found[name] = known.files[name]
        elif artefact is not None and recorded.get(name, "") not in ("", sums[path]):
            found[name] = (sums[path], *_others(artefact / "tree" / path))
        else:
            found[name] = (sums[path],)
    return found


def migration_file(kind: str, directory: str | None, name: str) -> str:
    """The path of a migration's file in the release."""
    if kind == "prisma":
        return f"{directory or 'prisma/migrations'}/{name}/migration.sql"
    return f"{directory or 'migrations'}/{name}.sql"


def _others(place: Path) -> tuple[str, ...]:
    try:
        return checksums(place.read_bytes())
    except OSError:
        return ()


def checksums(text: bytes) -> tuple[str, ...]:
    """The checksums of a text with LF and with CRLF, each without and with a byte order mark (the host program ``checksums``)."""
    lf = re.sub(rb"\r(?=\n|\Z)", b"", text.removeprefix(MARK))
    crlf = lf.replace(b"\n", b"\r\n")
    return tuple(hashlib.sha256(form).hexdigest() for form in (lf, MARK + lf, crlf, MARK + crlf))
