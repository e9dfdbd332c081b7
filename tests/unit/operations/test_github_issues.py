"""Issues on GitHub: opened once, updated, free of secrets and personal data; what GitHub refuses is said and fails nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalog.settings import GitHubSettings
from operations import github_issues
from operations.deployment.outcome import Outcome
from operations.github_issues import Issues, clean
from sandbox.github.server import GitHub, serve
from tests.unit.components import program

TOKEN = "token-canary-7c1f"
MOVES = {"votes": ("r1", "r2"), "docs": (None, "r3")}
SHORTFALL = Outcome(
    "lighthouse",
    False,
    "",
    {
        "thresholds": {"performance": 90, "seo": 90},
        "pages": [
            {
                "service": "main",
                "scores": {"performance": 81.0, "seo": 100.0},
                "shortfalls": ["performance 81 of 90"],
                "problem": "",
            },
            {"service": "docs", "scores": {"performance": 99.0, "seo": 99.0}, "shortfalls": [], "problem": ""},
        ],
    },
)


class StandIn:
    """GitHub's stand-in, which checks every request against GitHub's own description, and the issues of one stack on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.github = GitHub(folder, "acme", "site", TOKEN)
        self.server = serve(0, self.github)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        base = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self.pauses: list[float] = []
        settings = GitHubSettings(owner="acme", repository="site", environment="sandbox", base_url=base)
        self.issues = Issues(settings, TOKEN, "sandbox", ("secret-canary-93ab",), self.pauses.append, lambda: 1_000_000.0)

    def control(self, **orders: Any) -> None:
        assert self.github.handle("POST", "/__control", {}, json.dumps(orders).encode())[0] == 200

    def held(self, kind: str = "issues") -> list[dict[str, Any]]:
        return list(json.loads((self.folder / "state.json").read_text()).get(kind, {}).values())

    def begin(self, run: str = "run1") -> Outcome:
        return self.issues.begin(run, "2026-11-21T09:00:00Z", MOVES)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    made = StandIn(tmp_path / "github")
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_deployments_issue_is_opened_and_then_closed_with_the_report(stand_in: StandIn) -> None:
    begun = stand_in.begin()
    assert begun.ok, begun.summary
    number = begun.details["number"]
    (issue,) = stand_in.held()
    assert "| votes | r1 | r2 |" in issue["body"]
    assert "| docs | none | r3 |" in issue["body"]
    ended = stand_in.issues.end(number, "run1", "# Deployment\n\nAll is well.", succeeded=True)
    assert ended.ok, ended.summary
    (issue,) = stand_in.held()
    assert (issue["state"], issue["state_reason"]) == ("closed", "completed")
    assert "All is well." in issue["body"]


def test_a_failed_deployments_issue_stays_open(stand_in: StandIn) -> None:
    number = stand_in.begin().details["number"]
    stand_in.issues.end(number, "run1", "It failed.", succeeded=False)
    (issue,) = stand_in.held()
    assert issue["state"] == "open"
    assert "failed" in {label["name"] for label in issue["labels"]}


def test_an_incident_tells_why_and_what_went_back(stand_in: StandIn) -> None:
    found = stand_in.issues.incident(
        "run1", "2026-11-21T09:10:00Z", "the smoke test of votes failed", {"votes": ("r2", "r1")}, ["votes: 500"], 7
    )
    assert found.ok, found.summary
    (issue,) = stand_in.held()
    assert issue["title"] == "Incident: sandbox rolled back, 2026-11-21T09:10:00Z"
    for words in ("the smoke test of votes failed", "#7", "| votes | r2 | r1 |", "- votes: 500", "- [ ] Find the cause"):
        assert words in issue["body"]


def test_a_lighthouse_shortfall_opens_one_issue_and_then_comments_on_it(stand_in: StandIn) -> None:
    first = stand_in.issues.lighthouse("run1", SHORTFALL)
    second = stand_in.issues.lighthouse("run2", SHORTFALL)
    assert first.details["number"] == second.details["number"]
    (issue,) = stand_in.held()
    assert "| main | 81 | 100 |" in issue["body"]
    assert "docs" not in issue["body"]
    (comment,) = stand_in.held("comments")
    assert "| main | 81 | 100 |" in comment["body"]


def test_no_shortfall_asks_github_nothing(stand_in: StandIn) -> None:
    good = replace(SHORTFALL, details={"thresholds": {}, "pages": [SHORTFALL.details["pages"][1]]})
    assert stand_in.issues.lighthouse("run1", good).ok
    assert not (stand_in.folder / "requests.jsonl").exists()


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "token is not valid"), (404, "no repository acme/site"), (410, "switched off"), (422, "422"), (301, "has moved")],
)
def test_a_refusal_is_said_once_and_fails_nothing(stand_in: StandIn, status: int, words: str) -> None:
    stand_in.control(fail={"status": status, "count": 9})
    found = stand_in.begin()
    assert not found.ok
    assert found.rollback is None
    assert words in found.summary
    assert TOKEN not in found.summary
    assert len((stand_in.folder / "requests.jsonl").read_text().splitlines()) == 1


