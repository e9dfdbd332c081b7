"""The GitHub stand-in answers as GitHub does and refuses what GitHub's description does not have."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey, PublicKey, SealedBox

from sandbox.github import received_secrets
from sandbox.github.description import Description
from sandbox.github.server import GitHub
from sandbox.github.trim import OPERATIONS

TOKEN = "token-canary-7c1f"
CANARY = "secret-canary-93ab"
ENVIRONMENT = "/repos/acme/site/environments/production"
BY_ID = "/repositories/77/environments/production"


class Client:
    """Asks a stand-in without sockets, as GitHub's own provider does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.github = GitHub(folder, "acme", "site", TOKEN)

    def __call__(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        status, answer, _ = self.github.handle(method, path, self._headers(headers), raw)
        return status, answer

    def link(self, path: str) -> str | None:
        """The ``Link`` header of a list."""
        return self.github.handle("GET", path, self._headers(None), b"")[2].get("Link")

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        return {"authorization": f"Bearer {TOKEN}", "user-agent": "go-github/v88.0.0"} if headers is None else dict(headers)

    def seal(self, value: str) -> dict[str, str]:
        """A secret as a client writes it."""
        key = self("GET", f"{BY_ID}/secrets/public-key")[1]
        box = SealedBox(PublicKey(base64.b64decode(key["key"])))
        return {"key_id": key["key_id"], "encrypted_value": base64.b64encode(box.encrypt(value.encode())).decode()}


@pytest.fixture
def api(tmp_path: Path) -> Client:
    """A stand-in with the environment ``production``."""
    client = Client(tmp_path / "github")
    assert (
        client("PUT", ENVIRONMENT, {"wait_timer": 5, "reviewers": None, "can_admins_bypass": True, "prevent_self_review": False})[0]
        == 200
    )
    return client


def test_the_recorded_requests_of_github_s_provider_get_the_recorded_answers(api: Client) -> None:
    """The order and statuses of http.jsonl of the conformance case ``github``, below both prefixes."""
    assert api("GET", "/api/v3/orgs/acme")[0] == 200
    assert api("GET", "/api/v3/repos/acme/site")[1]["id"] == 77
    assert api("PUT", f"/api/v3{BY_ID}/secrets/SSH_HOST", api.seal("a"))[0] == 201
    assert api("GET", f"/api/v3{BY_ID}/secrets/SSH_HOST")[1]["name"] == "SSH_HOST"
    before = api("GET", f"{BY_ID}/secrets/SSH_HOST")[1]
    assert api("PUT", f"{BY_ID}/secrets/SSH_HOST", api.seal("b")) == (204, None)
    after = api("GET", f"{BY_ID}/secrets/SSH_HOST")[1]
    assert (after["created_at"], after["updated_at"] > before["updated_at"]) == (before["created_at"], True)
    changed = {
        "wait_timer": 10,
        "reviewers": [{"type": "Team", "id": 3}],
        "deployment_branch_policy": {"protected_branches": True, "custom_branch_policies": False},
        "can_admins_bypass": False,
        "prevent_self_review": True,
    }
    made = api("PUT", ENVIRONMENT, changed)[1]
    assert [rule["type"] for rule in made["protection_rules"]] == ["wait_timer", "required_reviewers", "branch_policy"]
    assert made["can_admins_bypass"] is False
    assert api("DELETE", f"{BY_ID}/secrets/SSH_HOST") == (204, None)
    assert api("GET", f"{BY_ID}/secrets/SSH_HOST")[0] == 404
    assert api("DELETE", ENVIRONMENT) == (204, None)
    assert api("GET", ENVIRONMENT)[0] == 404


def test_received_secrets_can_be_opened_and_stand_nowhere_in_clear(api: Client) -> None:
    assert api("PUT", f"{ENVIRONMENT}/secrets/jwt_secret", api.seal(CANARY))[0] == 201
    assert received_secrets(api.folder) == {"production": {"JWT_SECRET": CANARY}}
    for path in api.folder.iterdir():
        text = path.read_text()
        assert CANARY not in text
        assert TOKEN not in text
        assert path.name == "requests.jsonl" or stat.S_IMODE(path.stat().st_mode) == 0o600
    logged = json.loads((api.folder / "requests.jsonl").read_text().splitlines()[-1])
    assert logged["body"]["encrypted_value"].endswith("characters>")


def test_a_secret_that_is_not_sealed_for_the_current_key_is_refused(api: Client) -> None:
    sealed = api.seal("x")
    foreign = base64.b64encode(SealedBox(PrivateKey.generate().public_key).encrypt(b"x")).decode()
    assert api("PUT", f"{ENVIRONMENT}/secrets/A", {**sealed, "encrypted_value": foreign})[0] == 422
    assert api("PUT", f"{ENVIRONMENT}/secrets/A", {**sealed, "key_id": "other"})[0] == 422
    assert api("PUT", f"{ENVIRONMENT}/secrets/A", {**sealed, "encrypted_value": "not base64!"})[0] == 422
    assert api("PUT", f"{ENVIRONMENT}/secrets/GITHUB_TOKEN", sealed)[0] == 422
    assert api("PUT", f"{ENVIRONMENT}/secrets/1A-B", sealed)[0] == 422
    assert api("PUT", f"{ENVIRONMENT}/secrets/A", api.seal("x" * 50_000))[0] == 422
    assert received_secrets(api.folder).get("production", {}) == {}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", f"{ENVIRONMENT}/secrets/A", {"encrypted_value": "AAAA"}),
        ("PUT", f"{ENVIRONMENT}/secrets/A", None),
        ("PUT", f"{ENVIRONMENT}/secrets/A", ["encrypted_value", "key_id"]),
        ("PUT", ENVIRONMENT, {"wait_timer": "5"}),
        ("PUT", ENVIRONMENT, {"wait_time": 5}),
        ("PUT", ENVIRONMENT, {"wait_timer": 50_000}),
        ("PUT", ENVIRONMENT, {"reviewers": [{"type": "Robot", "id": 1}]}),
        ("PUT", ENVIRONMENT, {"reviewers": [{"type": "User", "id": n} for n in range(7)]}),
        ("PUT", ENVIRONMENT, {"deployment_branch_policy": {"protected_branches": True, "custom_branch_policies": True}}),
        ("POST", "/repos/acme/site/issues", {}),
        ("GET", "/repos/acme/site/issues?state=shut", None),
        ("GET", "/repos/acme/site/issues?per_page=many", None),
        ("GET", "/repos/acme/site/issues?perpage=5", None),
        ("GET", "/repos/acme/site", {"a": "body"}),
    ],
)
def test_what_github_s_description_does_not_have_is_refused(api: Client, method: str, path: str, body: Any) -> None:
    before = (api.folder / "state.json").read_bytes()
    status, answer = api(method, path, body)
    assert status == 422, answer
    assert (api.folder / "state.json").read_bytes() == before


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b"{'a': 1}", b"\0" * 100])
def test_a_body_that_is_no_json_is_refused(api: Client, raw: bytes) -> None:
    assert api("PUT", ENVIRONMENT, raw)[0] == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/repos/acme/other", 404),
        ("GET", "/repos/other/site", 404),
        ("GET", "/orgs/other", 404),
        ("GET", "/repos/acme/site/environments/production/secrets/A/B", 404),
        ("GET", "/repos/acme/site/environments/none/secrets/public-key", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/repos/acme/site/issues/99", 404),
        ("DELETE", "/repos/acme/site/issues", 405),
        ("POST", f"{ENVIRONMENT}/deployment-branch-policies", 404),
    ],
)
def test_what_is_not_there_is_not_found(api: Client, method: str, path: str, status: int) -> None:
    assert api(method, path, {"name": "main"} if method == "POST" else None)[0] == status


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
def test_only_the_token_opens_it(api: Client, header: str | None) -> None:
    headers = {"user-agent": "x", **({} if header is None else {"authorization": header})}
    assert api("GET", ENVIRONMENT, headers=headers) == (
        401,
        {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401"},
    )


def test_a_client_without_a_name_is_refused_as_github_does(api: Client) -> None:
    assert api("GET", ENVIRONMENT, headers={"authorization": f"token {TOKEN}"})[0] == 403


def test_environment_names_may_hold_what_a_path_must_escape(api: Client) -> None:
    assert api("PUT", "/repos/acme/site/environments/a%2Fb%20c", {})[1]["name"] == "a/b c"
    assert api("GET", "/repos/acme/site/environments/a%2Fb%20c")[0] == 200


def test_branch_policies_follow_the_environment(api: Client) -> None:
    assert (
        api("PUT", ENVIRONMENT, {"deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True}})[0]
        == 200
    )
    place = f"{ENVIRONMENT}/deployment-branch-policies"
    made = api("POST", place, {"name": "main"})[1]
    assert api("POST", place, {"name": "main"})[0] == 303
    assert api("PUT", f"{place}/{made['id']}", {"name": "release/*"})[1]["name"] == "release/*"
    assert api("GET", place)[1]["total_count"] == 1
    assert api("DELETE", f"{place}/{made['id']}")[0] == 204
    assert api("GET", f"{place}/{made['id']}")[0] == 404


def test_issues_are_opened_found_by_label_commented_and_closed(api: Client) -> None:
    number = api("POST", "/repos/acme/site/issues", {"title": "Deployment", "body": "b", "labels": ["deployment"]})[1]["number"]
    api("POST", "/repos/acme/site/issues", {"title": "Other"})
    assert [issue["number"] for issue in api("GET", "/repos/acme/site/issues?labels=deployment")[1]] == [number]
    comment = api("POST", f"/repos/acme/site/issues/{number}/comments", {"body": "one"})[1]
    assert api("PATCH", f"/repos/acme/site/issues/comments/{comment['id']}", {"body": "two"})[1]["body"] == "two"
    assert [c["body"] for c in api("GET", f"/repos/acme/site/issues/{number}/comments")[1]] == ["two"]
    closed = api("PATCH", f"/repos/acme/site/issues/{number}", {"state": "closed", "state_reason": "completed"})[1]
    assert (closed["state"], closed["comments"], closed["closed_at"] is not None) == ("closed", 1, True)
    assert len(api("GET", "/repos/acme/site/issues?state=all")[1]) == 2
    assert len(api("GET", "/repos/acme/site/issues")[1]) == 1


def test_lists_come_in_pages(api: Client) -> None:
    for n in range(5):
        api("POST", "/repos/acme/site/issues", {"title": str(n)})
    assert [i["title"] for i in api("GET", "/repos/acme/site/issues?per_page=2&page=2")[1]] == ["2", "1"]
    assert "page=3" in (api.link("/repos/acme/site/issues?per_page=2&page=2") or "")
    assert api.link("/repos/acme/site/issues?per_page=2&page=3") is None


def test_alerts_are_those_that_a_test_put_there(api: Client) -> None:
    advisories = [
        {"security_advisory": {"severity": severity}, "state": state}
        for severity, state in [("high", "open"), ("low", "open"), ("critical", "fixed")]
    ]
    assert api("POST", "/__control", {"dependabot": advisories, "code_scanning": [{"rule": {"severity": "error"}}]})[0] == 200
    found = api("GET", "/repos/acme/site/dependabot/alerts?state=open&severity=high,critical")[1]
    assert [alert["security_advisory"]["severity"] for alert in found] == ["high"]
    assert api("GET", "/repos/acme/site/code-scanning/alerts?state=open")[1][0]["rule"]["severity"] == "error"
    assert len(api("GET", "/repos/acme/site/dependabot/alerts?per_page=1")[1]) == 1
    assert "after=1" in (api.link("/repos/acme/site/dependabot/alerts?per_page=1") or "")
    assert api("GET", "/repos/acme/site/dependabot/alerts?per_page=1&after=1")[1][0]["number"] == 2


@pytest.mark.parametrize("status", [401, 403, 422, 429, 500, 0])
def test_it_fails_on_demand_and_then_works_again(api: Client, status: int) -> None:
    assert (
        api("POST", "/__control", {"fail": {"status": status, "count": 2, "match": "PUT .*/secrets/", "retry_after": 3}})[0] == 200
    )
    sealed = api.seal("x")
    answers = [api("PUT", f"{ENVIRONMENT}/secrets/A", sealed)[0] for _ in range(3)]
    assert answers == [status, status, 201]
    assert api("GET", "/__control")[1] == {"pending": []}


@pytest.mark.parametrize(
    "orders",
    [
        b"",
        b"[]",
        b'{"unknown": 1}',
        b'{"fail": {"status": "x"}}',
        b'{"fail": {"status": 500, "match": "("}}',
        b'{"drop_secret": ["a"]}',
    ],
)
def test_an_order_that_is_none_is_refused(api: Client, orders: bytes) -> None:
    assert api("POST", "/__control", orders)[0] == 400


def test_it_remembers_over_a_restart(api: Client) -> None:
    api("PUT", f"{ENVIRONMENT}/secrets/A", api.seal("kept"))
    again = Client(api.folder)
    assert again("GET", f"{ENVIRONMENT}/secrets/A")[0] == 200
    assert received_secrets(api.folder) == {"production": {"A": "kept"}}


def test_a_secret_deleted_or_changed_by_hand_is_seen(api: Client) -> None:
    for name in ("A", "B"):
        api("PUT", f"{ENVIRONMENT}/secrets/{name}", api.seal("x"))
    before = api("GET", f"{ENVIRONMENT}/secrets/A")[1]["updated_at"]
    api("POST", "/__control", {"touch_secret": ["production", "A"], "drop_secret": ["production", "B"]})
    assert api("GET", f"{ENVIRONMENT}/secrets/A")[1]["updated_at"] > before
    assert api("GET", f"{ENVIRONMENT}/secrets/B")[0] == 404
    api("POST", "/__control", {"drop_environment": "production"})
    assert api("GET", ENVIRONMENT)[0] == 404


def test_every_operation_of_the_extract_is_answered_by_one_of_github_s_answers(api: Client) -> None:
    """No operation that the extract holds ends in the stand-in's own «500»."""
    description = Description()
    values = {"owner": "acme", "repo": "site", "org": "acme", "username": "someone", "environment_name": "production"}
    values |= {"branch_policy_id": "1", "secret_name": "A", "issue_number": "1", "comment_id": "1"}
    values |= {"artifact_id": "1", "archive_format": "zip"}
    for template, methods in OPERATIONS.items():
        path = template.format(**values)
        for method in methods:
            assert not isinstance(description.find(method, path), int), path
            body = {"title": "t", "body": "b", "name": "n"} if method in ("post", "patch") else None
            assert api(method.upper(), path, body)[0] != 500, (method, path)


def test_an_artefact_is_listed_and_its_bytes_lie_behind_a_redirection_that_takes_no_token(api: Client) -> None:
    packed = base64.b64encode(b"PK-canary").decode()
    for branch in ("main", "feature"):
        order = {"artifact": {"name": "records-production", "branch": branch, "packed": packed}}
        assert api("POST", "/__control", order)[0] == 200
    status, listed = api("GET", "/repos/acme/site/actions/artifacts?name=records-production&per_page=100")
    assert (status, listed["total_count"]) == (200, 2)
    newest = listed["artifacts"][0]
    assert newest["workflow_run"]["head_branch"] == "feature"
    assert "zip" not in newest
    token = {"authorization": f"Bearer {TOKEN}", "user-agent": "gh"}
    status, _, headers = api.github.handle("GET", f"/repos/acme/site/actions/artifacts/{newest['id']}/zip", token, b"")
    assert status == 302
    place = headers["Location"].removeprefix("{base}")
    assert api.github.handle("GET", place, {"user-agent": "gh"}, b"")[:2] == (200, b"PK-canary")
    assert api.github.handle("GET", place, token, b"")[0] == 403
    assert api.github.handle("GET", place.partition("?")[0], {}, b"")[0] == 403
    assert api("GET", "/repos/acme/site/actions/artifacts/4711/zip")[0] == 404
    assert api("GET", "/repos/acme/site/actions/artifacts?name=records-staging")[1]["artifacts"] == []


def test_a_collaborator_s_permission_is_what_a_test_says_and_none_otherwise(api: Client) -> None:
    assert api("POST", "/__control", {"permissions": {"ada": "write"}})[0] == 200
    for user, level in (("ada", "write"), ("mallory", "none")):
        assert api("GET", f"/repos/acme/site/collaborators/{user}/permission")[1]["permission"] == level
