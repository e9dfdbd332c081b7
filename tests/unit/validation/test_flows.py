"""The end-to-end flows: what fails is shown, what only stumbles is tried again, and nothing passes that nobody looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from xml.etree import ElementTree

import pytest

from catalog.settings import FLOWS
from evidence import junit as evidence_of_junit
from operations.validation import browser, flow_steps, flows
from operations.validation.flow_steps import STEPS, FlowError
from operations.validation.flows import Result
from tests.unit.validation.site import Small, small_site, validation


@pytest.fixture(scope="module")
def site() -> Iterator[Small]:
    with small_site() as small:
        yield small


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is to fail; what is to pass has its whole time."""
    monkeypatch.setattr(flow_steps, "STEP_TIMEOUT", 1.0)


def test_the_flows_are_those_of_the_specification() -> None:
    assert tuple(STEPS) == FLOWS
    assert len(FLOWS) == 7


@pytest.mark.slow
def test_a_flow_that_passes_leaves_reports_and_no_pictures(tmp_path: Path, site: Small) -> None:
    found = flows.run(validation(tmp_path, ("consent",), site.port, flows=["consent"]))
    assert (found.ok, found.rollback, found.summary) == (True, None, "1 of 1 flows passed")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["flows.json", "flows.xml"]


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_flow_that_fails_twice_leaves_pictures_and_a_video_and_is_a_reason_to_go_back(tmp_path: Path, site: Small) -> None:
    site.refusals = 99
    try:
        found = flows.run(validation(tmp_path, ("consent",), site.port, flows=["consent"]))
    finally:
        site.refusals = 0
    assert not found.ok
    assert found.rollback is not None
    assert "GDPR consent" in found.rollback
    (flow,) = found.details["flows"]
    for words in ("Beleg", "Das hat nicht geklappt.", "/save answers 503"):
        assert words in flow["problem"]
    for name, magic in (("consent.png", b"\x89PNG"), ("consent-again.png", b"\x89PNG"), ("consent.webm", b"\x1aE\xdf\xa3")):
        assert name in flow["files"]
        assert (tmp_path / "run" / name).read_bytes().startswith(magic)


@pytest.mark.slow
def test_a_flow_that_passes_when_tried_again_is_told_and_no_failure(
    tmp_path: Path, site: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_steps, "STEP_TIMEOUT", 6.0)
    site.refusals = 1
    found = flows.run(validation(tmp_path, ("consent",), site.port, flows=["consent"]))
    assert (found.ok, found.rollback) == (True, None)
    assert found.details["flaky"] == 1
    assert "when tried again" in found.summary
    assert not list((tmp_path / "run").glob("*.webm"))


@pytest.mark.slow
def test_looking_does_everything_but_the_last_click(tmp_path: Path, site: Small) -> None:
    site.asked.clear()
    found = flows.run(validation(tmp_path, ("consent",), site.port, flows=["consent"], flowMode="look"))
    assert found.ok
    assert "up to the last click" in found.summary
    assert [line for line in site.asked if line.startswith("POST")] == []


@pytest.mark.slow
def test_a_page_that_answers_otherwise_fails_its_flow(tmp_path: Path, site: Small) -> None:
    site.status = 404
    try:
        found = flows.run(validation(tmp_path, ("consent",), site.port, flows=["consent"], flowMode="look"))
    finally:
        site.status = 200
    assert "answers 404" in found.summary


def test_a_flow_whose_services_are_not_deployed_is_skipped_not_passed(tmp_path: Path) -> None:
    found = flows.run(validation(tmp_path, ("votes",)))
    assert (found.ok, found.details["ran"], found.details["skipped"]) == (True, 0, 7)
    assert found.summary == "no flow concerns what this stack deploys"


def test_without_chromium_nothing_passes_and_nothing_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = flows.run(validation(tmp_path, ("consent",)))
    assert (found.ok, found.rollback) == (False, None)
    assert "There is no Chromium" in found.summary


def test_a_chromium_that_cannot_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(browser, "chromium", lambda: str(program))
    found = flows.run(validation(tmp_path, ("consent",)))
    assert (found.ok, found.rollback) == (False, None)
    assert "cannot be started" in found.summary


def results(failed: int, ran: int = 7, skipped: int = 0) -> list[Result]:
    made = [
        Result(f"f{n}", f"flow {n}", "failed" if n < failed else "passed", 1.0, "bad \x1b thing" if n < failed else "")
        for n in range(ran)
    ]
    return made + [Result("s", "skipped one", "skipped") for _ in range(skipped)]


@pytest.mark.parametrize(("failed", "ran", "back"), [(0, 7, False), (1, 7, True), (1, 10, False), (2, 10, True), (1, 1, True)])
def test_more_than_a_tenth_failed_is_a_reason_to_go_back(failed: int, ran: int, back: bool) -> None:
    found = flows.outcome(results(failed, ran, skipped=3), 10, "write")
    assert found.ok == (failed == 0)
    assert (found.rollback is not None) == back


def test_the_junit_report_is_read_by_the_gates_own_reader(tmp_path: Path) -> None:
    place = tmp_path / "flows.xml"
    place.write_bytes(flows.junit([Result("a", "one", "failed", 1.0, "x < y & z"), *results(0, 2, 1)], "2026-11-21T09:00:00+00:00"))
    with place.open("rb") as stream:
        reading = evidence_of_junit.read(place.name, stream)
    figure = reading.figures["passed"]
    assert (round(figure.value, 1), figure.count, figure.findings) == (66.7, 3, ("end-to-end one",))
    assert ElementTree.parse(place).getroot().get("skipped") == "1"


def mail(folder: Path, name: str, to: str, text: str) -> None:
    message = EmailMessage()
    message["To"], message["From"], message["Subject"] = to, "x@site.example", "Bestätigen"
    message.set_content(text)
    (folder / name).write_bytes(bytes(message))


def test_only_a_mail_to_this_visitor_counts(tmp_path: Path) -> None:
    mail(tmp_path, "1.eml", "other@flows.invalid", "for me@flows.invalid: no")
    mail(tmp_path, "2.eml", "me@flows.invalid", "Grüße")
    (tmp_path / "3.eml").write_bytes(b"me@flows.invalid\xff\x00 is no mail")
    (tmp_path / "4.eml").write_bytes(b"")
    assert flow_steps.mails_to(tmp_path, "me@flows.invalid") == ["Grüße\n"]


def test_a_mailbox_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match=r"no mailbox .*mo:validation\.mailbox"):
        flow_steps.mails_to(tmp_path / "none", "a@flows.invalid")


def test_what_playwright_says_becomes_one_line() -> None:
    error = AssertionError(
        "\x1b[31mLocator expected to be visible\x1b[0m\n\nExpected: visible\nError: not found\nCall log:\n  - waits\x07"
    )
    assert browser.first_line(error) == "Locator expected to be visible; Expected: visible"
    error = AssertionError('Locator expected to be visible\nActual value: None\nCall log:\n  - waiting for get_by_text("Beleg")\n')
    assert browser.first_line(error) == 'Locator expected to be visible: get_by_text("Beleg")'


@pytest.mark.slow
def test_the_results_are_kept_as_json(tmp_path: Path, site: Small) -> None:
    flows.run(validation(tmp_path, ("consent",), site.port, flows=["consent"], flowMode="look"))
    told = json.loads((tmp_path / "run" / "flows.json").read_text())
    assert told["browser"].startswith("Chromium ")
    assert [flow["state"] for flow in told["flows"]] == ["passed"]
