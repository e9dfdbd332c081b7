"""What each operation does, by its ``operationId``. A request has passed the description when it comes here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.github.description import Description
from sandbox.github.store import Store

BLOBS = "/__blobs/"
"""Where the bytes of artefacts are: GitHub redirects to a store that asks for no token but a signature in the address."""
_SECRET_NAME = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]*")
_SECRETS_AT_MOST = 100
_SECRET_BYTES = 48 * 1024
_WAIT_AT_MOST = 43200
_REVIEWERS_AT_MOST = 6


class RefusedError(Exception):
    """GitHub's own refusal of a well-formed request."""

    def __init__(self, status: int, message: str = "Not Found") -> None:
        self.status, self.message = status, message
        super().__init__(message)


@dataclass(frozen=True)
class Call:
    """One request: path values, query and body, and the page of a list it asks for."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """Status, JSON body (``None``: none), of a list whether more follow, and where a redirection leads (``{base}``: this server)."""

    status: int
    body: Any = None
    more: bool = False
    location: str | None = None


class Endpoints:
    """All operations on one organisation's one repository."""

    def __init__(self, store: Store, description: Description, owner: str, repository: str) -> None:
        self._store, self._description = store, description
        self._owner, self._repository = owner, repository
        self._operations: dict[str, Callable[[Call], Answer]] = {
            "rate-limit/get": self._rate_limit,
            "users/get-authenticated": lambda _: Answer(200, self._user("mo-deploy", "private-user")),
            "users/get-by-username": self._get_user,
            "orgs/get": self._get_organisation,
            "repos/get": lambda _: Answer(200, self._full_repository()),
            "repos/get-all-environments": self._list_environments,
            "repos/get-environment": lambda call: Answer(200, self._environment(call)),
            "repos/create-or-update-environment": self._put_environment,
            "repos/delete-an-environment": self._delete_environment,
            "repos/list-deployment-branch-policies": self._list_policies,
            "repos/create-deployment-branch-policy": self._post_policy,
            "repos/get-deployment-branch-policy": lambda call: Answer(200, self._policy(call)),
            "repos/update-deployment-branch-policy": self._put_policy,
            "repos/delete-deployment-branch-policy": self._delete_policy,
            "actions/list-environment-secrets": self._list_secrets,
            "actions/get-environment-public-key": self._public_key,
            "actions/get-environment-secret": lambda call: Answer(200, _shown(self._secret(call))),
            "actions/create-or-update-environment-secret": self._put_secret,
            "actions/delete-environment-secret": self._delete_secret,
            "issues/list-for-repo": self._list_issues,
            "issues/create": self._post_issue,
            "issues/get": lambda call: Answer(200, self._issue(call)),
            "issues/update": self._patch_issue,
            "issues/list-comments": self._list_comments,
            "issues/create-comment": self._post_comment,
            "issues/get-comment": lambda call: Answer(200, self._comment(call)),
            "issues/update-comment": self._patch_comment,
            "issues/delete-comment": self._delete_comment,
            "actions/list-artifacts-for-repo": self._list_artifacts,
            "actions/download-artifact": self._download_artifact,
            "repos/get-collaborator-permission-level": self._permission,
            "dependabot/list-alerts-for-repo": lambda call: self._alerts(call, "dependabot", "dependabot-alert"),
            "code-scanning/list-alerts-for-repo": lambda call: self._alerts(call, "code_scanning", "code-scanning-alert-items"),
        }

    def answer(self, name: str, call: Call) -> Answer:
        """Carries out one operation. Raises ``RefusedError``."""
        if {"owner", "repo"} <= call.path.keys() and (call.path["owner"].lower(), call.path["repo"].lower()) != (
            self._owner.lower(),
            self._repository.lower(),
        ):
            raise RefusedError(404)
        return self._operations[name](call)

    # Who and where

    def _rate_limit(self, _: Call) -> Answer:
        rate = {"limit": 5000, "used": 1, "remaining": 4999, "reset": 4102444800}
        return Answer(200, {"resources": {"core": rate, "search": rate}, "rate": rate})

    def _user(self, login: str, schema: str = "simple-user") -> dict[str, Any]:
        known = {"login": login, "id": 1000 + sum(login.encode()), "type": "User", "node_id": "U_1"}
        return self._description.sample(schema, known)

    def _get_user(self, call: Call) -> Answer:
        if call.path["username"].lower() == self._owner.lower():
            return Answer(200, {**self._user(self._owner, "public-user"), "type": "Organization"})
        return Answer(200, self._user(call.path["username"], "public-user"))

    def _get_organisation(self, call: Call) -> Answer:
        if call.path["org"].lower() != self._owner.lower():
            raise RefusedError(404)
        known = {"login": self._owner, "id": 5, "node_id": "O_5", "type": "Organization"}
        return Answer(200, self._description.sample("organization-full", known))

    def _full_repository(self) -> dict[str, Any]:
        name, full = self._repository, f"{self._owner}/{self._repository}"
        owner = {**self._user(self._owner), "type": "Organization"}
        known = {"id": 77, "node_id": "R_77", "name": name, "full_name": full, "private": True, "visibility": "private"}
        return self._description.sample("full-repository", {**known, "default_branch": "main", "owner": owner})

    # Environments

    def _environment(self, call: Call) -> dict[str, Any]:
        found: dict[str, Any] | None = self._store.data["environments"].get(call.path["environment_name"])
        if found is None:
            raise RefusedError(404)
        return found

    def _list_environments(self, call: Call) -> Answer:
        return _page(call, list(self._store.data["environments"].values()), "environments")

    def _put_environment(self, call: Call) -> Answer:
        name, body = call.path["environment_name"], call.body or {}
        policy, reviewers = body.get("deployment_branch_policy"), body.get("reviewers") or []
        if policy and policy["protected_branches"] == policy["custom_branch_policies"]:
            raise RefusedError(422, "protected_branches and custom_branch_policies cannot have the same value")
        if not 0 <= (body.get("wait_timer") or 0) <= _WAIT_AT_MOST:
            raise RefusedError(422, f"Wait timer must be between 0 and {_WAIT_AT_MOST}")
        if len(reviewers) > _REVIEWERS_AT_MOST:
            raise RefusedError(422, f"At most {_REVIEWERS_AT_MOST} reviewers")
        rules: list[dict[str, Any]] = []
        if body.get("wait_timer"):
            rules.append({"id": 1, "node_id": "GA_1", "type": "wait_timer", "wait_timer": body["wait_timer"]})
        if reviewers:
            listed = [{"type": reviewer["type"], "reviewer": self._reviewer(reviewer)} for reviewer in reviewers]
            own = bool(body.get("prevent_self_review"))
            rules.append(
                {"id": 2, "node_id": "GA_2", "type": "required_reviewers", "prevent_self_review": own, "reviewers": listed}
            )
        if policy:
            rules.append({"id": 3, "node_id": "GA_3", "type": "branch_policy"})
        held = self._store.data["environments"].get(name)
        now = self._store.now()
        made = self._description.sample(
            "environment",
            {
                "id": held["id"] if held else self._store.number(),
                "node_id": "EN_1",
                "name": name,
                "protection_rules": rules,
                "deployment_branch_policy": policy,
                "can_admins_bypass": body.get("can_admins_bypass") is not False,
                "created_at": held["created_at"] if held else now,
                "updated_at": now,
            },
        )
        self._store.data["environments"][name] = made
        if not (policy and policy["custom_branch_policies"]):
            self._store.data["policies"].pop(name, None)
        return Answer(200, made)

    def _reviewer(self, reviewer: dict[str, Any]) -> dict[str, Any]:
        if reviewer["type"] == "Team":
            return self._description.sample("team", {"id": reviewer["id"], "name": "team", "slug": "team"})
        return {**self._user(f"user-{reviewer['id']}"), "id": reviewer["id"]}

    def _delete_environment(self, call: Call) -> Answer:
        self._environment(call)
        for kind in ("environments", "policies", "secrets"):
            self._store.data[kind].pop(call.path["environment_name"], None)
        return Answer(204)

    # Branch policies

    def _policies(self, call: Call) -> dict[str, Any]:
        policy = self._environment(call).get("deployment_branch_policy")
        if not (policy and policy["custom_branch_policies"]):
            raise RefusedError(404)
        held: dict[str, Any] = self._store.data["policies"].setdefault(call.path["environment_name"], {})
        return held

    def _policy(self, call: Call) -> dict[str, Any]:
        found: dict[str, Any] | None = self._policies(call).get(call.path["branch_policy_id"])
        if found is None:
            raise RefusedError(404)
        return found

    def _list_policies(self, call: Call) -> Answer:
        self._environment(call)
        held = self._store.data["policies"].get(call.path["environment_name"], {})
        return _page(call, list(held.values()), "branch_policies")

    def _post_policy(self, call: Call) -> Answer:
        held = self._policies(call)
        if any(policy["name"] == call.body["name"] for policy in held.values()):
            return Answer(303)
        number = self._store.number()
        held[str(number)] = {
            "id": number,
            "node_id": f"GBP_{number}",
            "name": call.body["name"],
            "type": call.body.get("type", "branch"),
        }
        return Answer(200, held[str(number)])

    def _put_policy(self, call: Call) -> Answer:
        policy = self._policy(call)
        policy["name"] = call.body["name"]
        return Answer(200, policy)

    def _delete_policy(self, call: Call) -> Answer:
        self._policies(call).pop(str(self._policy(call)["id"]))
        return Answer(204)

    # Secrets

    def _secrets(self, call: Call) -> dict[str, Any]:
        self._environment(call)
        held: dict[str, Any] = self._store.data["secrets"].setdefault(call.path["environment_name"], {})
        return held

    def _secret(self, call: Call) -> dict[str, Any]:
        found: dict[str, Any] | None = self._secrets(call).get(call.path["secret_name"].upper())
        if found is None:
            raise RefusedError(404)
        return found

    def _public_key(self, call: Call) -> Answer:
        self._environment(call)
        return Answer(200, self._store.public_key)

    def _list_secrets(self, call: Call) -> Answer:
        return _page(call, [_shown(secret) for secret in self._secrets(call).values()], "secrets")

    def _put_secret(self, call: Call) -> Answer:
        held, name = self._secrets(call), call.path["secret_name"].upper()
        if not _SECRET_NAME.fullmatch(name):
            raise RefusedError(
                422, "Secret names can only contain alphanumeric characters or underscores and not start with GITHUB_"
            )
        if call.body["key_id"] != self._store.public_key["key_id"]:
            raise RefusedError(422, "The key_id is not the current public key's")
        opened = self._store.opens(call.body["encrypted_value"])
        if opened is None:
            raise RefusedError(422, "Improperly encrypted secret")
        if len(opened) > _SECRET_BYTES:
            raise RefusedError(422, "Secret values are limited to 48 KB")
        if name not in held and len(held) >= _SECRETS_AT_MOST:
            raise RefusedError(422, f"At most {_SECRETS_AT_MOST} secrets for an environment")
        now, new = self._store.now(), name not in held
        held[name] = {
            "name": name,
            "created_at": now if new else held[name]["created_at"],
            "updated_at": now,
            "sealed": call.body["encrypted_value"],
        }
        return Answer(201, {}) if new else Answer(204)

    def _delete_secret(self, call: Call) -> Answer:
        self._secrets(call).pop(self._secret(call)["name"])
        return Answer(204)

    # Issues

    def _issue(self, call: Call) -> dict[str, Any]:
        found: dict[str, Any] | None = self._store.data["issues"].get(call.path["issue_number"])
        if found is None:
            raise RefusedError(404)
        return found

    def _list_issues(self, call: Call) -> Answer:
        state, labels = call.query.get("state", "open"), [x for x in call.query.get("labels", "").split(",") if x]
        found = [
            issue
            for issue in reversed(self._store.data["issues"].values())
            if state in ("all", issue["state"]) and set(labels) <= {label["name"] for label in issue["labels"]}
        ]
        return _page(call, found)

    def _post_issue(self, call: Call) -> Answer:
        number, now = self._store.number(), self._store.now()
        web = f"https://github.example/{self._owner}/{self._repository}/issues/{number}"
        known = {
            "id": 10_000 + number,
            "number": number,
            "title": str(call.body["title"]),
            "body": call.body.get("body"),
            "state": "open",
        }
        known |= {"labels": self._labels(call.body.get("labels")), "user": self._user("mo-deploy"), "html_url": web}
        known |= {"comments": 0, "created_at": now, "updated_at": now, "closed_at": None, "state_reason": None}
        self._store.data["issues"][str(number)] = self._description.sample("issue", known)
        return Answer(201, self._store.data["issues"][str(number)])

    def _patch_issue(self, call: Call) -> Answer:
        issue, body, now = self._issue(call), call.body or {}, self._store.now()
        issue.update({key: body[key] for key in ("title", "body", "state", "state_reason") if key in body})
        if "labels" in body:
            issue["labels"] = self._labels(body["labels"])
        issue.update(updated_at=now, closed_at=now if issue["state"] == "closed" else None)
        return Answer(200, issue)

    def _labels(self, given: list[Any] | None) -> list[dict[str, Any]]:
        names = [label if isinstance(label, str) else label["name"] for label in given or []]
        return [
            {"id": 1, "node_id": "LA_1", "url": "", "name": name, "description": None, "color": "ededed", "default": False}
            for name in names
        ]

    def _list_comments(self, call: Call) -> Answer:
        issue = self._issue(call)
        return _page(call, [c for c in self._store.data["comments"].values() if c["issue_url"].endswith(f"/{issue['number']}")])

    def _post_comment(self, call: Call) -> Answer:
        issue, number, now = self._issue(call), self._store.number(), self._store.now()
        url = f"https://github.example/repos/{self._owner}/{self._repository}/issues/{issue['number']}"
        known = {
            "id": number,
            "body": call.body["body"],
            "user": self._user("mo-deploy"),
            "issue_url": url,
            "created_at": now,
            "updated_at": now,
        }
        self._store.data["comments"][str(number)] = self._description.sample("issue-comment", known)
        issue.update(comments=issue["comments"] + 1, updated_at=now)
        return Answer(201, self._store.data["comments"][str(number)])

    def _comment(self, call: Call) -> dict[str, Any]:
        found: dict[str, Any] | None = self._store.data["comments"].get(call.path["comment_id"])
        if found is None:
            raise RefusedError(404)
        return found

    def _patch_comment(self, call: Call) -> Answer:
        comment = self._comment(call)
        comment.update(body=call.body["body"], updated_at=self._store.now())
        return Answer(200, comment)

    def _delete_comment(self, call: Call) -> Answer:
        self._store.data["comments"].pop(str(self._comment(call)["id"]))
        return Answer(204)

    # Artefacts of workflow runs, and who may do what

    def _list_artifacts(self, call: Call) -> Answer:
        """The newest first, as GitHub lists them; those that ``/__control`` put there."""
        found = [
            {key: value for key, value in artifact.items() if key != "zip"}
            for artifact in reversed(self._store.data["artifacts"].values())
            if call.query.get("name") in (None, artifact["name"])
        ]
        return _page(call, found, "artifacts")

    def _download_artifact(self, call: Call) -> Answer:
        artifact = self._store.data["artifacts"].get(call.path["artifact_id"])
        if artifact is None or call.path["archive_format"] != "zip":
            raise RefusedError(404)
        if artifact["expired"]:
            raise RefusedError(410, "Artifact has expired")
        return Answer(302, location=f"{{base}}{BLOBS}{artifact['id']}.zip?sig=stand-in")

    def keep_artifact(self, name: str, branch: str, packed: str) -> int:
        """What an upload of a run on ``branch`` leaves. ``packed``: a ZIP file in base64. The artefact's number."""
        number, now = self._store.number(), self._store.now()
        run = {"id": number, "repository_id": 77, "head_repository_id": 77, "head_branch": branch, "head_sha": "0" * 40}
        known = {"id": number, "name": name, "node_id": "MDg6", "size_in_bytes": len(packed) * 3 // 4, "expired": False}
        known |= {"created_at": now, "updated_at": now, "expires_at": None, "workflow_run": run}
        self._store.data["artifacts"][str(number)] = {**self._description.sample("artifact", known), "zip": packed}
        return number

    def _permission(self, call: Call) -> Answer:
        level = self._store.data["permissions"].get(call.path["username"], "none")
        known = {"permission": level, "role_name": level, "user": None}
        return Answer(200, self._description.sample("repository-collaborator-permission", known))

    # Alerts

    def _alerts(self, call: Call, kind: str, schema: str) -> Answer:
        """The alerts that ``/__control`` put there; each is given by what matters and completed from the description."""
        wanted_state = set(call.query.get("state", "").split(",")) - {""}
        wanted_severity = set(call.query.get("severity", "").split(",")) - {""}
        found = []
        for number, given in enumerate(self._store.data[kind], 1):
            alert = self._description.sample(schema, {"number": number, "state": "open"})
            merged = _merged(alert, given)
            severity = merged.get("security_advisory", {}).get("severity") or merged.get("rule", {}).get("severity")
            if (not wanted_state or merged["state"] in wanted_state) and (not wanted_severity or severity in wanted_severity):
                found.append(merged)
        return _page(call, found)


def _shown(secret: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in secret.items() if key != "sealed"}


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}
    return above


def _page(call: Call, found: list[Any], name: str | None = None) -> Answer:
    """One page of a list, 30 a page unless asked, at most 100; with ``name``, in an object with the count of all."""
    size = max(1, min(100, int(call.query.get("per_page", "30"))))
    first = (max(1, int(call.query.get("page", "1"))) - 1) * size
    if "after" in call.query and call.query["after"].isdigit():
        first = int(call.query["after"])
    shown = found[first : first + size]
    body = {"total_count": len(found), name: shown} if name else shown
    return Answer(200, body, more=first + size < len(found))
