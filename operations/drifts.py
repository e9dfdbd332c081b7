"""Where the host differs from what the stack's state says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from catalog.models import Service
from components import schema
from components.facts import Facts, ServiceFacts
from operations.integrity import Beside, Difference
from operations.validation.smoke import Answer
from operations.wording import on_one_line

Kind = Literal["release", "cut", "schema", "files", "database", "permissions", "answer", "tool", "secrets", "environment"]
MENDED: tuple[Kind, ...] = ("release", "cut", "schema", "files", "permissions")
"""What ``bin/mo drift --mend`` replaces; the rest needs a person."""
HOST = "host"
"""In the place of a service, for what belongs to none."""
NAMED = 3
"""How many files are named."""


@dataclass(frozen=True)
class Drift:
    """One difference, as a sentence without its service."""

    service: str
    kind: Kind
    what: str


def of(
    services: Mapping[str, Service],
    live: Mapping[str, str],
    facts: Facts,
    files: Mapping[str, Difference] | None = None,
    wrong: Sequence[Mapping[str, Any]] = (),
    answers: Mapping[str, Answer] | None = None,
) -> list[Drift]:
    """The differences; none for a service that was never deployed. ``files``: of the step ``files``; ``wrong``: of ``permissions``;
    ``answers``: what the public URLs said."""
    found: list[Drift] = []
    for key, entry in services.items():
        if key not in live:
            continue
        found += _of_service(key, entry, live[key], facts)
        found += _of_files(files.get(key) if files else None)
        modes = [f"{on_one_line(one['path'])} ({one['mode']})" for one in wrong if one.get("service") == key]
        if modes:
            found.append(Drift(key, "permissions", f"{len(modes)} with other permissions than they must have: {_some(modes)}"))
        answer = answers.get(key) if answers else None
        if answer is not None and answer.problem:
            found.append(Drift(key, "answer", on_one_line(answer.problem)))
    return found


def of_beside(beside: Beside, stack: str) -> list[Drift]:
    """What differs beside the releases; no ``--mend`` replaces it, for somebody has to find out first who changed it."""
    found = []
    if beside.tool:
        what = f"{len(beside.tool)} host programs in {beside.folder} differ from this checkout's: {_some(beside.tool)}"
        found.append(Drift(HOST, "tool", f"{what}; none is started until that folder is removed"))
    for key in beside.secrets:
        way = f"bin/pulumi up --stack {stack} --replace '**::{key}-env' writes it anew"
        found.append(Drift(key, "secrets", f"its secrets.env is not what the last update wrote; {way}"))
    for key, (digest, count, differs) in beside.environments.items():
        names = _some([on_one_line(name) for name in differs])
        way = f"remove .deploy/.venvs/{digest} on the host, then bin/pulumi up --stack {stack} --replace '**::{key}-stage'"
        found.append(Drift(key, "environment", f"{count} files of its virtual environment differ: {names}; {way} makes it anew"))
    return found


def elsewhere(found: Sequence[Drift], facts: Facts) -> list[Drift]:
    """Those of ``found`` where another release is live on the host; not those where none is, or nobody knows."""
    return [drift for drift in found if drift.kind == "release" and facts.of(drift.service).live]


def astray(found: Sequence[Drift], facts: Facts) -> list[Drift]:
    """Those of ``found`` that the switch of the state's own release ends: another one is live, or what was to make one live was cut."""
    another = {drift.service for drift in elsewhere(found, facts)}
    return [d for d in found if d.kind == "cut" or (d.kind == "release" and (d.service in another or _cut(facts.of(d.service))))]


def _cut(known: ServiceFacts) -> str | None:
    """What a killed run left, or one that it left behind is still at. A window that a person opened is meant."""
    if known.interrupted:
        return "a switch or a step back is at work on it, or was cut in the middle"
    if known.maintenance and known.opened_by:
        since = f" since {on_one_line(known.closed_since)}" if known.closed_since else ""
        return (
            f"it answers 503{since}: the step {known.opened_by} is at work on it, or was cut and left its maintenance window open"
        )
    return None


def _of_service(key: str, entry: Service, release: str, facts: Facts) -> Iterator[Drift]:
    known = facts.of(key)
    if known.live != release:
        yield Drift(key, "release", f"{known.live or 'nothing'} is live, where the last update left {release}")
    elif cut := _cut(known):
        yield Drift(key, "cut", cut)
    elif known.releases and release not in known.releases:
        yield Drift(key, "files", f"the live release {release} is no finished release any more")
    elif lacking := missing_migrations(entry, known):
        yield Drift(
            key, "schema", f"its database lacks {', '.join(map(on_one_line, lacking))}, which its live release {release} came with"
        )
    if entry.database is not None and known.database is False:
        yield Drift(key, "database", f"its database {entry.database.name} is gone; bin/mo snapshots restore {key} brings it back")


def missing_migrations(entry: Service, known: ServiceFacts) -> tuple[str, ...]:
    """The migrations of the live release that the database has not; none where either is not known."""
    manifest = known.manifest or known.wanted
    if manifest is None or manifest.release != known.live or known.applied is None:
        return ()
    return schema.lacking(known, manifest, entry) or ()


def _of_files(difference: Difference | None) -> Iterator[Drift]:
    if difference is None or not difference.count:
        return
    kinds = {"changed": difference.changed, "added": difference.added, "missing": difference.missing}
    names = [f"{on_one_line(name)} ({kind})" for kind, paths in kinds.items() for name in paths]
    yield Drift(difference.service, "files", f"{difference.count} files differ from the release: {_some(names)}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
