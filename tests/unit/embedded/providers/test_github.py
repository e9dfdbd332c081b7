"""Environments, secrets and deployment policies of GitHub, against a small API in this process."""

from __future__ import annotations

import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox

from embedded.providers import load
from embedded.providers.base import Provider, ProviderError, Resource
from embedded.values import Secret

ENVIRONMENT = "github:index/repositoryEnvironment:RepositoryEnvironment"
SECRET = "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret"
POLICY = "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy"


class Api:
    """A repository ``acme/site`` with environments; ``failures`` are answered before anything else."""

    def __init__(self) -> None:
        self.key = PrivateKey.generate()
        self.environments: dict[str, dict[str, Any]] = {}
        self.secrets: dict[str, str] = {}
        self.policies: dict[int, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.failures: list[tuple[int, dict[str, str]]] = []
        self.tokens: set[str] = set()
        self.clock = 0

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.requests.append(f"{method} {path}")
        parts = path.strip("/").split("/")[2:]
        match (method, parts):
            case ("GET", ["repos", "acme", "site"]):
                return 200, {"id": 77}
            case ("PUT", ["repos", "acme", "site", "environments", name]):
                self.environments[name] = body
                return 200, {}
            case ("GET", ["repos", "acme", "site", "environments", name]) if name in self.environments:
                return 200, self._environment(self.environments[name])
            case ("DELETE", ["repos", "acme", "site", "environments", name]) if self.environments.pop(name, None):
                return 204, None
            case ("GET", ["repositories", "77", "environments", _, "secrets", "public-key"]):
                return 200, {"key_id": "k1", "key": b64encode(bytes(self.key.public_key)).decode()}
            case ("PUT", ["repositories", "77", "environments", _, "secrets", name]):
                self.clock += 1
                self.secrets[name] = SealedBox(self.key).decrypt(b64decode(body["encrypted_value"])).decode()
                return 201, {}
            case ("GET", ["repositories", "77", "environments", _, "secrets", name]) if name in self.secrets:
                return 200, {"created_at": "2026-01-01T00:00:01Z", "updated_at": f"2026-01-01T00:00:{self.clock:02}Z"}
            case ("DELETE", ["repositories", "77", "environments", _, "secrets", name]) if self.secrets.pop(name, None):
                return 204, None
            case ("POST", ["repos", "acme", "site", "environments", _, "deployment-branch-policies"]):
                self.policies[9] = body
                return 200, {"id": 9, **body}
            case (verb, ["repos", "acme", "site", "environments", _, "deployment-branch-policies", "9"]) if 9 in self.policies:
                if verb == "DELETE":
                    del self.policies[9]
                    return 204, None
                self.policies[9].update(body or {})
                return 200, {"id": 9, **self.policies[9]}
        return 404, {"message": "Not Found"}

    @staticmethod
    def _environment(body: dict[str, Any]) -> dict[str, Any]:
        rules: list[dict[str, Any]] = [{"type": "wait_timer", "wait_timer": body["wait_timer"]}]
        if body["reviewers"]:
            reviewers = [{"type": item["type"], "reviewer": {"id": item["id"]}} for item in body["reviewers"]]
            rules.append({"type": "required_reviewers", "prevent_self_review": body["prevent_self_review"], "reviewers": reviewers})
        kept = ("can_admins_bypass", "deployment_branch_policy")
        return {"protection_rules": rules, **{key: body[key] for key in kept}}


@pytest.fixture
def api() -> Iterator[tuple[Api, str]]:
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            api.tokens.add(self.headers.get("Authorization", ""))
            headers: dict[str, str] = {}
            if api.failures:
                status, headers = api.failures.pop(0)
                found: Any = {"message": "Later"}
            else:
                status, found = api.answer(self.command, self.path, body)
            data = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

        def log_message(self, format: str, *arguments: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield api, f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def github(api: tuple[Api, str]) -> Iterator[Provider]:
    provider = load("github", "6.15.0", "/", lambda *arguments, **options: None)
    settings = {
        "baseUrl": api[1],
        "owner": "acme",
        "token": Secret("hush"),
        "writeDelayMs": "0",
        "retryDelayMs": "1",
        "version": "6.15.0",
    }
    checked, failures = provider.check_config("urn", {}, settings)
    assert not failures
    assert checked["token"] == Secret("hush")
    provider.configure(checked)
    yield provider
    provider.close()


def make(github: Provider, kind: str, **inputs: Any) -> tuple[Resource, dict[str, Any], dict[str, Any]]:
    resource = Resource(f"urn:pulumi:dev::p::{kind}::it", kind)
    checked, failures = github.check(resource, {}, inputs, b"seed")
    assert not failures
    identity, outputs = github.create(resource, checked, preview=False, timeout=0)
    return Resource(resource.urn, kind, identity), checked, outputs


def environment(github: Provider, **more: Any) -> tuple[Resource, dict[str, Any], dict[str, Any]]:
    return make(github, ENVIRONMENT, repository="site", environment="production", **more)


def test_an_environment_is_made_read_changed_and_removed(api: tuple[Api, str], github: Provider) -> None:
    reviewers = [{"teams": [3]}]
    policy = {"protectedBranches": True, "customBranchPolicies": False}
    resource, inputs, outputs = environment(github, reviewers=reviewers, deploymentBranchPolicy=policy)
    assert resource.id == outputs["id"] == "site:production"
    assert api[0].environments["production"] == {
        "wait_timer": 0,
        "reviewers": [{"type": "Team", "id": 3}],
        "can_admins_bypass": True,
        "deployment_branch_policy": {"protected_branches": True, "custom_branch_policies": False},
        "prevent_self_review": False,
    }
    assert inputs["__defaults"] == ["canAdminsBypass"]
    assert inputs["reviewers"] == [{"__defaults": [], "teams": [3]}]
    found = github.read(resource, inputs, outputs)
    assert found is not None
    assert found[1]["reviewers"] == [{"teams": [3]}]
    assert found[2]["reviewers"] == [{"teams": [3], "users": []}]
    assert github.diff(resource, inputs, found[2], inputs, []).changes == "none"
    changed, _ = github.check(resource, inputs, {**inputs, "waitTimer": 5, "reviewers": [{"teams": [3], "users": [4]}]}, b"")
    diff = github.diff(resource, inputs, outputs, changed, [])
    assert (diff.diffs, diff.replaces, diff.stables) == (["reviewers", "waitTimer"], [], ["environment"])
    after = github.update(resource, inputs, outputs, changed, preview=False, timeout=0, ignore_changes=[])
    assert (after["waitTimer"], after["repositoryId"]) == (5, 77)
    github.delete(resource, inputs, after, timeout=0)
    github.delete(resource, inputs, after, timeout=0)
    assert github.read(resource, inputs, after) is None
    assert api[0].tokens == {"Bearer hush"}


def test_a_secret_is_sealed_written_again_on_a_change_and_never_sent_in_clear(api: tuple[Api, str], github: Provider) -> None:
    given = {"repository": "site", "environment": "production", "secretName": "DOOR"}
    resource, inputs, outputs = make(github, SECRET, **given, value=Secret("open sesame"))
    assert resource.id == "site:production:DOOR"
    assert api[0].secrets == {"DOOR": "open sesame"}
    assert outputs["value"] == Secret("open sesame")
    assert outputs["plaintextValue"] == outputs["encryptedValue"] == Secret(None)
    assert outputs["updatedAt"] == "2026-01-01 00:00:01 +0000 UTC"
    before = len(api[0].requests)
    assert github.diff(resource, inputs, outputs, inputs, []).changes == "none"
    assert len(api[0].requests) == before
    news = {**inputs, "value": Secret("close sesame")}
    assert github.diff(resource, inputs, outputs, news, []).detailed == {"value": {"kind": "update", "inputDiff": False}}
    github.update(resource, inputs, outputs, news, preview=False, timeout=0, ignore_changes=[])
    assert api[0].secrets == {"DOOR": "close sesame"}
    diff = github.diff(resource, inputs, outputs, {**inputs, "secretName": "GATE"}, [])
    assert (diff.replaces, diff.delete_before_replace) == (["secretName"], True)
    github.delete(resource, inputs, outputs, timeout=0)
    assert github.read(resource, inputs, outputs) is None


def test_a_refresh_tells_a_secret_that_others_wrote(api: tuple[Api, str], github: Provider) -> None:
    given = {"repository": "site", "environment": "production", "secretName": "DOOR", "value": Secret("open sesame")}
    resource, inputs, outputs = make(github, SECRET, **given)
    api[0].clock = 30
    found = github.read(resource, inputs, outputs)
    assert found is not None
    assert found[2]["remoteUpdatedAt"] == "2026-01-01 00:00:30 +0000 UTC"
    assert found[2]["updatedAt"] == outputs["updatedAt"]
    assert found[1]["value"] == Secret("open sesame")


def test_a_deployment_policy_has_its_number(api: tuple[Api, str], github: Provider) -> None:
    resource, inputs, outputs = make(github, POLICY, repository="site", environment="a:b", branchPattern="main")
    assert resource.id == "site:a??b:9"
    assert outputs["policyId"] == 9
    assert api[0].policies == {9: {"name": "main", "type": "branch"}}
    assert "POST /api/v3/repos/acme/site/environments/a%3Ab/deployment-branch-policies" in api[0].requests
    news = {**inputs, "branchPattern": "release/*"}
    github.update(resource, inputs, outputs, news, preview=False, timeout=0, ignore_changes=[])
    assert api[0].policies[9]["name"] == "release/*"
    github.delete(resource, inputs, outputs, timeout=0)
    assert not api[0].policies


def test_an_import_knows_what_the_id_tells(api: tuple[Api, str], github: Provider) -> None:
    environment(github, waitTimer=7)
    found = github.read(Resource("urn", ENVIRONMENT, "site:production"), None, None)
    assert found is not None
    assert found[1] == {"canAdminsBypass": True, "environment": "production", "repository": "site", "waitTimer": 7}
    for wrong in ("", "site", "site:", "a:b:c", ":" * 1000):
        with pytest.raises(ProviderError, match="is no id of a RepositoryEnvironment"):
            github.read(Resource("urn", ENVIRONMENT, wrong), None, None)


@pytest.mark.parametrize(
    "failure", [(429, {"Retry-After": "0"}), (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}), (502, {})]
)
def test_it_waits_and_asks_again(api: tuple[Api, str], github: Provider, failure: tuple[int, dict[str, str]]) -> None:
    api[0].failures = [failure, failure]
    environment(github)
    assert "production" in api[0].environments


@pytest.mark.parametrize(
    ("failures", "words"),
    [
        ([(500, {})] * 9, "PUT .*: 500 Later"),
        ([(401, {})], "PUT .*: 401 Later"),
        ([(403, {})], "PUT .*: 403 Later"),
        ([(429, {"Retry-After": "86400"})], "PUT .*: 429 Later"),
    ],
)
def test_a_refusal_is_an_error_that_names_the_request(
    api: tuple[Api, str], github: Provider, failures: list[tuple[int, dict[str, str]]], words: str
) -> None:
    api[0].failures = failures
    with pytest.raises(ProviderError, match=words) as caught:
        environment(github)
    assert "hush" not in str(caught.value)


def test_a_provider_without_a_usable_address_or_owner_says_so() -> None:
    provider = load("github", "6.15.0", "/", lambda *arguments, **options: None)
    resource = Resource("urn", ENVIRONMENT)
    inputs = {"repository": "site", "environment": "production"}
    for settings, words in (
        ({"owner": "a", "baseUrl": "nonsense"}, "baseUrl 'nonsense'"),
        ({"baseUrl": "http://127.0.0.1:9/"}, "owner"),
    ):
        provider = load("github", "6.15.0", "/", lambda *arguments, **options: None)
        provider.configure(settings)
        with pytest.raises(ProviderError, match=words):
            provider.create(resource, inputs, preview=False, timeout=0)


@pytest.mark.parametrize(
    "more", [{}, {"value": "a", "plaintextValue": "b"}, {"valueEncrypted": "x"}, {"value": 7}, {"value": "a", "colour": "red"}]
)
def test_wrong_inputs_of_a_secret_are_refused(github: Provider, more: dict[str, Any]) -> None:
    inputs = {"repository": "site", "environment": "e", "secretName": "S", **more}
    assert github.check(Resource("urn:pulumi:dev::p::t::n", SECRET), {}, inputs, b"")[1]
