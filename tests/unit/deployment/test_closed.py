"""A site that a person has closed answers 503 as it is meant to: that takes nothing back, and no switch opens it."""

from __future__ import annotations

import json

import pytest

from operations.deployment import journal as journals
from tests.unit.deployment.stage import STACK, Stage, issues, stage

__all__ = ["stage"]
BOTH = ("api_stg", "admin_stg")


@pytest.fixture
def shut(stage: Stage) -> Stage:
    """A stack that was deployed twice; then a person has closed ``api_stg``, which answers 503 wherever it is asked."""
    for content in ("1", "2"):
        stage.build(content, *BOTH)
        assert stage.mo("deploy", "--yes")[0] == 0
    stage.facts = {"api_stg": {"maintenance": True}}
    stage.broken = {"api_stg": stage.live["api_stg"]}
    return stage


def _told(text: str) -> bool:
    return "· api_stg: closed by a person: not asked" in text.splitlines()


def test_a_closed_site_takes_no_deployment_of_others_back_and_is_told_of(shut: Stage) -> None:
    meant = {**shut.live, **shut.build("3", "admin_stg")}
    code, text = shut.mo("deploy", "--only", "admin_stg", "--yes")
    assert code == 0, text
    assert shut.live == meant
    assert _told(text)
    assert "1 of 1 services answer as they must, 1 closed by a person and not asked (api_stg)" in text
    assert "incident" not in issues(shut.root)
    report = json.loads(shut.mo("report", "--json")[1])
    assert report["succeeded"]
    assert "api_stg: closed by a person: not asked" in report["notes"]


def test_a_closed_site_does_not_hide_that_another_fails_and_the_way_back_does_not_ask_it_either(shut: Stage) -> None:
    before = shut.live
    shut.broken["admin_stg"] = shut.build("3", "admin_stg")["admin_stg"]
    code, text = shut.mo("deploy", "--only", "admin_stg", "--yes")
    assert (code, shut.live) == (1, before)
    assert "the smoke test of admin_stg failed: everything goes back" in text
    assert "NOT everything is back" not in text


@pytest.mark.parametrize("command", [("deploy", "--yes"), ("rollback", "--yes", "--reason", "the login is broken")])
def test_a_closed_site_that_is_to_be_switched_stops_everything_before_anything_changes(
    shut: Stage, command: tuple[str, ...]
) -> None:
    shut.build("3", *BOTH)
    state, asked = shut.state(), issues(shut.root)
    code, text = shut.mo(*command)
    assert code == 1
    assert "A person has closed api_stg" in text
    assert "bin/mo maintenance off api_stg" in text
    assert "nothing was changed" in text
    assert (shut.state(), issues(shut.root)) == (state, asked)
    assert journals.runs(shut.root, STACK)[0].state == "failed"
    assert shut.steps[-2:] == ["lock take", "lock release"]


def test_a_rollback_of_others_is_good_while_a_site_is_closed(shut: Stage) -> None:
    before = shut.live["api_stg"]
    code, text = shut.mo("rollback", "--only", "admin_stg", "--yes", "--reason", "the login is broken")
    assert code == 0, text
    assert _told(text)
    assert shut.live["api_stg"] == before


def test_what_a_resume_leaves_out_is_what_is_closed_now(shut: Stage) -> None:
    shut.build("3", "admin_stg")
    state = shut.state()
    assert shut.mo("deploy", "--only", "admin_stg", "--yes")[0] == 0
    newest = max(journals.folder_of(shut.root, STACK).glob("*.jsonl"))
    lines = [json.loads(line) for line in newest.read_text().splitlines()]
    count = next(number for number, line in enumerate(lines, 1) if (line["event"], line.get("phase")) == ("end", "up"))
    shut.save(state)
    assert shut.killed(count, "deploy", "--only", "admin_stg", "--yes")
    shut.facts, shut.broken = {}, {}
    code, text = shut.mo("deploy", "--resume")
    assert code == 0, text
    assert not _told(text)
    assert "2 of 2 services answer as they must" in text


@pytest.mark.parametrize("told", [{"interrupted": True}, {"opened_by": "switch"}])
def test_a_window_that_a_program_left_open_is_asked_and_switched(shut: Stage, told: dict[str, object]) -> None:
    shut.facts, shut.broken = {"api_stg": {"maintenance": True, **told}}, {}
    meant = shut.build("3", *BOTH)
    code, text = shut.mo("deploy", "--yes")
    assert (code, shut.live) == (0, meant), text
    assert not _told(text)
