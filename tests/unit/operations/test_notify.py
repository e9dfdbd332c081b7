"""What n8n is told of a deployment: signed, fresh, retried, and never in the way of the deployment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from catalog.settings_file import Loaded, SettingsError
from monitoring.n8n import SIGNATURE_HEADER, signature
from operations.deployment.outcome import Outcome
from operations.notify import Event, branch_of, notify
from tests.unit.components import program

SECRET = "canary-webhook-secret"
URL = "https://n8n.example.test/webhook/deployment"
EVENT = Event("sandbox", "success", ("votes", "api"), "main", "c" * 40, "2 services")
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def loaded(project: Path, **changes: object) -> Loaded:
    return program.loaded(project, **{"notify": {"url": URL}, "webhookSecret": SECRET, **changes})


class Receiver:
    """Answers with each of ``answers`` in turn; an exception is raised in place of an answer."""

    def __init__(self, *answers: int | Callable[[httpx.Request], Exception]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            return httpx.Response(answer, headers={"Location": "https://elsewhere.test/"} if answer == 302 else {})
        raise answer(request)


def tell(project: Path, receiver: Receiver, event: Event = EVENT, **changes: object) -> Outcome:
    given = loaded(project, **changes)
    return notify(given, event, sleep=receiver.pauses.append, now=lambda: NOW, transport=httpx.MockTransport(receiver))


def test_the_body_says_what_happened_and_its_signature_is_of_the_raw_bytes(tmp_path: Path) -> None:
    receiver = Receiver(200)
    outcome = tell(tmp_path, receiver)
    assert outcome.ok, outcome.summary
    (request,) = receiver.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers[SIGNATURE_HEADER] == signature(SECRET.encode(), request.content)
    body = json.loads(request.content)
    assert body["service"] == "votes, api"
    assert body["services"] == ["votes", "api"]
    assert (body["status"], body["branch"], body["commit"]) == ("success", "main", "c" * 40)
    assert body["timestamp"] == "2026-11-21T09:30:00Z"


def test_a_receiver_that_is_busy_is_asked_again_with_pauses(tmp_path: Path) -> None:
    receiver = Receiver(lambda request: httpx.ConnectError("refused", request=request), 503, 200)
    outcome = tell(tmp_path, receiver)
    assert outcome.ok
    assert outcome.details == {"sent": True, "attempts": 3}
    assert receiver.pauses == [1.0, 3.0]


@pytest.mark.parametrize(
    "answers",
    [(500, 502, 503), (lambda r: httpx.ReadTimeout("slow", request=r),) * 3, (401,), (302,), (404,)],
    ids=["broken", "silent", "refused", "moved", "absent"],
)
def test_a_receiver_that_does_not_take_it_is_said_and_asks_for_no_rollback(tmp_path: Path, answers: tuple[int, ...]) -> None:
    receiver = Receiver(*answers)
    outcome = tell(tmp_path, receiver)
    assert not outcome.ok
    assert outcome.rollback is None
    assert URL in outcome.summary
    assert len(receiver.requests) == len(answers), "a refusal is final; what is broken is asked three times"
    assert {str(request.url) for request in receiver.requests} == {URL}, "a signed message follows no redirect"


def test_without_url_nothing_is_sent_and_without_secret_the_settings_are_not_whole(tmp_path: Path) -> None:
    receiver = Receiver()
    assert "mo:notify.url" in tell(tmp_path, receiver, notify=None).summary
    assert receiver.requests == []
    with pytest.raises(SettingsError, match="bin/pulumi config set --stack sandbox --secret mo:webhookSecret"):
        loaded(tmp_path, webhookSecret=None)


def test_the_secret_stands_in_no_outcome_and_in_no_request(tmp_path: Path) -> None:
    for answer in (200, 401, 500):
        receiver = Receiver(answer, answer, answer)
        outcome = tell(tmp_path, receiver)
        assert SECRET not in repr(outcome)
        for request in receiver.requests:
            assert SECRET not in f"{request.url} {request.headers} {request.content!r}"


@pytest.mark.parametrize("url", ["ftp://n8n.example", "n8n.example", "https://user:pass@n8n.example/", "https://n8n example/", ""])
def test_an_address_that_is_none_is_refused_with_the_settings(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"notify\.url"):
        loaded(tmp_path, notify={"url": url})


def test_a_secret_that_can_be_guessed_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="webhookSecret") as refused:
        loaded(tmp_path, webhookSecret="short-one")
    assert "short-one" not in str(refused.value)


def test_hostile_text_stays_one_json_body(tmp_path: Path) -> None:
    receiver = Receiver(200)
    tell(tmp_path, receiver, Event("sandbox", "failure", (), None, None, 'a"b\n' + "ü" * 10_000))
    body = json.loads(receiver.requests[0].content)
    assert body["service"] == "none"
    assert body["branch"] is None
    assert len(body["text"]) == 500


def test_the_branch_is_the_workflow_s_or_the_checkout_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_REF_NAME", raising=False)
    assert branch_of(tmp_path / "missing") is None
    subprocess.run(["git", "init", "-q", "-b", "saturday", str(tmp_path)], check=True)
    assert branch_of(tmp_path) == "saturday"
    monkeypatch.setenv("GITHUB_REF_NAME", "main")
    assert branch_of(tmp_path) == "main"
