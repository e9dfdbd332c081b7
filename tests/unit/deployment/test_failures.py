"""One service's failure is its own: who is left without a new release says why, and only what has to do with it goes back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog import reader
from catalog.models import Service
from operations.deployment import failures
from operations.deployment import journal as journals
from operations.deployment.outcome import Failure
from operations.progress import Progress
from tests.unit.deployment.stage import STACK, Stage, stage

__all__ = ["stage"]
BOTH = ("api_stg", "admin_stg")
A, B = "r" + "a" * 16, "r" + "b" * 16


def _services(**after: tuple[str, ...]) -> dict[str, Service]:
    """Services that are declared ``after`` others."""
    one = reader.read().services["docs"]
    return {key: one.model_copy(update={"after": others}) for key, others in after.items()}


CHAIN = _services(idp=(), api=("idp",), frontend=("api",), docs=())


def _progress(*failed: str, shared: str | None = None) -> Progress:
    """Steps by ``<service>-<what>`` that failed, each with an error of its own."""
    progress = Progress.of(CHAIN)
    for name in failed:
        urn = f"urn:pulumi:s::p::t::{name}"
        progress({"failed": {"urn": urn, "type": "command:local:Command", "op": "create", "outputs": {}}})
        service = name.partition("-")[0]
        progress(
            {"diagnostic": {"urn": urn, "severity": "error", "message": f"{service}: {name} broke\nat line 1", "ephemeral": False}}
        )
    if shared:
        progress.others[shared] = "failed"
        progress.errors.append(f"{shared} broke")
    return progress


def _found(progress: Progress, *live: str) -> dict[str, Failure]:
    moves = {key: (A, B) for key in CHAIN}
    told = failures.of_update(CHAIN, progress, moves, {key: B if key in live else A for key in CHAIN})
    return {failure.service: failure for failure in told}


@pytest.mark.parametrize("what", ["stage", "env", "account", "switch"])
def test_what_waits_for_a_failed_service_says_for_which_and_why_it_failed(what: str) -> None:
    found = _found(_progress(f"idp-{what}"), "docs")
    step = {"env": "secrets", "account": "database"}.get(what, what)
    assert found["idp"] == Failure("idp", "failed", False, step, None, f"idp-{what} broke")
    for key in ("api", "frontend"):
        assert found[key].sentence == f"waits for idp, which failed: idp-{what} broke"
    assert "docs" not in found


def test_a_failed_health_check_stops_nobody() -> None:
    found = _found(_progress("idp-health"), *CHAIN)
    assert [(key, one.live, one.step) for key, one in found.items()] == [("idp", True, "health")]


def test_what_waits_for_something_of_all_services_names_that() -> None:
    found = _found(_progress(shared="found-secrets"))
    assert {one.sentence for one in found.values()} == {"waits for found-secrets, which failed: found-secrets broke"}


def test_what_no_failure_explains_was_not_reached() -> None:
    progress = Progress.of(CHAIN)
    progress.errors.append("the program ended\nlong trace")
    found = _found(progress, "idp", "api", "frontend")
    assert found["docs"] == Failure("docs", "unreached", False, None, None, "the program ended")


@pytest.mark.parametrize(
    ("bad", "changed", "back"),
    [
        (["api"], ["idp", "api", "frontend", "docs"], ["api", "frontend"]),
        (["docs"], ["idp", "docs"], ["docs"]),
        (["frontend"], ["idp", "docs"], ["idp"]),
        (["docs"], ["idp", "api"], ["idp", "api"]),
        (["frontend", "docs"], ["frontend", "docs", "idp"], ["frontend", "docs"]),
    ],
    ids=["and what is after it", "itself alone", "what a bad unchanged one is after", "unrelated: all", "two"],
)
def test_what_has_to_do_with_a_bad_service_goes_back(bad: list[str], changed: list[str], back: list[str]) -> None:
    assert list(failures.to_revert(CHAIN, bad, changed)) == back


def test_many_services_are_counted() -> None:
    moves: dict[str, tuple[str | None, str]] = {f"s{n}": (None, A) for n in range(20)}
    assert failures.verdict(moves, (), (), ()) == "✓ Live: 20 services."
    one = Failure("s1", "waits", root="s0")
    assert failures.verdict(moves, [one], (), ()) == "✗ Live: 19 services. Not live: s1 (waits for s0)."


def test_a_failure_is_read_from_the_journal_as_it_was_written(stage: Stage) -> None:
    stage.build("1", *BOTH)
    stage.fails = {"admin_stg": "admin_stg: no space on web1"}
    assert stage.mo("deploy", "--yes")[0] == 1
    run = journals.runs(stage.root, STACK)[0]
    (up,) = (outcome for outcome in run.outcomes if outcome.name == "up")
    assert up.failures == (Failure("admin_stg", "failed", False, "switch", None, "no space on web1"),)
    report = json.loads(stage.mo("report", "--json")[1])
    assert next(phase["failures"] for phase in report["phases"] if phase["name"] == "up")[0]["service"] == "admin_stg"


@pytest.mark.parametrize(
    "damage",
    [{"because": "bad luck"}, {"service": 7}, {"step": ["x"]}, {}, {"error": None}],
    ids=["no reason", "a number", "a list", "empty", "no text"],
)
def test_a_damaged_failure_in_a_journal_is_passed_over(stage: Stage, damage: dict[str, Any]) -> None:
    stage.build("1", *BOTH)
    stage.fails = {"admin_stg": "admin_stg: no space on web1"}
    assert stage.mo("deploy", "--yes")[0] == 1
    (path,) = (stage.root / ".mo" / STACK / "runs").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line.get("failures"):
            line["failures"] = [{**line["failures"][0], **damage} if damage else {}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = journals.read(path)
    assert run.damaged == 1
    assert "up" not in [outcome.name for outcome in run.outcomes]


def test_status_ends_with_one_while_a_release_of_the_last_update_is_not_live(stage: Stage) -> None:
    made = stage.build("1", *BOTH)
    stage.fails = {"admin_stg": "admin_stg: no space on web1"}
    assert stage.mo("deploy", "--yes")[0] == 1
    code, text = stage.mo("status")
    assert code == 1
    assert f"✗ admin_stg: its release {made['admin_stg']} is not live: update 1 of " in text
    stage.fails = {}
    assert stage.mo("deploy", "--yes")[0] == 0
    assert stage.mo("status")[0] == 0
