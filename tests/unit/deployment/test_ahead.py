"""A database that stays ahead of the release gone back to is told of, whoever asked to go back and whatever was restored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.facts import RunFacts
from operations import remote
from operations.deployment.outcome import Outcome
from operations.problem import Problem
from tests.unit.deployment.stage import Issues, Stage, stage

__all__ = ["stage"]
BOTH = ("api_stg", "admin_stg")
DEPLOY = ("deploy", "--yes")
BAD = "api_stg: switching on web1: the smoke test failed: answers 500; ra stays live"


@pytest.fixture
def migrated(stage: Stage) -> Stage:
    """The second releases are built; the switch of api_stg is to fail after its new migration."""
    stage.build("1", *BOTH, migrations=("0001_base",))
    assert stage.mo(*DEPLOY)[0] == 0
    stage.build("2", *BOTH, migrations=("0001_base", "0002_note"))
    stage.facts = {"api_stg": {"applied": ["0001_base", "0002_note"]}, "admin_stg": {"applied": ["0001_base"]}}
    return stage


def _way_back(stage: Stage) -> dict[str, Any]:
    report = json.loads(stage.mo("report", "--json")[1])
    found: dict[str, Any] = next(phase for phase in report["phases"] if phase["name"] == "rollback")
    return found


FLOWS = "2 of 7 end-to-end flows failed, more than 10 %"


@pytest.mark.parametrize("only", [(), ("--only", "api_stg")], ids=["others went on", "none had moved"])
def test_a_failed_switch_that_had_migrated_is_told_of(migrated: Stage, only: tuple[str, ...]) -> None:
    former = migrated.live
    migrated.fails = {"api_stg": BAD}
    code, text = migrated.mo(*DEPLOY, *only)
    assert (code, migrated.live["api_stg"]) == (1, former["api_stg"])
    assert (migrated.live["admin_stg"] == former["admin_stg"]) is bool(only)
    ahead = "api_stg: its database stays ahead of this release by 0002_note"
    assert ahead in text
    assert "admin_stg: its database" not in text
    assert ahead in json.loads(migrated.mo("report", "--json")[1])["notes"]


def test_a_way_back_tells_which_databases_stay_ahead(migrated: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []

    def incident(_issues: Issues, *told: object) -> Outcome:
        said.extend(told)
        return Outcome("incident", True, "issue incident", {"number": 2})

    monkeypatch.setattr(Issues, "incident", incident, raising=False)
    former = migrated.live
    migrated.flows = FLOWS
    code, text = migrated.mo(*DEPLOY)
    assert (code, migrated.live) == (1, former)
    assert "api_stg: its database stays ahead of this release by 0002_note" in text
    assert "admin_stg: its database" not in text
    told = _way_back(migrated)
    assert told["summary"].endswith("; the database of api_stg stays ahead by 0002_note")
    assert told["details"]["ahead"] == ["api_stg"]
    assert told["summary"] in str(said)


def test_a_way_back_whose_databases_are_not_ahead_says_nothing_of_them(migrated: Stage) -> None:
    migrated.facts["api_stg"] = {"applied": ["0001_base"]}
    migrated.flows = FLOWS
    code, text = migrated.mo(*DEPLOY)
    assert code == 1
    assert "ahead" not in text
    assert "ahead" not in _way_back(migrated)["summary"]


def test_a_host_that_does_not_tell_of_databases_ends_no_way_back(migrated: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [RunFacts.__call__]  # before anything changes: whether a person has closed a site

    def silent(asked: RunFacts, request: Any) -> Any:
        if answers:
            return answers.pop()(asked, request)
        raise Problem("no route to host")

    former = migrated.live
    migrated.flows = FLOWS
    monkeypatch.setattr(RunFacts, "__call__", silent)
    assert migrated.mo(*DEPLOY)[0] == 1
    assert migrated.live == former
    assert "whether the host runs it cannot be told" in _way_back(migrated)["summary"]


def _restored(stage: Stage, schema: str, applied: tuple[str, ...]) -> str:
    """What a rollback says that restores a snapshot of this schema, after which the database has ``applied``."""
    first = stage.live["api_stg"]
    assert stage.mo(*DEPLOY)[0] == 0
    at = "2026-11-21T09:01:00Z"
    stage.snapshots = [{"name": "20261121T090100Z-r2", "release": first, "at": at, "schema": schema}]
    asked = stage.host

    def host(root: Path, on: str, step: str, request: Mapping[str, Any], timeout: int = 0) -> dict[str, Any]:
        if step == "snapshot" and request["action"] == "restore":
            stage.facts["api_stg"] = {"applied": list(applied)}
        return asked(root, on, step, request, timeout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "run", host)
        code, text = stage.mo("rollback", "--yes", "--reason", "the data are wrong", "--restore-databases", "api_stg")
    assert (code, stage.live["api_stg"]) == (0, first), text
    return text


def test_a_restored_database_that_is_ahead_all_the_same_is_told_of_before_and_after(migrated: Stage) -> None:
    text = _restored(migrated, "0002_note", ("0001_base", "0002_note"))
    assert "api_stg: its database stays ahead by 0002_note in that snapshot too (bin/mo snapshots list api_stg)" in text
    assert "api_stg: its database stays ahead of this release by 0002_note" in text


def test_a_database_that_a_restore_brought_back_is_called_ahead_by_nobody(migrated: Stage) -> None:
    assert "ahead" not in _restored(migrated, "0001_base", ("0001_base",))
