"""What had drifted before a deployment is shown with its plan and settled by it; it is no failure of the deployment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.deployment.stage import Stage, stage

__all__ = ["stage"]


@pytest.fixture
def drifted(stage: Stage) -> Stage:
    """A stack that was deployed twice; then somebody has put the former release of ``admin_stg`` back by hand: it answers with it."""
    former = stage.build("1", "api_stg", "admin_stg")
    for content in ("1", "2"):
        stage.build(content, "api_stg", "admin_stg")
        assert stage.mo("deploy", "--yes")[0] == 0
    stage.facts = {"admin_stg": {"live": former["admin_stg"]}}
    stage.broken = {"admin_stg": stage.live["admin_stg"]}
    switch = stage.host

    def host(_root: Path, _stack: str, step: str, request: Mapping[str, Any], timeout: int = 0) -> dict[str, Any]:
        done = switch(_root, _stack, step, request, timeout)
        if step == "switch":
            stage.broken = {}  # it serves what it must again
        return done

    stage.host = host  # type: ignore[method-assign]
    return stage


@pytest.fixture(autouse=True)
def _same_host(monkeypatch: pytest.MonkeyPatch, drifted: Stage) -> None:
    monkeypatch.setattr("operations.remote.run", drifted.host)


def test_it_is_shown_in_the_plan_and_changes_nothing(drifted: Stage) -> None:
    drifted.build("3", "api_stg")
    code, text = drifted.mo("deploy", "--plan")
    meant = drifted.live["admin_stg"]
    assert code == 0
    assert f"admin_stg: {drifted.facts['admin_stg']['live']} is live, where the last update left {meant}" in text
    assert f"this deployment makes {meant} live again" in text
    assert drifted.switched == []


def test_a_deployment_of_another_service_settles_it_and_is_good(drifted: Stage) -> None:
    drifted.build("3", "api_stg")
    code, text = drifted.mo("deploy", "--yes")
    meant = drifted.live["admin_stg"]
    assert code == 0, text
    assert f"this deployment makes {meant} live again" in text
    assert drifted.switched == [f"admin_stg {meant}"]
    assert "goes back" not in text
    report = json.loads(drifted.mo("report", "--json")[1])
    assert report["succeeded"]
    assert any("live again" in note for note in report["notes"])


def test_what_is_no_part_of_the_deployment_is_left_and_not_asked(drifted: Stage) -> None:
    drifted.build("3", "api_stg")
    code, text = drifted.mo("deploy", "--yes", "--only", "api_stg")
    assert code == 0, text
    assert "it is no part of this deployment, and not asked (bin/mo drift --mend)" in text
    assert drifted.switched == []
    assert "1 of 1 services answer as they must" in text


def test_what_cannot_be_settled_is_no_success_and_the_others_are_deployed(drifted: Stage) -> None:
    drifted.build("3", "api_stg")
    drifted.broken = {}
    drifted.unrestored["admin_stg"] = "admin_stg: its migrations were edited."
    code, text = drifted.mo("deploy", "--yes")
    assert (code, "its migrations were edited" in text) == (1, True), text
    assert drifted.messages[-1].startswith("deploy api_stg")
