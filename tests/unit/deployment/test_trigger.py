"""A reported bug or incident takes back the last deployment, at most once, and nothing that it is not about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from operations.deployment.trigger import Kind, Trigger, check, read
from operations.problem import Problem
from operations.records import Record

BUG, INCIDENT = Kind.critical_bug, Kind.security_incident


def record(number: int, ended: str, release: str, **more: Any) -> Record:
    plain = {
        "number": number, "kind": "update", "result": "succeeded", "started": "2026-11-21T08:00:00Z", "ended": f"2026-11-21T{ended}:00Z",
        "message": "", "author": "", "releases": {"votes": release}, "rollback": None, "changes": {},
    }  # fmt: skip
    return Record(**{**plain, **more})


DEPLOYED = [record(2, "10:30", "r2"), record(1, "09:00", "r1")]
BACK = [record(3, "10:50", "r1", rollback={"update": 1}), *DEPLOYED]


@pytest.mark.parametrize(
    ("kind", "reported", "history", "refused"),
    [
        (BUG, "10:30", DEPLOYED, None),
        (BUG, "11:30", DEPLOYED, None),
        (BUG, "11:31", DEPLOYED, "more than an hour after"),
        (INCIDENT, "23:59", DEPLOYED, None),
        (BUG, "10:29", DEPLOYED, "before the last deployment ended (update 2 of 2026-11-21T10:30:00Z)"),
        (INCIDENT, "10:29", DEPLOYED, "before the last deployment ended"),
        # The second label, or the second report of the same.
        (BUG, "10:55", BACK, "went back already"),
        (INCIDENT, "10:55", BACK, "went back already"),
        # Deployed anew since.
        (BUG, "11:20", [record(4, "11:10", "r3"), *BACK], None),
        # A rotation moves no release: the deployment before it counts.
        (BUG, "11:20", [record(3, "11:10", "r2"), *DEPLOYED], None),
        (BUG, "11:40", [record(3, "11:35", "r2"), *DEPLOYED], "more than an hour after"),
        # A failed update made nothing live by itself that a report is about.
        (BUG, "11:20", [record(3, "11:10", "r3", result="failed"), *DEPLOYED], None),
        (BUG, "11:20", [], "No update"),
    ],
)
def test_only_the_last_deployment_is_taken_back_and_a_critical_bug_counts_within_the_hour(
    kind: Kind, reported: str, history: list[Record], refused: str | None
) -> None:
    trigger = read(kind, f"2026-11-21T{reported}:00Z")
    assert trigger is not None
    if refused is None:
        check(trigger, history)
        return
    with pytest.raises(Problem) as caught:
        check(trigger, history)
    assert refused in str(caught.value)


def test_a_trigger_is_whole_or_absent() -> None:
    assert read(None, None) is None
    assert read(BUG, "2026-11-21T11:00") == Trigger(BUG, datetime(2026, 11, 21, 11, tzinfo=UTC))
    for kind, reported in ((BUG, None), (None, "2026-11-21T11:00"), (BUG, "at noon")):
        with pytest.raises(Problem, match="reported"):
            read(kind, reported)
