"""What this program asks the host, what it makes of the answer, and how the gate's own step judges."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from catalog import reader
from components import backend, facts, window
from components.facts import FactsError, RunFacts
from components.remote.client import gate
from components.remote.client.failure import Failure

SERVICES = reader.read().services


def _figures(**changes: Any) -> dict[str, Any]:
    report = {"path": "quality-reports/coverage.xml", "figure": 91.0, "problem": None, "detail": None}
    entry = {"name": "coverage", "comparison": ">=", "threshold": 80, "waiver": None, "reports": [report]}
    return {"figures": {"commit": "c" * 40, "required": ["coverage"], "rollback": None, "gates": [{**entry, **changes}]}}


def _report(**changes: Any) -> dict[str, Any]:
    return {"reports": [{"path": "p", "figure": 91.0, "problem": None, "detail": None, **changes}]}


def test_a_green_gate_passes() -> None:
    assert gate.run(_figures()) == {"commit": "c" * 40, "gates": ["coverage"], "rollback": False}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (_report(figure=79.9), "coverage: 79.9, >= 80 needed"),
        (_report(figure=None), "gives no figure"),
        (_report(figure=True), "gives no figure"),
        (_report(figure="91"), "gives no figure"),
        (_report(figure=float("nan")), "coverage: nan"),
        (_report(problem="stale", detail="is 30 h old"), "coverage: is 30 h old"),
        ({"reports": []}, "coverage: no report"),
        ({"name": "other"}, "coverage: no report"),
        ({"threshold": None}, "gives no figure"),
    ],
)
def test_a_red_gate_fails_the_step_by_its_own_judgement(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Failure, match=said):
        gate.run(_figures(**changes))


def test_a_waiver_excuses_a_figure_of_its_commit_but_never_a_missing_report() -> None:
    waiver = {"waiver": {"commit": "c" * 40}}
    gate.run(_figures(**_report(figure=1.0), **waiver))
    with pytest.raises(Failure):
        gate.run(_figures(**_report(problem="missing"), **waiver))
    with pytest.raises(Failure):
        gate.run(_figures(**_report(figure=1.0), waiver={"commit": "d" * 40}))


def test_a_rollback_is_not_stopped_and_says_so() -> None:
    request = _figures(**_report(figure=1.0))
    request["figures"]["rollback"] = {"update": 3}
    assert gate.run(request)["rollback"] is True


@pytest.mark.parametrize("request_", [{}, {"figures": None}, {"figures": {"gates": 7}}])
def test_a_request_without_figures_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(Failure, match="has no figures"):
        gate.run(request_)


def test_the_question_names_each_service_and_the_programs_they_need() -> None:
    asked = facts.request("sandbox", "web1", SERVICES, {"votes": "r" + "0" * 16})
    votes = next(s for s in asked["services"] if s["service"] == "votes")
    assert votes["release"] == "r" + "0" * 16
    assert votes["database"] == {"engine": "mariadb", "name": "mo_votes"}
    assert votes["migrate"] == {"kind": "sql", "directory": "migrations"}
    assert next(s for s in asked["services"] if s["service"] == "docs")["release"] is None
    assert asked["programs"] == ["php", "pleskctl", "python3", "supervisorctl", "systemctl"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"services": 7}', '{"services": {"votes": {"applied": "0001"}}}', '{"free_bytes": "much"}']
)
def test_an_answer_that_cannot_be_read_is_one_sentence(text: str) -> None:
    with pytest.raises(FactsError, match="The host's answer to the question for facts cannot be read"):
        facts.parse(text)


def test_an_answer_may_say_more_and_less_than_was_asked() -> None:
    found = facts.parse('{"ok": true, "weather": "fine", "services": {"votes": {"live": null, "mood": 1}}}')
    assert found.of("votes").live is None
    assert found.of("absent").applied is None


def _program(folder: Path, text: str) -> RunFacts:
    remote = folder / "components" / "remote"
    remote.mkdir(parents=True)
    (remote / "run").write_text(f"#!/bin/sh\n{text}\n")
    (remote / "run").chmod(0o755)
    return RunFacts(folder)


def test_facts_are_asked_through_the_steps_own_program(tmp_path: Path) -> None:
    ask = _program(tmp_path, 'test "$1" = facts && request=$(cat) && printf "{\\"free_bytes\\": ${#request}}"')
    request = {"stack": "sandbox"}
    assert ask(request).free_bytes == len(json.dumps(request))


def test_the_hosts_sentence_is_handed_on(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match=r"^The host web1 cannot be reached\.$"):
        _program(tmp_path, "echo 'The host web1 cannot be reached.' >&2; exit 1")({})
    with pytest.raises(FactsError, match="cannot be started: No such file"):
        RunFacts(tmp_path / "absent")({})


@pytest.mark.parametrize(
    ("environment", "file", "kind"),
    [
        ({"PULUMI_BACKEND_URL": "file:///x"}, "", "file"),
        ({"PULUMI_BACKEND_URL": "s3://bucket"}, "backend: {url: 'file:///x'}", "s3"),
        ({}, "backend: {url: 'gs://bucket'}", "gs"),
        ({}, "backend: 7", "https"),
        ({}, "[", "https"),
    ],
)
def test_the_backend_is_found_as_pulumi_finds_it(environment: dict[str, str], file: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(file)
    assert backend.kind({"PULUMI_HOME": str(tmp_path), **environment}, tmp_path) == kind


def test_a_login_is_the_last_that_says_where_the_state_is(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text('{"current": "azblob://box"}')
    assert backend.kind({"PULUMI_HOME": str(tmp_path)}, tmp_path) == "azblob"


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-21T08:00:00+00:00", True),
        ("2026-11-21T13:59:59+00:00", True),
        ("2026-11-21T14:00:00+00:00", False),
        ("2026-11-21T07:59:59+00:00", False),
        ("2026-11-22T09:00:00+00:00", False),
        ("2026-11-21T15:30:00+02:00", True),
    ],
)
def test_the_window_is_saturday_morning_in_utc(moment: str, is_open: bool) -> None:
    assert window.is_open(datetime.fromisoformat(moment)) is is_open
