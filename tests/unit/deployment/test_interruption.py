"""A deployment that is killed at any line of its journal is seen, told truly, and goes on or goes back to a good end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from components.facts import Facts, RunFacts, ServiceFacts
from operations import mending
from operations.deployment import checks, engine_busy, host_journals, owner
from operations.deployment import journal as journals
from operations.deployment.journal import Journal
from operations.deployment.outcome import Outcome, Validation
from operations.drifts import Drift
from operations.engine import Busy
from operations.engine import Outcome as Ended
from tests.unit.deployment.stage import STACK, Stage, issues, stage

__all__ = ["stage"]
BOTH = ("api_stg", "admin_stg")
SKIPPED = ("deploy", "--yes")


def _lines(stage: Stage) -> list[tuple[str, str | None]]:
    """Event and phase of each line of the newest journal."""
    newest = max(journals.folder_of(stage.root, STACK).glob("*.jsonl"))
    return [(line["event"], line.get("phase")) for line in map(json.loads, newest.read_text().splitlines())]


@pytest.fixture
def whole(stage: Stage) -> list[tuple[str, str | None]]:
    """The lines of an undisturbed second deployment; the stack is back at the first one's end."""
    stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    state = stage.state()
    stage.build("2", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    lines = _lines(stage)
    stage.save(state)
    return lines


def test_the_journal_names_every_phase(whole: list[tuple[str, str | None]]) -> None:
    started = [phase for event, phase in whole if event == "start"]
    assert started == [
        *("window", "lock", "closed sites", "gates", "preview", "issue", "up", "smoke", "end-to-end"),
        *("status page", "report", "issue closed", "notify"),
    ]
    assert [phase for event, phase in whole if event == "end"] == started
    assert (whole[0], whole[-1]) == (("begin", None), ("done", None))


def test_what_a_deployment_leaves_out_stands_in_its_report_and_on_the_terminal(stage: Stage) -> None:
    stage.build("1", *BOTH)
    code, text = stage.mo(*SKIPPED)
    assert code == 0
    (report,) = (stage.root / "quality-reports").glob("deployment-*.md")
    for said in (
        "notify: n8n is not told of deployments",
        "todo: no item of the monorepo's TODO.md is ticked",
        "visual, lighthouse",
    ):
        assert said in report.read_text()
        assert said in " ".join(text.split())


@pytest.mark.slow
def test_killed_after_any_line_status_tells_the_truth_and_resume_ends_well(
    stage: Stage, whole: list[tuple[str, str | None]]
) -> None:
    former, meant = stage.live, stage.build("2", *BOTH)
    before = stage.state()
    ups = whole.index(("end", "up"))
    for count in range(1, len(whole)):
        stage.save(before)
        assert stage.killed(count, *SKIPPED), whole[count - 1]
        lines = _lines(stage)
        assert lines == whole[:count]
        changed = ("start", "up") in lines
        code, text = stage.mo("status", "--json")
        told = json.loads(text)["interrupted"]
        assert (code, told["state"], told["changed"]) == (1, "interrupted", changed), whole[count - 1]
        event, phase = lines[-1]
        assert told["phase"] == (phase if event == "start" else "lock" if event == "lock" else None)
        assert "interrupted" in stage.mo("history")[1]
        updates = len(stage.messages)
        code, text = stage.mo("deploy", "--resume", "--yes")
        assert code == 0, (whole[count - 1], text)
        assert stage.live == meant
        again = len(stage.messages) - updates
        assert again == (0 if count > ups else 1), "an update that had ended is not done again"
        assert json.loads(stage.mo("status", "--json")[1])["interrupted"] is None
        assert stage.mo("deploy", "--resume", "--yes")[0] == 1, "there is nothing left to go on with"
        report = json.loads(stage.mo("report", "--json")[1])
        assert report["succeeded"]
        assert "was interrupted" in report["resumed"]
    assert former != meant


def test_killed_after_any_change_a_rollback_ends_well(stage: Stage, whole: list[tuple[str, str | None]]) -> None:
    former, before = stage.live, stage.state()
    stage.build("2", *BOTH)
    for count in range(whole.index(("start", "up")) + 1, len(whole)):
        stage.save(before)
        assert stage.killed(count, *SKIPPED)
        code, text = stage.mo("rollback", "--yes", "--reason", "the laptop was closed")
        assert code == 0, text
        assert "Undoing the deployment" in text
        assert stage.live == former
        assert json.loads(stage.mo("status", "--json")[1])["interrupted"] is None


@pytest.mark.parametrize("way", ["resume", "rollback"])
def test_killed_after_any_change_another_machine_ends_it_well(stage: Stage, whole: list[tuple[str, str | None]], way: str) -> None:
    former, before = stage.live, stage.state()
    for count in range(whole.index(("start", "up")) + 2, len(whole)):
        stage.save(before)
        shutil.rmtree(stage.root / "host-journals", ignore_errors=True)
        meant = stage.build("2", *BOTH)
        assert stage.killed(count, *SKIPPED)
        stage.moved_to_another_machine()
        code, text = stage.mo("status")
        assert (code, "The deployment 2" in text, "was interrupted" in text) == (1, True, True), whole[count - 1]
        if way == "resume":
            code, text = stage.mo("deploy", "--resume")
            assert (code, stage.live) == (0, meant), text
        else:
            code, text = stage.mo("rollback", "--yes", "--reason", "the laptop was closed")
            assert (code, "Undoing the deployment" in text, stage.live) == (0, True, former), text
        assert json.loads(stage.mo("status", "--json")[1])["interrupted"] is None
        assert stage.mo("deploy", "--resume", "--yes")[0] == 1, "there is nothing left to go on with"


def test_a_run_under_way_on_another_machine_is_not_called_interrupted(
    stage: Stage, whole: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.build("2", *BOTH)
    assert stage.killed(whole.index(("end", "up")) + 2, *SKIPPED)
    (run,) = journals.runs(stage.root, STACK)[:1]
    stage.moved_to_another_machine()
    elsewhere = {**run.who.plain(), "machine": "another", "purpose": "deploy"}
    holder = {"id": run.lock, "owner": elsewhere, "held": 9, "quiet": 2, "ttl": 180, "state": "held"}
    stage.holder = holder
    code, text = stage.mo("status")
    assert (code, f"is running: {run.id}" in text, "interrupted" in text) == (0, True, False), text
    code, text = stage.mo("deploy", "--resume", "--yes")
    assert (code, "still runs; wait for it" in text) == (1, True), text
    stage.holder = {**holder, "state": "expired", "quiet": 200}
    assert "was interrupted" in stage.mo("status")[1]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null\n" * 9, '{"event":"begin"}\n', '{"event":"end","phase":1,"details":"x"}\n', "[" * 100_000, "\x00\x1b[2J"],
)
def test_a_journal_on_the_host_that_is_none_stops_nobody(stage: Stage, text: str) -> None:
    stage.build("1", *BOTH)
    folder = stage.root / "host-journals"
    folder.mkdir()
    for name in ("20991121T093000000Z-abcd", "no name", "../../x"):
        (folder / name.replace("/", "%")).write_text(text)
    code, said = stage.mo(*SKIPPED)
    assert code == 0, said
    assert "\x1b" not in stage.mo("status")[1]


def test_the_host_s_copy_of_a_run_that_ended_is_short_and_still_settles(stage: Stage) -> None:
    stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    (own,) = journals.runs(stage.root, STACK)
    (copy,) = host_journals.listed(host_journals.asker(stage.root, STACK))
    assert (copy.id, copy.ended, copy.settles, own.settles) == (own.id, own.ended, True, True)
    assert [o.name for o in copy.outcomes] == [o.name for o in own.outcomes]
    assert all(not o.details or o.details == {"kept": False} for o in copy.outcomes)


def test_a_host_that_takes_no_copy_stops_nobody(stage: Stage) -> None:
    stage.uncopied = True
    stage.build("1", *BOTH)
    code, text = stage.mo(*SKIPPED)
    assert (code, text.count("only this machine can go on with it")) == (0, 1)


def test_killed_before_its_engine_changed_anything_a_rollback_goes_no_further_back_than_that(
    stage: Stage, whole: list[tuple[str, str | None]]
) -> None:
    stage.build("2", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    former = stage.live
    stage.build("3", *BOTH)
    assert stage.killed(whole.index(("start", "up")) + 1, *SKIPPED)
    code, text = stage.mo("rollback", "--yes", "--reason", "the laptop was closed")
    assert code == 0, text
    assert stage.live == former
    assert stage.messages[-1] == "rollback to update 2: the laptop was closed"
    assert stage.mo("rollback", "--yes", "--reason", "the login is broken")[0] == 0
    assert stage.messages[-1] == "rollback to update 1: the login is broken"


@pytest.mark.parametrize("to", [(), ("--to", "1")], ids=["before", "named"])
def test_a_rollback_of_one_service_waits_until_an_interrupted_run_is_settled(
    stage: Stage, whole: list[tuple[str, str | None]], to: tuple[str, ...]
) -> None:
    first = stage.live
    second = stage.build("2", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.build("3", *BOTH)
    assert stage.killed(whole.index(("start", "up")) + 1, *SKIPPED)
    one = ("rollback", "--yes", "--only", "api_stg", *to, "--reason", "the laptop was closed")
    updates = len(stage.messages)
    code, text = stage.mo(*one)
    assert code == 1
    assert "go on with it (bin/mo deploy --resume) or roll back all of it (bin/mo rollback) first" in text
    assert (stage.live, len(stage.messages), stage.switched) == (second, updates, [])
    assert journals.runs(stage.root, STACK)[0].state == "failed"
    assert json.loads(stage.mo("status", "--json")[1])["interrupted"] is not None, "it is not settled by a refusal"
    assert stage.mo("rollback", "--yes", "--reason", "the laptop was closed")[0] == 0
    assert stage.live == second
    assert stage.mo(*one)[0] == 0
    assert stage.live == {**second, "api_stg": first["api_stg"]}


def test_a_rollback_of_one_service_goes_on_where_it_was_killed_itself(stage: Stage, whole: list[tuple[str, str | None]]) -> None:
    first, second = stage.live, stage.build("2", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    back = ("rollback", "--yes", "--only", "api_stg", "--reason", "the laptop was closed")
    state = stage.state()
    assert stage.mo(*back)[0] == 0
    cut = _lines(stage).index(("start", "rollback")) + 1
    stage.save(state)
    assert stage.killed(cut, *back)
    code, text = stage.mo("deploy", "--resume")
    assert code == 0, text
    assert stage.live == {**second, "api_stg": first["api_stg"]}


def test_a_rollback_waits_for_the_engine_of_the_run_that_it_undoes(
    stage: Stage, whole: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    former, meant = stage.live, stage.build("2", *BOTH)
    assert stage.killed(whole.index(("start", "up")) + 1, *SKIPPED)
    waits: list[float] = []

    def busy(config: Mapping[str, Any], message: str, on_event: Callable[[Mapping[str, Any]], None]) -> Ended:
        if len(waits) < 2:
            raise Busy("Another update is running.")
        return applied(config, message, on_event)

    def ends(seconds: float) -> None:
        waits.append(seconds)
        stage.save({**stage.state(), "live": meant})

    applied = stage.applied
    monkeypatch.setattr(stage, "applied", busy)
    monkeypatch.setattr(engine_busy.waited_for, "__kwdefaults__", {"sleep": ends})
    code, text = stage.mo("rollback", "--yes", "--reason", "the laptop was closed")
    assert (code, len(waits)) == (0, 2), text
    assert stage.live == former


def test_a_run_that_was_refused_settles_nothing(
    stage: Stage, whole: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.build("2", *BOTH)
    assert stage.killed(whole.index(("start", "up")) + 1, *SKIPPED)
    cut = json.loads(stage.mo("status", "--json")[1])["interrupted"]["run"]

    def busy(*_: object) -> Ended:
        raise Busy("Another update is running.")

    monkeypatch.setattr(stage, "applied", busy)
    assert stage.mo(*SKIPPED) == (1, ANY)
    assert json.loads(stage.mo("status", "--json")[1])["interrupted"]["run"] == cut


def test_what_a_killed_engine_switched_without_a_note_is_switched_back_too(
    stage: Stage, whole: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    former, meant = stage.live, stage.build("2", *BOTH)
    assert stage.killed(whole.index(("start", "up")) + 1, *SKIPPED)
    hosts = {**former, "api_stg": meant["api_stg"]}
    switched: list[str] = []

    def facts(_asked: RunFacts, _request: object) -> Facts:
        return Facts(services={key: ServiceFacts(live=release) for key, release in hosts.items()})

    def mended(
        _root: Path, _stack: str, _services: object, live: Mapping[str, str], drifts: Sequence[Drift], *_: object
    ) -> list[str]:
        switched.extend(drift.service for drift in drifts)
        hosts.update(live)
        return []

    monkeypatch.setattr(RunFacts, "__call__", facts)
    monkeypatch.setattr(mending, "mend", mended)
    code, text = stage.mo("rollback", "--yes", "--reason", "the laptop was closed")
    assert code == 0, text
    assert switched == ["api_stg"]
    assert stage.live == former


def test_a_rollback_that_was_killed_goes_on_where_it_was_going(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.build("2", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    back = ("rollback", "--yes", "--reason", "the login is broken")
    before = stage.state()
    assert stage.mo(*back)[0] == 0
    lines = _lines(stage)
    for count in range(lines.index(("start", "rollback")) + 1, len(lines)):
        stage.save(before)
        assert stage.killed(count, *back), lines[count - 1]
        code, text = stage.mo("deploy", "--resume")
        assert code == 0, text
        assert stage.live == first
        assert stage.messages[-1] == "rollback to update 1: the login is broken"
        assert json.loads(stage.mo("status", "--json")[1])["interrupted"] is None


def test_a_next_deployment_tells_of_the_interrupted_one(stage: Stage) -> None:
    stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.build("2", *BOTH)
    assert stage.killed(16, *SKIPPED)
    text = stage.mo("deploy", answer="n\n")[1]
    assert "was interrupted" in text
    assert "`bin/mo deploy --resume` goes on with it instead" in text
    told = json.loads(stage.mo("status", "--json")[1])["interrupted"]
    assert told is not None, "a no settles nothing"


def test_a_resume_does_not_take_back_what_another_has_deployed_meanwhile(stage: Stage, whole: list[tuple[str, str | None]]) -> None:
    stage.build("2", *BOTH)
    assert stage.killed(whole.index(("start", "up")) + 1, *SKIPPED)
    state = stage.state()
    state["live"]["admin_stg"] = "r" + "9" * 16
    stage.save(state)
    code, text = stage.mo("deploy", "--resume")
    assert code == 1
    assert "Another update has changed admin_stg" in text
    assert stage.live["admin_stg"] == "r" + "9" * 16


def test_a_failed_smoke_test_takes_its_service_back_and_leaves_the_others(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    second = stage.build("2", *BOTH)
    stage.broken = {"admin_stg": second["admin_stg"]}
    code, text = stage.mo(*SKIPPED)
    assert code == 1
    assert stage.live == {"api_stg": second["api_stg"], "admin_stg": first["admin_stg"]}
    assert "the smoke test of admin_stg failed: admin_stg goes back to the former release; the others stay" in text
    assert text.splitlines()[-1] == "✗ Live: api_stg. Rolled back: admin_stg (smoke test failed)."
    assert stage.messages[-1] == "automatic rollback of admin_stg: the smoke test of admin_stg failed"
    assert issues(stage.root)[-3:] == ["begin", "incident", "end"]
    report = json.loads(stage.mo("report", "--json")[1])
    assert (report["succeeded"], report["went_back"]) == (False, "the smoke test of admin_stg failed")
    assert "admin_stg went back to its former release because the smoke test of admin_stg failed." in stage.mo("report")[1]
    run = journals.runs(stage.root, STACK)[0]
    assert (run.state, run.outcomes[-1].name) == ("failed", "notify")
    assert "taken back, because the smoke test of admin_stg failed" in run.summary
    # A rollback now is of what is left of that deployment, and never forward to what was bad.
    assert stage.mo("rollback", "--yes", "--reason", "one step further")[0] == 0
    assert stage.live == first


def test_a_release_that_the_host_put_back_by_itself_takes_no_other_back(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    second = stage.build("2", *BOTH)
    stage.fails = {"admin_stg": "admin_stg: switching on web1: the smoke test failed: answers 500; ra stays live"}
    code, text = stage.mo(*SKIPPED)
    assert (code, stage.live) == (1, {"api_stg": second["api_stg"], "admin_stg": first["admin_stg"]})
    assert text.splitlines()[-1] == "✗ Live: api_stg. Not live: admin_stg (switch failed)."
    assert "goes back" not in text


def test_a_service_that_fails_otherwise_leaves_the_others_finished(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    second = stage.build("2", *BOTH)
    stage.fails = {"admin_stg": "admin_stg: no space on web1"}
    code, text = stage.mo(*SKIPPED)
    assert code == 1
    assert "✗ admin_stg: no space on web1" in text
    assert stage.live == {"api_stg": second["api_stg"], "admin_stg": first["admin_stg"]}


def test_too_many_failed_flows_take_everything_back(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.build("2", *BOTH)
    stage.flows = "2 of 7 end-to-end flows failed, more than 10 %"
    assert stage.mo(*SKIPPED)[0] == 1
    assert stage.live == first
    assert stage.messages[-1].startswith("automatic rollback to update 1: 2 of 7 end-to-end flows failed")


def test_killed_in_its_own_way_back_a_resume_finishes_that(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    before = stage.state()
    second = stage.build("2", *BOTH)
    stage.broken = {"admin_stg": second["admin_stg"]}
    assert stage.mo(*SKIPPED)[0] == 1
    lines = _lines(stage)
    for count in range(lines.index(("end", "smoke")) + 1, len(lines)):
        stage.save(before)
        assert stage.killed(count, *SKIPPED), lines[count - 1]
        code, text = stage.mo("deploy", "--resume")
        assert code == 1, text
        assert stage.live == {"api_stg": second["api_stg"], "admin_stg": first["admin_stg"]}, lines[count - 1]


def test_there_is_nothing_to_take_a_first_deployment_back_to(stage: Stage) -> None:
    made = stage.build("1", *BOTH)
    stage.broken = {"admin_stg": made["admin_stg"]}
    code, text = stage.mo(*SKIPPED)
    assert code == 1
    assert "the smoke test of admin_stg failed: admin_stg had no former release; it stays as it is" in text
    assert "goes back" not in text
    assert text.splitlines()[-1] == "✗ Live: api_stg. Live but failed: admin_stg (smoke test failed)."
    assert stage.live == made


def test_a_first_deployment_says_what_is_live_and_why_the_rest_is_not(stage: Stage) -> None:
    made = stage.build("1", *BOTH)
    stage.fails = {"admin_stg": "admin_stg: switching on web1: the smoke test failed: answers 500; nothing is live"}
    code, text = stage.mo(*SKIPPED)
    assert (code, stage.live) == (1, {"api_stg": made["api_stg"]})
    assert "back" not in text
    assert text.splitlines()[-1] == "✗ Live: api_stg. Not live: admin_stg (switch failed)."
    (up,) = (outcome for outcome in journals.runs(stage.root, STACK)[0].outcomes if outcome.name == "up")
    (failure,) = up.failures
    assert (failure.service, failure.because, failure.step, failure.live) == ("admin_stg", "failed", "switch", False)
    assert "the smoke test failed: answers 500" in failure.error


def test_a_part_that_is_left_out_is_in_the_report(stage: Stage) -> None:
    stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED, "--skip", "end-to-end")[0] == 0
    report = json.loads(stage.mo("report", "--json")[1])
    assert {"name": "end-to-end", "ok": True, "summary": "left out this once"}.items() <= next(
        p for p in report["phases"] if p["name"] == "end-to-end"
    ).items()
    assert stage.mo(*SKIPPED, "--skip", "smoke")[0] == 2


def test_a_deploy_without_a_change_asks_nothing_and_leaves_nothing(stage: Stage) -> None:
    stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    runs, updates = len(journals.runs(stage.root, STACK)), len(stage.messages)
    for arguments in (("deploy",), SKIPPED):
        code, text = stage.mo(*arguments)
        assert (code, text.splitlines()[-1].startswith("Nothing to change")) == (0, True)
    assert (len(journals.runs(stage.root, STACK)), len(stage.messages)) == (runs, updates)
    assert len(list((stage.root / "quality-reports").glob("*.md"))) == 1


def test_where_only_some_are_asked_about_nothing_is_said_of_others(stage: Stage) -> None:
    stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.build("2", "admin_stg")
    assert "Nothing to change: api_stg runs what dist/ holds." in stage.mo("deploy", "--plan", "--only", "api_stg")[1]
    assert "Nothing to change: api_stg runs what dist/ holds. `bin/mo status`" in stage.mo(*SKIPPED, "--only", "api_stg")[1]
    assert stage.mo(*SKIPPED)[0] == 0
    both = ("--only", "api_stg", "--only", "admin_stg")
    assert "Nothing to change: admin_stg, api_stg run what dist/ holds." in stage.mo("deploy", "--plan", *both)[1]
    assert f"Nothing to change: {STACK} runs what dist/ holds." in stage.mo("deploy", "--plan")[1]


def test_what_dist_lacks_and_what_is_of_an_earlier_build_is_named(stage: Stage) -> None:
    assert "dist/ holds no artefact to deploy" in stage.mo("deploy")[1]
    stage.build("1", "api_stg")
    failed = stage.root / "dist/.failed/api_stg"
    failed.parent.mkdir()
    failed.touch()
    text = stage.mo("deploy", "--plan")[1]
    assert "dist/ holds no artefact of admin_stg: left as it is, never deployed: admin_stg (bin/mo build admin_stg)." in text
    assert "The last build of api_stg failed: dist/ holds the artefact of an earlier one, which is not uploaded" in text
    told = json.loads(stage.mo("deploy", "--plan", "--json")[1])
    assert (len(told["notes"]), list(told["releases"]), told["nothing"]) == (2, ["api_stg"], False)


def test_a_rollback_to_a_build_finds_the_update_that_brought_it(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    (stage.root / "dist/manifest.json").write_text('{"build": "b20261121T090000-abcdef"}')
    assert stage.mo(*SKIPPED)[0] == 0
    stage.build("2", *BOTH)
    (stage.root / "dist/manifest.json").write_text('{"build": "b20261121T100000-abcdef"}')
    assert stage.mo(*SKIPPED)[0] == 0
    assert "(build b20261121T100000-abcdef; by " in stage.messages[-1]
    code, text = stage.mo("rollback", "--yes", "--to", "b20261121T090000-abcdef", "--reason", "the login is broken")
    assert code == 0, text
    assert stage.live == first
    assert (
        "No succeeded update is known to have deployed"
        in stage.mo("rollback", "--to", "b20200101T000000-abcdef", "--reason", "no such build")[1]
    )


def test_a_database_that_did_not_go_back_is_tried_again(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.build("2", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    name = "20261121T090100Z-r2"
    stage.snapshots = [{"name": name, "release": first["api_stg"], "at": "2026-11-21T09:01:00Z"}]
    stage.unrestorable = True
    back = ("rollback", "--yes", "--reason", "the data are wrong", "--restore-databases", "api_stg")
    assert stage.elsewhere(*back) == 1
    assert stage.live == first
    assert stage.elsewhere("deploy", "--resume", "--yes") == 1, "it is no success yet"
    stage.unrestorable = False
    # What the first try had kept before it began.
    stage.snapshots.append({"name": "99991231T000000Z-restore-r2", "release": first["api_stg"], "at": "9999-12-31T00:00:00Z"})
    code, text = stage.mo("deploy", "--resume", "--yes")
    assert code == 0, text
    assert f"✓ restore api_stg: database of {name}; what it was before is in 99991231T000000Z-restore-r2" in text
    asked = [f"{action} {name}" for action in ("verify", "pin", "restore", "restore", "restore", "unpin")]
    assert stage.asked_of_snapshots() == ["window None", *asked]
    assert stage.mo("status", "--json")[0] == 0


def test_a_snapshot_that_cannot_be_tested_stops_the_rollback_before_any_code(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    second = stage.build("2", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.snapshots = [{"name": "20261121T090100Z-r2", "release": first["api_stg"], "at": "2026-11-21T09:01:00Z"}]
    stage.untestable = "api_stg: make the database mo_api_stg_verify in the hoster's panel"
    code, text = stage.mo("rollback", "--yes", "--reason", "the data are wrong", "--restore-databases", "api_stg")
    assert (code, stage.live) == (1, second)
    assert "mo_api_stg_verify" in text


def test_a_snapshot_that_the_operator_had_pinned_stays_so(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.build("2", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    name = "20261121T090100Z-r2"
    stage.snapshots = [{"name": name, "release": first["api_stg"], "at": "2026-11-21T09:01:00Z", "pinned": True}]
    assert stage.mo("rollback", "--yes", "--reason", "the data are wrong", "--restore-databases", "api_stg")[0] == 0
    assert stage.asked_of_snapshots() == ["window None", f"verify {name}", f"restore {name}"]


def test_a_killed_engine_is_an_interruption_and_no_service_is_judged_by_it(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    assert stage.elsewhere(*SKIPPED) == 0
    second = stage.build("2", *BOTH)
    stage.killed_engine = True
    stage.broken = dict(first)  # what a question for the state's release would meet
    assert stage.elsewhere(*SKIPPED) == 1
    assert stage.live == first
    assert len(stage.messages) == 1, "nothing was taken back"
    assert json.loads(stage.mo("status", "--json")[1])["interrupted"]["phase"] == "up"
    assert [row["open"] for row in json.loads(stage.mo("history", "--json")[1]) if row["result"] == "interrupted"] == [True]
    stage.killed_engine, stage.broken = False, {}
    assert stage.elsewhere("deploy", "--resume", "--yes") == 0
    assert stage.live == second
    assert json.loads(stage.mo("status", "--json")[1])["interrupted"] is None
    assert "settled" in stage.mo("history")[1]


def test_the_report_tells_of_a_build_that_failed(stage: Stage) -> None:
    stage.build("1", *BOTH)
    (stage.root / "dist/.failed").mkdir()
    (stage.root / "dist/.failed/api_stg").touch()
    assert stage.mo(*SKIPPED)[0] == 0
    told = json.loads(stage.mo("report", "--json")[1])
    assert any(note.startswith("The last build of api_stg failed") for note in told["notes"])


def test_status_tells_of_an_update_that_was_cut_while_its_command_lived_on(stage: Stage) -> None:
    stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.cut = ("api_stg-switch",)
    text = stage.mo("status")[1]
    assert "At work on api_stg-switch: an update that runs now, or one whose engine was killed" in text
    assert json.loads(stage.mo("status", "--json")[1])["cut"] == ["api_stg-switch"]


def test_status_calls_no_run_interrupted_that_is_being_carried_out(stage: Stage, whole: list[tuple[str, str | None]]) -> None:
    stage.build("2", *BOTH)
    assert stage.killed(whole.index(("start", "up")) + 1, *SKIPPED)
    old = json.loads(stage.mo("status", "--json")[1])["interrupted"]["run"]
    resuming = Journal(journals.folder_of(stage.root, STACK))
    resuming.begin("deployment", "", owner.here(), {}, old)
    code, text = stage.mo("status")
    assert (code, "was interrupted" in text, f"is running: {resuming.id}" in text) == (0, False, True)
    assert json.loads(stage.mo("status", "--json")[1])["interrupted"] is None
    resuming.done(False, "refused")
    assert json.loads(stage.mo("status", "--json")[1])["interrupted"]["run"] == old


def test_a_plan_and_a_deploy_without_a_change_tell_of_the_interrupted_run(
    stage: Stage, whole: list[tuple[str, str | None]]
) -> None:
    stage.build("2", *BOTH)
    assert stage.killed(whole.index(("end", "up")) + 1, *SKIPPED)
    code, text = stage.mo("deploy", "--plan")
    assert code == 0
    assert "was interrupted after the phase up. `bin/mo deploy --resume` goes on with it instead." in text
    code, text = stage.mo(*SKIPPED)
    assert code == 1, "nobody has asked the services yet"
    assert "has asked no service yet: `bin/mo deploy --resume`" in text
    assert stage.mo("deploy", "--resume", "--yes")[0] == 0


def test_a_run_whose_lock_was_taken_away_tells_no_success_and_closes_no_issue(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.build("1", *BOTH)

    def unlocks(_what: Validation) -> Outcome:
        stage.unlocked = True
        return Outcome("end-to-end", True, "7 of 7 flows passed")

    monkeypatch.setitem(checks.PARTS, "end-to-end", unlocks)
    assert stage.elsewhere(*SKIPPED) == 1
    assert issues(stage.root) == ["begin"]
    assert not list((stage.root / "quality-reports").glob("deployment-*"))
    run = journals.runs(stage.root, STACK)[0]
    assert (run.state, run.where) == ("interrupted", "after the phase end-to-end")


def test_a_run_whose_lock_was_taken_away_changes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.build("1", *BOTH)

    def unlocks(_here: object, _releases: object) -> Outcome:
        stage.unlocked = True
        return Outcome("gates", True, "none required")

    monkeypatch.setattr(checks, "gates", unlocks)
    code, text = stage.mo(*SKIPPED)
    assert (code, stage.live) == (1, {})
    assert "somebody has taken it away (bin/mo unlock). This run stops here" in text
    assert journals.runs(stage.root, STACK)[0].summary.startswith("nothing was changed")


def _cut_after(stage: Stage, phase: str, *arguments: str) -> None:
    """Kills the command as soon as the journal tells the end of ``phase``; the stack was before it what it is now."""
    before = stage.state()
    stage.mo(*arguments)
    lines = _lines(stage)
    stage.save(before)
    assert stage.killed(lines.index(("end", phase)) + 1, *arguments)


def _another_deploys(stage: Stage, *services: str) -> dict[str, str]:
    """What is live once another operator, whose journals are on another machine, has deployed."""
    state = stage.state()
    state["live"] |= dict.fromkeys(services, "r" + "9" * 16)
    stage.save(state)
    return stage.live


def _refused(stage: Stage, live: dict[str, str]) -> None:
    """``--resume`` is refused, changes nothing, asks nothing of databases, and leaves neither lock nor journal open."""
    stage.steps.clear()
    updates, databases = len(stage.messages), stage.asked_of_snapshots()
    for _ in range(2):
        code, text = stage.mo("deploy", "--resume", "--yes")
        assert code == 1
        assert "Another update has changed admin_stg since the" in text
    assert (stage.live, len(stage.messages), stage.asked_of_snapshots()) == (live, updates, databases)
    assert [step for step in stage.steps if step != "lock show"] == ["lock take", "lock release"] * 2
    refused = journals.runs(stage.root, STACK)[0]
    assert (refused.state, refused.changed, refused.settles) == ("failed", False, False)
    assert refused.summary.startswith("nothing was changed: Another update")


@pytest.mark.parametrize("phase", ["up", "smoke", "rollback"])
def test_a_resume_with_a_failed_smoke_test_takes_no_later_deployment_back(stage: Stage, phase: str) -> None:
    stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.broken = {"admin_stg": stage.build("2", *BOTH)["admin_stg"]}
    _cut_after(stage, phase, *SKIPPED)
    _refused(stage, _another_deploys(stage, "admin_stg"))


def test_a_resume_with_a_passed_smoke_test_does_not_speak_for_a_later_deployment(
    stage: Stage, whole: list[tuple[str, str | None]]
) -> None:
    stage.build("2", *BOTH)
    assert stage.killed(whole.index(("end", "smoke")) + 1, *SKIPPED)
    live = _another_deploys(stage, "admin_stg")
    stage.broken = {"admin_stg": live["admin_stg"]}
    _refused(stage, live)


def test_a_resumed_rollback_restores_no_database_under_a_later_deployment(stage: Stage) -> None:
    first = stage.build("1", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.build("2", *BOTH)
    assert stage.mo(*SKIPPED)[0] == 0
    stage.snapshots = [{"name": "20261121T090100Z-r2", "release": first["api_stg"], "at": "2026-11-21T09:01:00Z"}]
    _cut_after(stage, "rollback", "rollback", "--yes", "--reason", "the data are wrong", "--restore-databases", "api_stg")
    _refused(stage, _another_deploys(stage, "admin_stg"))


def test_a_run_is_overtaken_by_what_it_neither_found_nor_meant_and_by_no_step_of_its_own() -> None:
    run = journals.Run("r", before={"api": "r1", "main": "r1", "old": "r1"}, releases={"api": "r2", "main": "r1", "new": "r2"})
    own = {"api": "r2", "main": "r1", "new": "r2"}
    for live in (own, run.before, {**run.before, "new": "r2"}, {**own, "api": "r1"}):
        assert run.overtaken(live) == []
    assert run.overtaken({**own, "api": "r3", "forum": "r1"}) == ["api", "forum"]
    assert run.overtaken({"api": "r2", "new": "r2"}) == ["main"], "somebody has removed it"
    assert journals.Run("r").overtaken(own) == [], "it was cut before its plan"


def test_where_an_interrupted_run_was_overtaken_a_deploy_without_a_change_is_at_its_end(
    stage: Stage, whole: list[tuple[str, str | None]]
) -> None:
    stage.build("2", *BOTH)
    assert stage.killed(whole.index(("end", "up")) + 1, *SKIPPED)
    third, state = stage.build("3", *BOTH), stage.state()
    stage.save({**state, "live": third})
    told = stage.mo("status")[1]
    assert ("another update came since" in told, "--resume" in told) == (True, False)
    code, text = stage.mo(*SKIPPED)
    assert (code, "Nothing to change" in text) == (0, True)
    assert "Another update came since, so nothing goes on with it." in text
    assert "--resume" not in text
