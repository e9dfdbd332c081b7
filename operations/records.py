"""The stack's history as an operator reads it: numbered from the first update, each with the releases that it meant to deploy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from operations.problem import Problem


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
    return value if isinstance(value, dict) else None


def _time(moment: Any) -> str:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(moment)


def to_go_back_to(records: Sequence[Record], live: Mapping[str, str], wish: str | None) -> Record:
    """The update that a rollback goes to: the one that ``wish`` names (its number, or a time: the last before it), else the last one before
    the present position whose releases differ from the live ones. Raises ``Problem``."""
    deployed = [record for record in records if record.deployed]
    if not deployed:
        raise Problem("No update of this stack has succeeded yet; there is nothing to go back to.")
    if wish is None:
        last = deployed[0]
        if any(live.get(service) != release for service, release in (last.releases or {}).items()):
            return last  # the update after it failed half-way
        position = last.target
        found = next((r for r in deployed if r.number < position and dict(r.releases or {}) != dict(live)), None)
        if found is None:
            raise Problem("There is no earlier update with other releases; `bin/mo history` shows all.")
        return found
    if wish.isdecimal():
        chosen = next((record for record in records if record.number == int(wish)), None)
        if chosen is None:
            raise Problem(f"There is no update {wish}; `bin/mo history` shows all.", 2)
        if not chosen.deployed:
            raise Problem(f"Update {wish} ({chosen.kind}) {chosen.result}; going back needs a succeeded update with releases.")
        return chosen
    try:
        moment = datetime.fromisoformat(wish)
    except ValueError:
        raise Problem(f"{wish!r} is neither the number of an update nor a time like 2026-11-21T09:30.", 2) from None
    text = _time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    found = next((record for record in deployed if (record.ended or record.started) <= text), None)
    if found is None:
        raise Problem(f"No update had succeeded by {text}; `bin/mo history` shows all.")
    return found