def test_a_rate_limit_of_some_seconds_is_waited_for_and_a_longer_one_is_said(stand_in: StandIn) -> None:
    stand_in.control(fail={"status": 429, "count": 1, "retry_after": 3})
    assert stand_in.begin().ok
    assert stand_in.pauses == [3.0]
    stand_in.control(fail={"status": 403, "count": 1, "retry_after": 3600})
    assert "rate limit asks to wait 3600 s" in stand_in.begin("run2").summary


@pytest.mark.parametrize("status", [500, 503, 0])
def test_a_passing_fault_of_github_is_tried_again(stand_in: StandIn, status: int) -> None:
    stand_in.control(fail={"status": status, "count": 1, "match": "POST .*/issues$"})
    assert stand_in.begin().ok
    assert len(stand_in.held()) == 1


def test_a_lasting_fault_is_said(stand_in: StandIn) -> None:
    stand_in.control(fail={"status": 502, "count": 99})
    assert "502" in stand_in.begin().summary


def test_an_issue_whose_answer_was_lost_is_not_opened_twice(stand_in: StandIn) -> None:
    first = stand_in.begin()
    stand_in.control(fail={"status": 500, "count": 1, "match": "POST .*/issues$"})
    assert stand_in.begin().details["number"] == first.details["number"]
    assert len(stand_in.held()) == 1


def test_without_a_token_or_a_server_it_is_said(stand_in: StandIn) -> None:
    assert "no token" in replace(stand_in.issues, token="").begin("r", "t", {}).summary
    nowhere = stand_in.issues.settings.model_copy(update={"base_url": "http://127.0.0.1:9/"})
    assert "no answer" in replace(stand_in.issues, settings=nowhere).begin("r", "t", {}).summary


def test_no_secret_and_no_personal_data_is_published(stand_in: StandIn) -> None:
    number = stand_in.begin().details["number"]
    text = "db said secret-canary-93ab\nmail to max.mustermann@example.at\nfrom 193.171.1.7\nask @octocat\n<img src=x>\n| votes | r1 | r2 |"
    stand_in.issues.end(number, "run1", text, succeeded=False)
    requests = (stand_in.folder / "requests.jsonl").read_text()
    assert TOKEN not in requests
    for word in ("secret-canary", "mustermann", "193.171", "@octocat", "<img"):
        assert word not in stand_in.held()[0]["body"]
    assert "(a line is left out here: e-mail)" in stand_in.held()[0]["body"]
    assert "| votes | r1 | r2 |" in stand_in.held()[0]["body"]


EXISTING = {"MO_VOTES_DB_PASS": "panel-canary-5b'\"{", "JWT_SECRET": "jwt-canary-7713"}
KEY = "-----BEGIN KEY-----\nkey-canary-line-0001\n-----END KEY-----"


def test_no_secret_of_the_owner_is_published_however_it_is_kept(stand_in: StandIn, tmp_path: Path) -> None:
    loaded = program.loaded(tmp_path, githubToken=TOKEN, sshPrivateKey=KEY, existing=EXISTING)
    issues = replace(github_issues.of(loaded, "sandbox"), settings=stand_in.issues.settings)
    secrets = [TOKEN, KEY, *EXISTING.values(), *(text for text in program.CANARIES if text not in ("canary-key", "canary-token"))]
    assert sorted(issues.hidden) == sorted(secrets)
    told = issues.incident("run1", "now", f"the database says {secrets[2]}", MOVES, [f"line of {text}" for text in secrets])
    assert told.ok, told.summary
    (issue,) = stand_in.held()
    assert "the database says ***" in issue["body"]
    for text in [line for secret in secrets for line in secret.splitlines() if "canary" in line]:
        assert text not in issue["body"] + issue["title"]


def test_a_text_too_long_for_github_is_cut(stand_in: StandIn) -> None:
    number = stand_in.begin().details["number"]
    assert stand_in.issues.end(number, "run1", "a line of the report\n" * 20_000, succeeded=True).ok
    assert len(stand_in.held()[0]["body"]) < 65_536


@pytest.mark.parametrize("answer", [None, [], {}, {"number": "7"}, {"number": True}, "x"])
def test_an_answer_that_names_no_issue_is_no_issue(answer: Any) -> None:
    with pytest.raises(github_issues.IssueError):
        github_issues._issue(answer)


def test_a_multi_line_key_is_starred_in_every_line() -> None:
    key = "-----BEGIN KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END KEY-----"
    assert "b3Blbn" not in clean("it said b3BlbnNzaC1rZXktdjEAAAAA", (key,))
