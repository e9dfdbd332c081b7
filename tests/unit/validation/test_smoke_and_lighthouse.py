"""Smoke tests take an update back, Lighthouse never does; neither passes where nobody looked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from operations import remote, statuspage
from operations.gates import browser
from operations.gates.context import StepError
from operations.problem import Problem
from operations.validation import lighthouse, smoke
from operations.validation.lighthouse import Result
from operations.validation.smoke import Answer
from tests.unit.evidence.folder import the_report
from tests.unit.validation.site import validation


def host(monkeypatch: pytest.MonkeyPatch, told: Any) -> list[dict[str, Any]]:
    """Makes ``told`` the host's answer about the services; gives the questions that were asked."""
    asked: list[dict[str, Any]] = []

    def run(root: Path, stack: str, step: str, request: dict[str, Any], timeout: int) -> dict[str, Any]:
        assert step == "health"
        asked.extend(request["services"])
        if isinstance(told, Problem):
            raise told
        return {"ok": True, "services": told}

    monkeypatch.setattr(remote, "run", run)
    return asked


GOOD = {"status": 200, "ms": 5}


def test_any_failed_smoke_test_is_a_reason_to_go_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {"problem": "votes: https://votes.site.example/ serves release r0 instead of r1"}
    asked = host(monkeypatch, {"votes": bad, "docs": GOOD})
    found = smoke.run(validation(tmp_path, ("votes", "docs")))
    assert not found.ok
    assert found.rollback == "the smoke test of votes failed"
    assert "1 of 2 services" in found.summary
    assert "votes: https://votes.site.example/ serves release r0" in found.summary
    assert {question["release"] for question in asked} == {"r1"}, "the release served is asked for"
    assert [a["service"] for a in json.loads((tmp_path / "run" / "smoke.json").read_text())] == ["votes", "docs"]


@pytest.mark.parametrize(
    "told", [None, [], {}, {"docs": None}, {"docs": "fine"}, {"docs": {}}, {"docs": {"status": 503}}, Problem("no connection")]
)
def test_an_answer_that_says_nothing_good_is_no_pass(told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, told)
    found = smoke.run(validation(tmp_path, ("docs",)))
    assert (found.ok, found.rollback) == (False, "the smoke test of docs failed")


def test_who_only_looks_does_not_wait_as_long_as_a_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = host(monkeypatch, {"docs": GOOD})
    what = validation(tmp_path, ("docs",))
    for patience in (None, 2, 600):
        smoke.ask(tmp_path, "sandbox", "site.example", what.services, {}, patience)
    usual = what.services["docs"].health.timeout
    assert [question["probe"]["timeout"] for question in asked] == [usual, 2, usual]


def test_files_only_are_named_and_are_no_answering_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, {"docs": GOOD, "idp": {**GOOD, "files_only": True}, "n8n": {**GOOD, "files_only": False}})
    found = smoke.run(validation(tmp_path, ("docs", "idp", "n8n")))
    assert (found.ok, found.rollback) == (True, None)
    assert found.summary == "2 of 3 services answer as they must, 1 files only (idp)"
    told = {a["service"]: Answer(**a) for a in found.details["answers"]}
    assert statuspage.states(told) == {"docs": "up", "idp": "files only", "n8n": "up"}
    assert [a["files_only"] for a in json.loads((tmp_path / "run" / "smoke.json").read_text())] == [False, True, False]


def test_a_version_is_kept_and_one_that_is_not_told_is_said_and_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = {**GOOD, "version": None, "note": "/openapi.json tells no version"}
    asked = host(monkeypatch, {"api": {**GOOD, "version": "1.4.0", "note": None}, "api_stg": unknown, "docs": GOOD})
    found = smoke.run(validation(tmp_path, ("api", "api_stg", "docs")))
    assert [question["probe"].get("version", {}).get("path") for question in asked] == ["/openapi.json", "/openapi.json", None]
    assert (found.ok, found.rollback) == (True, None)
    assert found.summary == "3 of 3 services answer as they must; api_stg: /openapi.json tells no version"
    assert [a["version"] for a in found.details["answers"]] == ["1.4.0", None, None]


def test_no_service_is_no_pass() -> None:
    assert (smoke.outcome({}).ok, smoke.outcome({}).rollback) == (False, None)
    assert smoke.outcome({"docs": Answer("docs", 200, 1, None)}).ok
    everyone = smoke.outcome({}, ("docs",))
    assert (everyone.ok, everyone.word) == (True, "not asked")


def test_a_page_below_its_scores_is_told_and_never_a_reason_to_go_back() -> None:
    found = lighthouse.outcome(
        [
            Result("main", "u", {"seo": 95.0}),
            Result("docs", "u", {"seo": 80.0}, ("seo 80 of 90",)),
            Result("api", "u", problem="no report"),
        ]
    )
    assert (found.ok, found.rollback) == (False, None)
    assert found.summary == "1 of 3 pages reach their scores; docs: seo 80 of 90; api: no report"


def runs(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> list[str]:
    """Makes Lighthouse's runs these reports, in order; gives those that are left."""
    good = json.loads(the_report("lighthouse", "pass").read_bytes())
    poor = {**good, "categories": {**good["categories"], "seo": {**good["categories"]["seo"], "score": 0.5}}}
    left = [json.dumps(good if kind == "pass" else poor) for kind in kinds]
    monkeypatch.setattr(browser, "ready", lambda here: None)
    monkeypatch.setattr(browser, "_once", lambda here, url, target: target.write_text(left.pop(0)))
    return left


def test_a_page_that_reaches_its_scores_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = runs(monkeypatch, "pass", "fail")
    found = lighthouse.run(validation(tmp_path, ("main",), lighthouse=["main"]))
    assert found.ok, found.summary
    assert len(left) == 1


@pytest.mark.parametrize(("later", "ok"), [(("pass", "pass"), True), (("pass", "fail"), False)])
def test_of_a_page_that_falls_short_the_median_of_three_runs_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: tuple[str, str], ok: bool
) -> None:
    left = runs(monkeypatch, "fail", *later)
    found = lighthouse.run(validation(tmp_path, ("main",)))
    assert (found.ok, bool(found.details["pages"][0]["shortfalls"]), left) == (ok, not ok, [])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"lighthouseVersion": "1"}'])
def test_a_broken_report_is_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(browser, "ready", lambda here: None)
    monkeypatch.setattr(browser, "_once", lambda here, url, target: target.write_bytes(content))
    assert "its report" in lighthouse.run(validation(tmp_path, ("main",))).summary


def test_without_node_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(here: object) -> None:
        raise StepError("npm is not installed")

    monkeypatch.setattr(browser, "ready", fails)
    found = lighthouse.run(validation(tmp_path, ("main",)))
    assert (found.ok, found.rollback, found.summary) == (False, None, "no page was measured: npm is not installed")


def test_only_the_pages_that_the_stack_names_are_measured(tmp_path: Path) -> None:
    assert lighthouse.run(validation(tmp_path, ("main",), lighthouse=[])).summary == "no page is to be measured on this stack"
