"""A switch that its engine left behind, at work or cut, is brought to its end before anybody says that all is as it was."""

from __future__ import annotations

import json

import pytest

from catalog import reader
from components.facts import Facts, ServiceFacts
from operations import drifts
from operations.deployment import journal as journals
from tests.unit.deployment.stage import STACK, Stage, stage

__all__ = ["stage"]
CUT = {"interrupted": True}
LEFT_OPEN = {"maintenance": True, "opened_by": "switch"}
BY_A_PERSON = {"maintenance": True}


@pytest.fixture
def deployed(stage: Stage) -> Stage:
    """A stack that was deployed twice."""
    for content in ("1", "2"):
        stage.build(content, "api_stg", "admin_stg")
        assert stage.mo("deploy", "--yes")[0] == 0
    return stage


def _host(stage: Stage, **told: object) -> None:
    """The host is what the state says, but for what is told of ``api_stg``."""
    stage.facts = {"api_stg": told}


@pytest.mark.parametrize(
    ("told", "wanted"), [(CUT, True), (LEFT_OPEN, True), (CUT | BY_A_PERSON, True), (BY_A_PERSON, False), ({}, False)]
)
def test_a_cut_switch_is_a_drift_that_the_state_s_own_switch_ends_and_a_person_s_window_is_none(
    told: dict[str, object], wanted: bool
) -> None:
    services = {"votes": reader.read().services["votes"]}
    facts = Facts(services={"votes": ServiceFacts.model_validate({"live": "ra", **told})})
    found = drifts.of(services, {"votes": "ra"}, facts)
    assert [one.kind for one in found] == (["cut"] if wanted else [])
    assert drifts.astray(found, facts) == found
    assert drifts.elsewhere(found, facts) == []


def test_where_a_switch_was_cut_between_two_releases_the_state_s_own_is_asked_for() -> None:
    services = {"votes": reader.read().services["votes"]}
    for told, wanted in (({"interrupted": True}, 1), ({}, 0)):
        facts = Facts(services={"votes": ServiceFacts.model_validate(told)})
        found = drifts.of(services, {"votes": "ra"}, facts)
        assert len(drifts.astray(found, facts)) == wanted


@pytest.mark.parametrize("told", [CUT, LEFT_OPEN])
def test_a_rollback_ends_what_a_killed_engine_left_at_work_before_it_says_done(deployed: Stage, told: dict[str, object]) -> None:
    # The engine was killed while api_stg was switched: neither its state nor the host knows the release yet, and the switch works on.
    former = deployed.live
    deployed.build("3", "admin_stg")
    assert deployed.mo("deploy", "--yes")[0] == 0
    _host(deployed, **told)
    code, text = deployed.mo("rollback", "--yes", "--reason", "the engine was killed")
    assert code == 0, text
    assert deployed.switched == [f"api_stg {former['api_stg']}"]
    assert deployed.live == former


def test_a_rollback_that_cannot_end_it_does_not_say_done(deployed: Stage) -> None:
    deployed.build("3", "admin_stg")
    assert deployed.mo("deploy", "--yes")[0] == 0
    _host(deployed, **CUT)
    deployed.unrestored["api_stg"] = "api_stg: the restore of a snapshot was cut; restore it again."
    code, text = deployed.mo("rollback", "--yes", "--reason", "the engine was killed")
    assert code == 1
    assert "restore it again" in text


@pytest.mark.parametrize("told", [CUT, LEFT_OPEN])
def test_a_deploy_without_a_change_ends_what_was_cut_and_asks_every_service(deployed: Stage, told: dict[str, object]) -> None:
    _host(deployed, **told)
    runs = len(journals.runs(deployed.root, STACK))
    code, text = deployed.mo("deploy", "--plan")
    assert (code, "bin/mo deploy ends that" in " ".join(text.split())) == (0, True)
    assert deployed.mo("deploy", answer="n\n")[0] == 3
    assert deployed.switched == []
    code, text = deployed.mo("deploy", "--only", "api_stg", "--yes")
    assert code == 0, text
    assert "Nothing to change" not in text
    assert deployed.switched == [f"api_stg {deployed.live['api_stg']}"]
    last = journals.runs(deployed.root, STACK)[0]
    assert [outcome.name for outcome in last.outcomes if outcome.name in ("up", "smoke")] == ["up", "smoke"]
    assert len(journals.runs(deployed.root, STACK)) == runs + 2
    code, text = deployed.mo("deploy", "--yes")
    assert (code, "Nothing to change" in text) == (0, True)


def test_status_ends_with_1_where_a_cut_switch_waits_for_somebody(deployed: Stage) -> None:
    _host(deployed, **CUT)
    code, text = deployed.mo("status")
    assert (code, "was cut in the middle" in " ".join(text.split())) == (1, True)
    _host(deployed, **BY_A_PERSON)
    assert deployed.mo("status")[0] == 0


def test_a_deploy_without_a_change_leaves_others_and_a_person_s_window_alone(deployed: Stage) -> None:
    _host(deployed, **CUT)
    code, text = deployed.mo("deploy", "--only", "admin_stg", "--yes")
    assert (code, "Nothing to change" in text) == (0, True)
    _host(deployed, **BY_A_PERSON)
    code, text = deployed.mo("deploy", "--yes")
    assert (code, "Nothing to change" in text) == (0, True)
    assert deployed.switched == []


def test_a_deploy_whose_recovery_is_refused_ends_with_1_and_the_host_s_sentence(deployed: Stage) -> None:
    _host(deployed, **LEFT_OPEN)
    deployed.unrestored["api_stg"] = "api_stg: the restore of a snapshot was cut; restore it again."
    code, text = deployed.mo("deploy", "--yes")
    assert code == 1
    assert "restore it again" in text


ALONE = "the run of 2026-11-30T06:32:09Z ended by itself in its step probe (switch): nothing was heard from the client for 45 s"


def test_status_says_what_became_of_a_host_program_that_its_client_left_alone(deployed: Stage) -> None:
    _host(deployed, left_alone=f"{ALONE}\x1b[2J")
    code, text = deployed.mo("status")
    assert code == 0, text
    said = " ".join(text.split())
    assert f"api_stg: {ALONE} [2J; bin/mo logs api_stg shows what it did" in said
    rows = {row["service"]: row for row in json.loads(deployed.mo("status", "--json")[1])["services"]}
    assert (rows["api_stg"]["leftAlone"], rows["admin_stg"]["leftAlone"]) == (f"{ALONE} [2J", None)
    deployed.facts = {}
    assert "ended by itself" not in deployed.mo("status")[1]
