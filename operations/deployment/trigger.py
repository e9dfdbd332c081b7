"""Whether what was reported takes the last deployment back without anybody looking: the triggers of a rollback that come from outside."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from operations.problem import Problem
from operations.records import Record

SOON = timedelta(hours=1)
"""A critical bug that is reported later may be older than the deployment, and data may depend on it: a person decides."""


class Kind(StrEnum):
    """What was reported; the label of its issue on GitHub."""

    critical_bug = "critical-bug"
    security_incident = "security-incident"


@dataclass(frozen=True)
class Trigger:
    """``reported``: when."""

    kind: Kind
    reported: datetime


def read(kind: Kind | None, reported: str | None) -> Trigger | None:
    """What the command line says. Raises ``Problem``."""
    if kind is None and reported is None:
        return None
    if kind is None or reported is None:
        raise Problem("--trigger and --reported belong together: what was reported, and when.", 2)
    try:
        moment = datetime.fromisoformat(reported)
    except ValueError:
        raise Problem(f"--reported {reported!r} is no time like 2026-11-21T09:30:00Z.", 2) from None
    return Trigger(kind, moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def check(trigger: Trigger, history: Sequence[Record]) -> None:
    """Raises ``Problem`` where the last deployment is not the one to take back. ``history``: newest first."""
    deployed = [record for record in history if record.deployed]
    if not deployed:
        raise Problem("No update of this stack has succeeded yet; there is nothing to go back from.")
    # A rotation, or a deployment of the same again, moves no release.
    moved = (newer for newer, older in itertools.pairwise(deployed) if newer.releases != older.releases)
    last = next(moved, deployed[-1])
    ended = datetime.fromisoformat(last.ended or last.started)
    what = f"update {last.number} of {last.ended or last.started}"
    instead = "nothing was changed; a person decides: bin/mo rollback without --trigger."
    if last.rollback:
        raise Problem(f"The stack went back already ({what}), and nothing was deployed since; {instead}")
    if trigger.reported < ended:
        raise Problem(f"The {trigger.kind.value} was reported before the last deployment ended ({what}); {instead}")
    if trigger.kind is Kind.critical_bug and trigger.reported - ended > SOON:
        raise Problem(
            f"The {trigger.kind.value} was reported more than an hour after the last deployment ended ({what}); {instead}"
        )
