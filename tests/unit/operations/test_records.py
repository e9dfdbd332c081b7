"""Which update a rollback goes to, and which releases an update is to deploy."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from operations import project, records, release_set
from operations.deployment.restoring import left
from operations.deployment.standing import authors
from operations.problem import Problem
from operations.records import Record
from operations.snapshots import Snapshot
from tests.unit.components.program import artefact, put


def summary_of(
    minute: int,
    releases: dict[str, str] | None,
    result: str = "succeeded",
    back: int | None = None,
    kind: str = "update",
    message: str = "m",
) -> Any:
    config = {"mo:domain": SimpleNamespace(value="example.org")}
    if releases is not None:
        config["mo:releases"] = SimpleNamespace(value=json.dumps(releases))
    if back is not None:
        config["mo:rollback"] = SimpleNamespace(value=json.dumps({"update": back}))
    when = datetime(2026, 11, 21, 9, minute)  # as the Automation API gives it: UTC, and without a zone
    return SimpleNamespace(
        kind=kind,
        result=result,
        start_time=when,
        end_time=when,
        message=message,
        environment={"git.author": "anna"},
        config=config,
        resource_changes={"update": 2},
    )


def _history(*oldest_first: Any) -> list[Record]:
    return records.read(list(reversed(oldest_first)))


A, B, C = {"votes": "ra"}, {"votes": "rb"}, {"votes": "rc"}


def test_an_object_in_the_form_of_former_histories_is_read() -> None:
    former = SimpleNamespace(value=json.dumps({"object": json.dumps(A)}))
    old, new = summary_of(1, A), summary_of(2, B)
    old.config["mo:releases"] = former
    assert records.to_go_back_to(_history(old, new), B, None).releases == A
    own = summary_of(1, {"object": "not one"})
    assert _history(own)[0].releases == {"object": "not one"}


def test_updates_are_numbered_from_the_oldest() -> None:
    found = _history(summary_of(1, A), summary_of(2, None), summary_of(3, B, "failed"))
    assert [(r.number, r.deployed, r.releases) for r in found] == [(3, False, B), (2, False, None), (1, True, A)]
    assert (found[0].author, found[0].started, found[0].changes) == ("anna", "2026-11-21T09:03:00Z", {"update": 2})


def test_a_rollback_goes_back_once_twice_and_forward_again() -> None:
    history = [summary_of(1, A), summary_of(2, B), summary_of(3, C)]
    assert records.to_go_back_to(_history(*history), C, None).number == 2
    history.append(summary_of(4, B, back=2))
    assert records.to_go_back_to(_history(*history), B, None).number == 1
    history.append(summary_of(5, A, back=1))
    with pytest.raises(Problem, match="no earlier update with other releases"):
        records.to_go_back_to(_history(*history), A, None)
    assert records.to_go_back_to(_history(*history), A, "3").number == 3


@pytest.mark.parametrize(
    "words", ["rotate votes", "rotate JWT_SECRET (by carl@here)", "revoke the former password of votes (by carl@here)"]
)
def test_a_rotation_brings_no_release(words: str) -> None:
    first, failed = summary_of(1, A, message="deploy (by anna@here)"), summary_of(2, B, "failed", message="deploy (by bert@here)")
    turned = summary_of(3, A, message=words)
    assert authors(_history(first, failed, turned)) == {("votes", "ra"): "anna@here", ("votes", "rb"): "bert@here"}
    again = summary_of(4, B, message="rotate the passwords (build b1; by dora@here)")
    assert authors(_history(first, failed, turned, again))["votes", "rb"] == "dora@here"


def test_an_update_without_a_new_release_is_passed_over() -> None:
    assert records.to_go_back_to(_history(summary_of(1, A), summary_of(2, B), summary_of(3, B)), B, None).number == 1


def test_one_service_goes_back_over_updates_of_others() -> None:
    first = {"votes": "ra", "forum": "fa"}
    history = [summary_of(1, first), summary_of(2, {**first, "votes": "rb"}), summary_of(3, {"votes": "rb", "forum": "fb"})]
    live = {"votes": "rb", "forum": "fb"}
    assert records.to_go_back_to(_history(*history), live, None, only=["votes"]).number == 1
    assert records.to_go_back_to(_history(*history), live, None, only=["forum"]).number == 2
    history.append(summary_of(4, live := {"votes": "ra", "forum": "fb"}, back=1))
    assert records.to_go_back_to(_history(*history), live, None, only=["forum"]).number == 2
    with pytest.raises(Problem, match="no earlier update with other releases of votes;"):
        records.to_go_back_to(_history(*history), live, None, only=["votes"])


def test_a_service_that_is_new_has_nothing_to_go_back_to() -> None:
    history = _history(summary_of(1, A), summary_of(2, live := {**A, "petition": "pa"}))
    with pytest.raises(Problem, match="no earlier update with other releases of petition;"):
        records.to_go_back_to(history, live, None, only=["petition"])


def test_after_a_half_failed_update_the_last_good_one_is_the_way_back() -> None:
    assert records.to_go_back_to(_history(summary_of(1, A), summary_of(2, B), summary_of(3, C, "failed")), C, None).number == 2


def test_a_time_means_the_last_update_that_had_ended_by_then() -> None:
    history = _history(summary_of(1, A), summary_of(5, B), summary_of(9, C))
    assert records.to_go_back_to(history, C, "2026-11-21T09:07").number == 2
    assert records.to_go_back_to(history, C, "2026-11-21T10:05+01:00").number == 2


@pytest.mark.usefixtures("vienna")
def test_the_histories_times_are_utc_wherever_the_operator_is() -> None:
    summary = summary_of(30, A)
    # What the Automation API makes of the history's own text.
    summary.start_time = summary.end_time = datetime.strptime("2026-07-18T09:30:00.000Z", "%Y-%m-%dT%H:%M:%S.%fZ")
    (record,) = _history(summary)
    assert (record.started, record.ended) == ("2026-07-18T09:30:00Z", "2026-07-18T09:30:00Z")
    summary.start_time = datetime(2026, 7, 18, 9, 30, tzinfo=UTC)
    assert _history(summary)[0].started == "2026-07-18T09:30:00Z"


@pytest.mark.usefixtures("vienna")
def test_a_time_and_its_snapshot_are_found_in_another_zone_than_utc() -> None:
    deployed = [summary_of(0, A), summary_of(10, B), summary_of(20, C)]
    found = records.to_go_back_to(_history(*deployed), C, "2026-11-21T09:05")
    assert found.releases == A
    made = [
        Snapshot(name=at, before=None, pinned=False, bytes=1, schema=None, release=release, at=f"2026-11-21T{at}Z")
        for at, release in (("08:05:00", "ra"), ("08:30:00", "r0"), ("09:10:00", "ra"))
    ]
    snapshot = left("ra", found.started, made)
    assert snapshot is not None
    assert snapshot.at == "2026-11-21T09:10:00Z"


def test_a_day_means_its_end() -> None:
    history = _history(summary_of(1, A), summary_of(5, B), summary_of(9, C))
    assert records.to_go_back_to(history, C, "2026-11-21").number == 3
    with pytest.raises(Problem, match="No update had succeeded by 2026-11-20T23:59:59Z"):
        records.to_go_back_to(history, C, "2026-11-20")


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("7", "There is no update 7"),
        ("2", r"Update 2 \(update\) failed"),
        ("3", r"Update 3 \(refresh\) succeeded"),
        ("yesterday", "neither the number of an update, nor a build"),
        ("2026-11-21T08:00", "No update had succeeded by 2026-11-21T08:00:00Z"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_sentence(wish: str, said: str) -> None:
    history = _history(summary_of(1, A), summary_of(2, B, "failed"), summary_of(3, A, kind="refresh"))
    with pytest.raises(Problem, match=said):
        records.to_go_back_to(history, A, wish)


def test_with_no_good_update_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(Problem, match="nothing to go back to"):
        records.to_go_back_to(_history(summary_of(1, A, "failed")), {}, None)


def test_a_damaged_set_in_the_history_is_no_set() -> None:
    summary = summary_of(1, A)
    summary.config["mo:releases"] = SimpleNamespace(value="{")
    assert records.read([summary])[0].deployed is False


def test_live_is_what_the_last_good_switch_left() -> None:
    switch = {
        "type": "command:local:Command",
        "urn": "a::b::c::api_stg-switch",
        "outputs": {"stdout": '{"live": "r1", "at": "2026"}'},
    }
    broken = {"type": "command:local:Command", "urn": "a::b::c::docs-switch", "outputs": {"stdout": "not JSON"}}
    stack = {"type": "pulumi:pulumi:Stack", "urn": "a", "outputs": {"monitoring": {"version": 1}}}
    found = release_set.live([stack, switch, broken, {"type": "t", "urn": "x-switch"}])
    assert (found.releases, found.since, found.export) == ({"api_stg": "r1"}, {"api_stg": "2026"}, {"version": 1})
    assert release_set.live([]) == release_set.Live({}, {}, None)


def test_a_set_names_what_is_built_for_the_chosen_and_what_is_live_for_the_rest(tmp_path: Path) -> None:
    votes = put(tmp_path, artefact("votes"))
    put(tmp_path, artefact("docs"))
    live = {"docs": "r" + "1" * 16, "main": "r" + "2" * 16}
    found = release_set.of_artefacts(tmp_path, ["votes", "docs", "main", "forum"], ["votes"], live)
    assert found == {"votes": votes.release, **live}
    with pytest.raises(Problem, match="no artefact of forum in dist/: build it first: bin/mo build forum"):
        release_set.of_artefacts(tmp_path, ["votes", "forum"], ["forum"], {})
    with pytest.raises(Problem, match="no artefact of main in dist/"):
        release_set.of_artefacts(tmp_path, ["votes", "main"], ["main"], live)  # named, so not left as it is without a word


def test_the_update_gets_a_copy_of_the_stacks_file_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.test.yaml"
    text = "encryptionsalt: v1:x\nconfig:\n  mo:domain: example.org\n  mo:githubToken:\n    secure: v1:abc\n"
    path.write_text(text)
    file = project.stack_file("test", tmp_path)
    copy = project.temporary_config(file, {"releases": A}, tmp_path / ".mo")
    assert path.read_text() == text
    assert copy.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load(copy.read_text()) == {
        "encryptionsalt": "v1:x",
        "config": {"mo:domain": "example.org", "mo:githubToken": {"secure": "v1:abc"}, "mo:releases": A},
    }


@pytest.mark.parametrize(
    ("text", "said"), [("", "is empty"), ("a: 1", "has no config"), ("[1]", "has no config"), ("a: *b", "aliases")]
)
def test_a_stack_file_that_cannot_be_used_is_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.test.yaml").write_text(text)
    with pytest.raises(Problem, match=said):
        project.stack_file("test", tmp_path)
    with pytest.raises(Problem, match=r"There is no stack prod: Pulumi\.prod\.yaml does not exist\. Known: test\."):
        project.stack_file("prod", tmp_path)


def test_an_unknown_service_is_named_with_those_there_are() -> None:
    services = project.services_of("staging", project.stack_file("staging"))
    with pytest.raises(Problem, match=r"No service of this stack: shop\. There are: api_stg, admin_stg"):
        project.chosen(services, ["shop"])
