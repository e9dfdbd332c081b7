"""What the operator sees of an update: from the engine's events, by service and step."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi.automation import events
from rich.console import Console

from catalog import reader
from operations import display
from operations.engine import plain_event
from operations.progress import Progress, cleaned
from operations.validation.smoke import Answer

URN = "urn:pulumi:sandbox::mo-deploy::mo:deploy:Platform$command:local:Command::"


def _event(kind: str, name: str, op: str = "update", **outputs: Any) -> dict[str, Any]:
    return {kind: {"urn": URN + name, "type": "command:local:Command", "op": op, "outputs": outputs}}


def _said(name: str, text: str, severity: str = "error", **more: Any) -> dict[str, Any]:
    return {"diagnostic": {"urn": URN + name if name else "", "severity": severity, "message": text, "ephemeral": False, **more}}


def test_a_step_runs_and_ends_and_its_answer_is_kept() -> None:
    progress = Progress.of(["votes"])
    progress(_event("begun", "votes-switch"))
    assert progress.services["votes"].steps == {"switch": "runs"}
    progress(_event("ended", "votes-switch", stdout=json.dumps({"live": "r1", "previous": "r0"})))
    entry = progress.services["votes"]
    assert (entry.steps, entry.results["switch"]["previous"], entry.changed, entry.failed) == (
        {"switch": "done"},
        "r0",
        True,
        False,
    )


def test_a_column_is_done_only_when_all_its_resources_are() -> None:
    progress = Progress.of(["api"])
    progress(_event("begun", "api-role"))
    progress(_event("ended", "api-role"))
    progress(_event("begun", "api-database"))
    assert progress.services["api"].steps == {"database": "runs"}
    progress(_event("failed", "api-database"))
    progress(_event("ended", "api-db-password", op="same"))
    assert progress.services["api"].steps == {"database": "failed"}


def test_unchanged_services_are_not_changed() -> None:
    progress = Progress.of(["votes"])
    for name in ("votes-stage", "votes-switch", "votes-health"):
        progress(_event("ended", name, op="same"))
    assert not progress.services["votes"].changed


def test_what_belongs_to_no_service_is_kept_apart() -> None:
    progress = Progress.of(["votes"])
    progress(_event("ended", "github-votes-secret", op="create"))
    progress(_said("", "The quality gates stop this deploy"))
    assert progress.others == {"github-votes-secret": "done"}
    assert progress.errors == ["The quality gates stop this deploy"]
    assert progress.services["votes"].errors == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('error: exit status 1: running "components/remote/run switch":\nvotes: no space left', "votes: no space left"),
        ("error: The host cannot be reached.", "The host cannot be reached."),
        ("plain", "plain"),
    ],
)
def test_an_error_is_the_host_programs_sentence(text: str, said: str) -> None:
    assert cleaned(text) == said


def test_noise_and_repetition_are_left_out() -> None:
    progress = Progress.of(["votes"])
    progress(_said("votes-switch", "half a line", severity="info", ephemeral=True))
    progress(_said("", "an unhandled error occurred: program exited with non-zero exit code: 1"))
    for _ in range(2):
        progress(_said("votes-switch", "no space left"))
        progress(_said("", "outside the window", severity="warning"))
    assert progress.services["votes"].errors == ["no space left"]
    assert (progress.errors, progress.notes, progress.services["votes"].plan) == ([], ["outside the window"], [])


def test_a_refusal_of_the_policy_pack_is_an_error_and_an_advice_is_not() -> None:
    progress = Progress.of(["votes"])
    rule = {"rule": "gates-complete", "message": "needs\n  a reason", "urn": URN + "gate"}
    progress({"policy": {**rule, "level": "advisory"}})
    progress({"policy": {**rule, "level": "mandatory"}})
    assert progress.errors == ["Policy gates-complete refuses gate: needs a reason"]


def test_pulumis_events_are_read_as_they_come() -> None:
    meta = {"op": "update", "urn": URN + "votes-switch", "type": "command:local:Command", "provider": ""}
    state = {"type": "t", "urn": "u", "id": "i", "parent": "", "inputs": {}, "outputs": {"stdout": "{}"}, "provider": ""}
    raw: list[dict[str, Any]] = [
        {"sequence": 1, "timestamp": 1, "resourcePreEvent": {"metadata": meta}},
        {"sequence": 2, "timestamp": 1, "resOutputsEvent": {"metadata": {**meta, "new": state}}},
        {"sequence": 3, "timestamp": 1, "diagnosticEvent": {"message": "m", "color": "never", "severity": "error", "urn": "u"}},
        {"sequence": 4, "timestamp": 1, "summaryEvent": {"resourceChanges": {"same": 3, "update": 1}}},
        {"sequence": 5, "timestamp": 1, "cancelEvent": {}},
    ]
    begun, ended, said, summary, cancel = (plain_event(events.EngineEvent.from_json(event)) for event in raw)
    assert begun["begun"]["op"] == "update"
    assert ended["ended"]["outputs"] == {"stdout": "{}"}
    assert said["diagnostic"] == {"urn": "u", "severity": "error", "message": "m", "ephemeral": False}
    assert summary["summary"] == {"same": 3, "update": 1}
    assert cancel == {}


def _screen() -> Console:
    return Console(
        record=True, width=1000, no_color=True, highlight=False, soft_wrap=True, quiet=False, file=open("/dev/null", "w")
    )


def test_the_summary_has_failures_last_and_whole() -> None:
    progress = Progress.of(["votes", "docs"])
    long = "votes: " + "a long sentence that must not be broken " * 10
    progress(_event("begun", "votes-switch"))
    progress(_event("failed", "votes-switch"))
    progress(_said("votes-switch", long))
    progress(_said("", "Traceback …\nResourceRegistrationFailed: resource votes-switch failed to register"))
    progress(_event("ended", "docs-switch", stdout=json.dumps({"previous": "r0", "live": "r1", "migrations": ["1", "2", "3"]})))
    progress(_event("ended", "docs-stage", stdout=json.dumps({"files": 7})))
    out = _screen()
    answers = {key: Answer(key, 200, 5, None) for key in ("votes", "docs")}
    display.summary(out, progress, {"votes": ("r2", "r3"), "docs": ("r0", "r1")}, {"votes": "r2", "docs": "r1"}, answers)
    lines = [line.split() for line in out.export_text().splitlines()]
    assert lines[1] == ["docs", "r0", "→", "r1", "7", "3", "(to", "3)", "0.0", "200"]
    assert lines[2][:6] == ["votes", "r2", "→", "r3", "(not", "live)"]
    assert " ".join(lines[3]) == f"✗ {long.strip()}"
    assert len(lines) == 4


def test_a_release_that_was_written_into_is_told_of_when_it_goes_live_again(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress.of(["votes"])
    kept = "1 file(s) of no release are served no more and are kept in /r/\x9b: x"
    notes = ["files of r1 were changed on the host since it was staged: index.php", "restarted", kept]
    progress.services["votes"].results = {"switch": {"previous": "r2", "live": "r1", "notes": notes}}
    display.summary(Console(width=200), progress, {"votes": ("r2", "r1")}, {"votes": "r1"}, {})
    said = capsys.readouterr().out
    assert "votes: files of r1 were changed on the host since it was staged: index.php; bin/mo drift --mend puts them back" in said
    assert "are kept in /r/ : x" in said
    assert "restarted" not in said


@pytest.mark.parametrize("files_only", [True, False])
def test_files_only_is_shown_and_a_daemon_that_was_not_restarted_is_told_of(
    capsys: pytest.CaptureFixture[str], files_only: bool
) -> None:
    progress = Progress.of(["n8n"])
    notes = ["the daemon was not restarted: the host has no program docker"]
    progress.services["n8n"].results = {"switch": {"previous": "r1", "live": "r2", "notes": notes}}
    answers = {"n8n": Answer("n8n", 200, 5, None, files_only)}
    display.summary(Console(width=200), progress, {"n8n": ("r1", "r2")}, {"n8n": "r2"}, answers)
    said = capsys.readouterr().out
    assert ("r1 → r2 (files only)" in said) is files_only
    assert (f"n8n: {notes[0]}" in said) is not files_only


def test_a_site_that_does_not_answer_is_a_failure_of_its_own() -> None:
    out = _screen()
    display.summary(out, Progress.of(["docs"]), {}, {"docs": "r1"}, {"docs": Answer("docs", 500, None, "docs: answers 500")})
    assert out.export_text().splitlines()[-1] == "✗ docs: answers 500"


def test_without_a_terminal_there_is_one_line_for_each_finished_service_and_no_colour() -> None:
    out = _screen()
    services = reader.read().services
    screen = display.Screen(out, Progress.of(["votes", "docs"]), {k: services[k] for k in ("votes", "docs")})
    with screen.shown():
        screen(_event("ended", "docs-health", op="update"))
        screen(_event("ended", "votes-stage", op="update"))
        screen(_event("failed", "votes-switch"))
        screen(_event("ended", "docs-stage", op="same"))
    text = out.export_text(styles=True)
    assert [line.split("] ")[1] for line in text.splitlines()] == ["docs: done", "votes: failed"]
    assert "\x1b" not in text


def test_accounts_and_secrets_that_are_to_be_made_are_told_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress.of(["votes", "forum"])
    for name, kind in (
        ("votes-db-password", "random:index/randomPassword:RandomPassword"),
        ("votes-database", "mysql:index/database:Database"),
        ("votes-account", "command:local:Command"),
        ("secret-jwt-secret", "random:index/randomPassword:RandomPassword"),
        ("github-mo-votes-db-pass", "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret"),
        ("votes-switch", "command:local:Command"),
    ):
        event = _event("begun", name, "create", password="canary")
        event["begun"]["type"] = kind
        progress(event)
    progress(_event("begun", "forum-account"))
    assert progress.made == {
        "votes": ["password", "database", "account"],
        "secrets": ["JWT_SECRET"],
        "GitHub": ["MO_VOTES_DB_PASS"],
    }
    display.plan(Console(width=200), progress)
    told = capsys.readouterr().out
    assert "to be made (votes): password, database, account" in told
    assert "canary" not in told
