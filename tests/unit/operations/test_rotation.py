"""What can be rotated, and how far the state says that a rotation came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog import reader
from operations import display, rotation
from operations.commands import rotate
from operations.problem import Problem

SERVICES = reader.read().services
URN = "urn:pulumi:sandbox::mo-deploy::type::"


def state(keeper: str | None, revoked: dict[str, Any] | None, service: str = "votes") -> list[dict[str, Any]]:
    """The resources that a rotation looks at; a replaced password still waits for its deletion."""
    password = f"{URN}{service}-db-password"
    found: list[dict[str, Any]] = [
        {"urn": password, "delete": True, "outputs": {"keepers": {"rotation": "gone"}}},
        {"urn": password, "outputs": {"keepers": {"rotation": keeper} if keeper else None}},
        {"urn": f"{URN}{service}-env", "outputs": {"stdout": json.dumps({"changed": True, "checked": True, "notes": ["a note"]})}},
    ]
    if revoked is not None:
        found.append({"urn": f"{URN}{service}-revoke", "outputs": {"stdout": json.dumps(revoked)}})
    return found


@pytest.mark.parametrize(
    ("keeper", "revoked", "finished"),
    [
        (None, {"rotation": None, "held": False}, True),
        ("0", {"rotation": None, "held": False}, True),
        ("r1", {"rotation": "r1", "revoked": ["svc_votes"]}, True),
        ("r2", {"rotation": "r1", "revoked": ["svc_votes"]}, False),
        ("r1", {"rotation": None}, False),
        ("r1", None, False),
    ],
    ids=[
        "never rotated, an older state",
        "never rotated",
        "done",
        "a second one was cut",
        "the first one was cut",
        "an older state",
    ],
)
def test_the_state_tells_whether_a_rotation_was_cut(keeper: str | None, revoked: dict[str, Any] | None, finished: bool) -> None:
    wanted = rotation.subject("votes", SERVICES, "sandbox")
    found = rotation.status(state(keeper, revoked), wanted)
    assert (found.rotation, found.finished) == (None if keeper == "0" else keeper, finished)


def test_a_daemon_that_is_somebody_else_s_keeps_its_former_password_until_its_owner_says_so() -> None:
    wanted = rotation.subject("n8n", SERVICES, "sandbox")
    assert wanted.held
    waiting = rotation.done(state("r1", {"rotation": None, "held": True}, "n8n"), wanted)
    assert (waiting.finished, waiting.held) == (False, True)
    over = rotation.done(state("r1", {"rotation": "r1", "held": False, "refused": True, "revoked": ["svc_n8n"]}, "n8n"), wanted)
    assert (over.finished, over.held, over.refused) == (True, False, True)


def test_an_application_secret_names_the_services_that_read_it() -> None:
    wanted = rotation.subject("JWT_SECRET", SERVICES, "sandbox")
    assert (wanted.resource, set(wanted.users)) == ("secret-jwt-secret", {"hooks", "api", "api_stg"})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("docs", "docs has no database."),
        ("SMTP_PASS", "bin/pulumi config set --stack production --secret mo:smtpPassword"),
        ("nothing", "There are: votes, support"),
        ("", "Nothing to rotate is named"),
        ("../votes", "Nothing to rotate is named"),
    ],
)
def test_what_cannot_be_rotated_is_refused_with_the_way_that_there_is(name: str, said: str) -> None:
    with pytest.raises(Problem, match=r".") as refused:
        rotation.subject(name, SERVICES, "production")
    assert said in str(refused.value)
    assert refused.value.code == 2


def test_a_password_that_only_the_panel_changes_is_refused_with_the_way_to_take_it_over() -> None:
    with pytest.raises(Problem, match=r"change it there, then bin/pulumi config set --stack production --secret --path") as refused:
        rotation.subject("votes", SERVICES, "production", ["plesk"])
    assert "'mo:existing.MO_VOTES_DB_PASS', then bin/mo deploy --stack production" in str(refused.value)
    assert rotation.subject("n8n", SERVICES, "production", ["plesk"]).kind == "database"


def test_nothing_that_was_never_deployed_is_rotated() -> None:
    with pytest.raises(Problem, match="never deployed"):
        rotation.status([], rotation.subject("votes", SERVICES, "sandbox"))


@pytest.mark.parametrize("stdout", [None, "", "{", "[]", "7", '"x"'])
def test_a_damaged_answer_counts_as_none(stdout: str | None) -> None:
    resources = [*state("r1", None), {"urn": f"{URN}votes-revoke", "outputs": {"stdout": stdout}}]
    assert rotation.status(resources, rotation.subject("votes", SERVICES, "sandbox")).finished is False


def test_what_the_rotation_before_revoked_is_not_told_of_one_that_was_cut() -> None:
    wanted = rotation.subject("votes", SERVICES, "sandbox")
    cut = rotation.done(state("r2", {"rotation": "r1", "refused": True, "revoked": ["svc_votes"]}), wanted)
    assert (cut.finished, cut.revoked, cut.refused) == (False, (), False)


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        (["the daemon was not restarted: the host has no program docker"], "n8n: has the new password (checked)"),
        ([], "n8n: has the new password (restarted, checked)"),
    ],
    ids=["not restarted", "restarted"],
)
def test_a_daemon_that_was_not_restarted_is_not_called_so(notes: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = rotation.subject("n8n", SERVICES, "sandbox")
    answer = {"changed": True, "restarted": True, "checked": True, "notes": notes}
    env = {"urn": f"{URN}n8n-env", "outputs": {"stdout": json.dumps(answer)}}
    done = rotation.done([*state("r1", {"rotation": None, "held": True}, "n8n")[:2], env], wanted)
    rotate._show(display.console(), wanted, done, [])
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[1 : 1 + len(notes)]) == (told, notes)
