"""The stack's history as an operator reads it: numbered from the first update, each with the releases that it meant to deploy."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from operations.problem import Problem

_BUILD = re.compile(r"b\d{8}T\d{6}-[0-9a-f]{6}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_BY = re.compile(r"[(;] ?by ([^);]+)\)")
_ROTATION = re.compile(r"(?:rotate|revoke the former password of) \S+(?: \(by [^);]+\))?")
_WAIVED = re.compile(r" \[waived: (.+)\]")


@dataclass(frozen=True)
class Record:
    """One update. ``number`` counts from 1, the oldest; ``releases``: its release set, ``None`` where it had none; ``rollback``: what it
    went back to."""

    number: int
    kind: str
    result: str
    started: str
    ended: str | None
    message: str
    author: str
    releases: Mapping[str, str] | None
    rollback: Mapping[str, Any] | None
    changes: Mapping[str, int]

    @property
    def by(self) -> str:
        """Who made it: as `bin/mo` wrote it down, else the author of the commit that was checked out."""
        found = _BY.search(self.message)
        return str((self.rollback or {}).get("author") or (found[1] if found else self.author))

    @property
    def waived(self) -> tuple[str, ...]:
        """The quality gates that were waived for it, each with who, until when and why, as its message says."""
        found = _WAIVED.search(self.message)
        return tuple(found[1].split("; ")) if found else ()

    @property
    def rotation(self) -> bool:
        """Whether it is one of `bin/mo rotate`, whose releases are those that were live."""
        return _ROTATION.fullmatch(self.message) is not None

    @property
    def target(self) -> int:
        """The number of the update whose releases this one made live."""
        found = self.rollback.get("update") if self.rollback else None
        return found if isinstance(found, int) else self.number

    @property
    def deployed(self) -> bool:
        """Whether it is a finished update with a release set: what a rollback may go to."""
        return self.kind == "update" and self.result == "succeeded" and bool(self.releases)


def read(history: Sequence[Any]) -> list[Record]:
    """The records of ``Engine.history`` (newest first), in the same order."""
    return [_record(len(history) - n, summary) for n, summary in enumerate(history)]


def _record(number: int, summary: Any) -> Record:
    environment = summary.environment or {}
    author = environment.get("git.author") or environment.get("git.committer") or ""
    return Record(
        number=number,
        kind=summary.kind,
        result=summary.result,
        started=_time(summary.start_time),
        ended=_time(summary.end_time) if summary.end_time else None,
        message=summary.message or "",
        author=str(author),
        releases=_setting(summary.config, "mo:releases"),
        rollback=_setting(summary.config, "mo:rollback"),
        changes={
            str(getattr(op, "value", op)): count for op, count in (summary.resource_changes or {}).items() if str(op) != "same"
        },
    )


def _setting(config: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    value = getattr(config.get(key), "value", None)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if isinstance(value, dict) and value.keys() == {"object"} and isinstance(value["object"], str):
        # As the embedded engine kept an object until November 2026.
        with contextlib.suppress(ValueError):
            value = json.loads(value["object"])
    return value if isinstance(value, dict) else None


def _time(moment: Any) -> str:
    if isinstance(moment, datetime):
        # The Automation API's own are UTC and do not say so: it reads their Z as a letter.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(moment)


def last_wanted(records: Sequence[Record]) -> Record | None:
    """The last update that was to make releases live, however it ended; a rotation moves none. ``records``: newest first."""
    updates = (record for record in records if record.kind in ("update", "destroy") and not record.rotation)
    last = next(updates, None)
    return last if last is not None and last.kind == "update" and last.releases else None


def number_of(records: Sequence[Record], releases: Mapping[str, str]) -> int:
    """The number of the last update that had made ``releases`` live; of the last one before the newest where the history has none such."""
    same = of_set(records, releases)
    return same.target if same is not None else max(1, len(records) - 1)


def of_set(records: Sequence[Record], releases: Mapping[str, str]) -> Record | None:
    """The last update that had made ``releases`` live."""
    deployed = (record for record in records if record.deployed)
    return next((r for r in deployed if all((r.releases or {}).get(k) == v for k, v in releases.items())), None)


def to_go_back_to(
    records: Sequence[Record], live: Mapping[str, str], wish: str | None, root: Path = Path(), only: Sequence[str] = ()
) -> Record:
    """The update that a rollback goes to: the one that ``wish`` names (its number, a build, or a time: the last before it), else the last
    one before the present position whose releases differ from the live ones; ``only``: those of these services, so that an update of
    others is passed over. ``root``: the project, whose ``dist/`` knows builds. Raises ``Problem``."""
    deployed = [record for record in records if record.deployed]
    if not deployed:
        raise Problem("No update of this stack has succeeded yet; there is nothing to go back to.")
    if wish is None:

        def concerned(releases: Mapping[str, str] | None) -> dict[str, str]:
            return {service: release for service, release in (releases or {}).items() if not only or service in only}

        last = deployed[0]
        if any(live.get(service) != release for service, release in concerned(last.releases).items()):
            return last  # the update after it failed half-way
        # Where they are: at the last update that moved any of them, or where that one went back to.
        pairs = itertools.pairwise(deployed)
        moved = (newer for newer, older in pairs if concerned(newer.releases) != concerned(older.releases))
        position = next(moved, deployed[-1]).target
        there = concerned(live)
        found = next((r for r in deployed if r.number < position and concerned(r.releases) not in ({}, there)), None)
        if found is None:
            of = f" of {', '.join(only)}" if only else ""
            raise Problem(f"There is no earlier update with other releases{of}; `bin/mo history` shows all.")
        return found
    if wish.isdecimal():
        chosen = next((record for record in records if record.number == int(wish)), None)
        if chosen is None:
            raise Problem(f"There is no update {wish}; `bin/mo history` shows all.", 2)
        if not chosen.deployed:
            raise Problem(f"Update {wish} ({chosen.kind}) {chosen.result}; going back needs a succeeded update with releases.")
        return chosen
    if _BUILD.fullmatch(wish):
        return _of_build(deployed, wish, root)
    try:
        moment = _moment(wish)
    except ValueError:
        raise Problem(
            f"{wish!r} is neither the number of an update, nor a build, nor a time like 2026-11-21T09:30 (a day alone: its end).", 2
        ) from None
    text = _time(moment)
    found = next((record for record in deployed if (record.ended or record.started) <= text), None)
    if found is None:
        raise Problem(f"No update had succeeded by {text}; `bin/mo history` shows all.", 2)
    return found


def _moment(wish: str) -> datetime:
    """A time, in UTC where it names no zone; of a day alone its end: what a person who names a Saturday wants back is what it left."""
    if _DAY.fullmatch(wish):
        return datetime.combine(date.fromisoformat(wish), time.max, UTC)
    moment = datetime.fromisoformat(wish)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_build(deployed: Sequence[Record], build: str, root: Path) -> Record:
    """The last update that deployed a build: by its message, else by the releases that the build has made, as ``dist/`` knows them."""
    found = next((record for record in deployed if f"(build {build}" in record.message and not record.rollback), None)
    if found is not None:
        return found
    made = {
        (path.parent.parent.name, path.parent.name)
        for path in (root / "dist" / ".store").glob("*/*/manifest.json")
        if _is_of(path, build)
    }
    for record in deployed:
        pairs = {(service, release) for service, release in (record.releases or {}).items() if service in {key for key, _ in made}}
        if pairs and pairs <= made:
            return record
    raise Problem(
        f"No succeeded update is known to have deployed the build {build}; `bin/mo history` shows all, each with its number.", 2
    )


def _is_of(path: Path, build: str) -> bool:
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("build") == build
