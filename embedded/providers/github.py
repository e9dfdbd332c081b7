"""Package ``github``: a repository's environments, their secrets and deployment policies, as provider 6.15.0 makes them.

A secret's value cannot be read back: a refresh sees only when it was written, and an update writes it again. Nothing is asked of
GitHub in a run that changes nothing (the published provider asks for the owner).
"""

from __future__ import annotations

import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from embedded.providers.base import CheckFailure, Log, ProviderError, Resource
from embedded.providers.bridge import BridgedProvider
from embedded.providers.github_client import PUBLIC_API, GithubClient, Missing, segment
from embedded.providers.schema import Field, Schema
from embedded.values import PropertyMap

_TEXTS = ("value", "plaintextValue")
_SEALED = ("valueEncrypted", "encryptedValue")


def provider(version: str, project_directory: str, log: Log) -> GithubProvider:
    """A provider that is not connected to anything yet."""
    return GithubProvider(version, project_directory, log)


def _fixed(required: bool = True) -> Field:
    return Field(required=required, replace=True)


def _out(kind: str = "str") -> Field:
    return Field(kind, input=False, computed=True)


class GithubProvider(BridgedProvider):
    """The provider ``github``; its client is made when it is first needed."""

    package = "github"
    secret_settings = frozenset(("token",))
    schemas: ClassVar[Mapping[str, Schema]] = {
        "github:index/repositoryEnvironment:RepositoryEnvironment": Schema(
            {
                "canAdminsBypass": Field("bool", default=True),
                "deploymentBranchPolicy": Field(
                    "object",
                    fields={
                        "customBranchPolicies": Field("bool", required=True),
                        "protectedBranches": Field("bool", required=True),
                    },
                ),
                "environment": _fixed(),
                "preventSelfReview": Field("bool"),
                "repository": _fixed(),
                "reviewers": Field("list", fields={"teams": Field("set"), "users": Field("set")}),
                "waitTimer": Field("int"),
                "repositoryId": _out("int"),
            },
            meta_version="1",
            unstable=frozenset(("repository",)),
        ),
        "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret": Schema(
            {
                "encryptedValue": Field(secret=True, deprecated="Use valueEncrypted and keyId."),
                "environment": _fixed(),
                "keyId": Field(computed=True),
                "plaintextValue": Field(secret=True, deprecated="Use value."),
                "repository": _fixed(),
                "secretName": _fixed(),
                "value": Field(secret=True),
                "valueEncrypted": Field(secret=True),
                **{name: _out() for name in ("createdAt", "remoteUpdatedAt", "updatedAt")},
                "repositoryId": _out("int"),
            },
            meta_version="1",
            delete_first=True,
            unstable=frozenset(("repository",)),
        ),
        "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy": Schema(
            {
                "branchPattern": Field(),
                "environment": _fixed(),
                "repository": _fixed(),
                "tagPattern": Field(),
                "policyId": _out("int"),
                "repositoryId": _out("int"),
            },
            meta_version="1",
            unstable=frozenset(("repository",)),
        ),
    }

    def __init__(self, version: str, project_directory: str, log: Log) -> None:
        super().__init__(version, project_directory, log)
        self._making = threading.Lock()
        self._made: GithubClient | None = None

    @property
    def _client(self) -> GithubClient:
        with self._making:
            if self._made is None:
                defaults = {"token": os.environ.get("GITHUB_TOKEN", ""), "baseUrl": os.environ.get("GITHUB_BASE_URL", PUBLIC_API)}
                self._made = GithubClient(
                    {**defaults, **{key: value for key, value in self.settings.items() if value not in (None, "")}}
                )
            return self._made

    @property
    def _owner(self) -> str:
        owner = self.settings.get("owner") or self.settings.get("organization") or os.environ.get("GITHUB_OWNER", "")
        if not owner:
            raise ProviderError("github: no owner is configured; give the Provider `owner`, or set GITHUB_OWNER")
        return segment(str(owner))

    def close(self) -> None:
        with self._making:
            if self._made is not None:
                self._made.close()

    def validate(self, resource: Resource, inputs: dict[str, Any]) -> list[CheckFailure]:
        kind = _name(resource)
        given = {key for key, value in inputs.items() if value is not None}
        groups = {
            "ActionsEnvironmentSecret": (*_TEXTS, *_SEALED),
            "RepositoryEnvironmentDeploymentPolicy": ("branchPattern", "tagPattern"),
        }.get(kind, ())
        found = [name for name in groups if name in given]
        if groups and len(found) != 1:
            return [
                CheckFailure(groups[0], f"exactly one of {', '.join(groups)} must be given; found {', '.join(found) or 'none'}")
            ]
        if any(name in found for name in _SEALED) and "keyId" not in given:
            return [CheckFailure("keyId", "a value that is encrypted already needs the keyId of the key it was encrypted with")]
        return []

    def make(self, resource: Resource, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        repository, environment = inputs["repository"], inputs["environment"]
        match _name(resource):
            case "RepositoryEnvironment":
                self._put_environment(inputs)
                outputs = {**_environment_outputs(inputs), "repositoryId": self._repository_id(repository)}
                return f"{repository}:{_part(environment)}", outputs
            case "ActionsEnvironmentSecret":
                repository_id = self._repository_id(repository)
                return f"{repository}:{_part(environment)}:{inputs['secretName']}", self._put_secret(inputs, repository_id)
            case _:
                branch = inputs.get("branchPattern")
                body = {"name": branch or inputs.get("tagPattern"), "type": "branch" if branch else "tag"}
                made = self._client.ask("POST", self._policies(inputs), body)
                outputs = {
                    **_policy_outputs(inputs),
                    "policyId": made["id"],
                    "repositoryId": self._repository_id(repository),
                }
                return f"{repository}:{_part(environment)}:{made['id']}", outputs

    def look(self, resource: Resource, known: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        known = {key: value for key, value in known.items() if key != "id"} or self._imported(resource)
        try:
            match _name(resource):
                case "RepositoryEnvironment":
                    return resource.id, _read_environment(self._client.ask("GET", self._environment(known)), known)
                case "ActionsEnvironmentSecret":
                    found = self._client.ask("GET", self._secret(known))
                    written = _time(found["updated_at"])
                    times = {"createdAt": _time(found["created_at"]), "remoteUpdatedAt": written}
                    return resource.id, {**known, "updatedAt": known.get("updatedAt") or written, **times}
                case _:
                    found = self._client.ask("GET", f"{self._policies(known)}/{int(known['policyId'])}")
                    key = "tagPattern" if found.get("type") == "tag" else "branchPattern"
                    return resource.id, {**known, key: found["name"]}
        except Missing:
            return None

    def change(self, resource: Resource, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        match _name(resource):
            case "RepositoryEnvironment":
                self._put_environment(new)
                return {**_environment_outputs(new), "repositoryId": old.get("repositoryId")}
            case "ActionsEnvironmentSecret":
                return self._put_secret(new, int(old.get("repositoryId") or self._repository_id(new["repository"])))
            case _:
                body = {"name": new.get("branchPattern") or new.get("tagPattern")}
                self._client.ask("PUT", f"{self._policies(new)}/{int(old['policyId'])}", body)
                return {**_policy_outputs(new), "policyId": old["policyId"], "repositoryId": old.get("repositoryId")}

    def remove(self, resource: Resource, known: dict[str, Any]) -> None:
        path: dict[str, Callable[[dict[str, Any]], str]] = {
            "RepositoryEnvironment": self._environment,
            "ActionsEnvironmentSecret": self._secret,
            "RepositoryEnvironmentDeploymentPolicy": lambda values: f"{self._policies(values)}/{int(values['policyId'])}",
        }
        try:
            self._client.ask("DELETE", path[_name(resource)](known))
        except Missing:
            return

    def delta(self, resource: Resource, outputs: dict[str, Any]) -> PropertyMap | None:
        if _name(resource) != "RepositoryEnvironment":
            return {"obj": {}}
        reviewers: PropertyMap = {
            str(index): {"obj": {"ps": {key: {"arr": {}} for key in ("teams", "users") if isinstance(item.get(key), list)}}}
            for index, item in enumerate(outputs.get("reviewers") or [])
        }
        inner: PropertyMap = {"obj": {}} if outputs.get("deploymentBranchPolicy") else {}
        array: PropertyMap = {"el": reviewers} if reviewers else {}
        return {"obj": {"ps": {"deploymentBranchPolicy": {"plu": {"i": inner}}, "reviewers": {"arr": array}}}}

    def _imported(self, resource: Resource) -> dict[str, Any]:
        """What an id tells at an import."""
        parts = [part.replace("??", ":") for part in resource.id.split(":")]
        names = {"RepositoryEnvironment": 2}.get(_name(resource), 3)
        if len(parts) != names or not all(parts):
            words = ":".join(("repository", "environment", "name")[:names])
            raise ProviderError(f"{resource.id!r} is no id of a {_name(resource)}: expected {words}")
        known: dict[str, Any] = {"repository": parts[0], "environment": parts[1], "repositoryId": self._repository_id(parts[0])}
        match _name(resource):
            case "ActionsEnvironmentSecret":
                absent = dict.fromkeys((*_TEXTS, *_SEALED))
                return {**known, **absent, "secretName": parts[2], "keyId": ""}
            case "RepositoryEnvironmentDeploymentPolicy":
                return {
                    **known,
                    "branchPattern": None,
                    "tagPattern": None,
                    "policyId": int(parts[2]) if parts[2].isdecimal() else 0,
                }
            case _:
                return {**_environment_outputs(known), **known}

    def _repository_id(self, repository: str) -> int:
        return int(self._client.ask("GET", f"repos/{self._owner}/{segment(repository)}")["id"])

    def _environment(self, values: dict[str, Any]) -> str:
        return f"repos/{self._owner}/{segment(values['repository'])}/environments/{segment(values['environment'])}"

    def _policies(self, values: dict[str, Any]) -> str:
        return f"{self._environment(values)}/deployment-branch-policies"

    def _secrets(self, values: dict[str, Any]) -> str:
        return f"repositories/{int(values['repositoryId'])}/environments/{segment(values['environment'])}/secrets"

    def _secret(self, values: dict[str, Any]) -> str:
        return f"{self._secrets(values)}/{segment(values['secretName'])}"

    def _put_environment(self, inputs: dict[str, Any]) -> None:
        reviewers = [
            {"type": kind, "id": int(number)}
            for item in inputs.get("reviewers") or []
            for kind, key in (("Team", "teams"), ("User", "users"))
            for number in item.get(key) or []
        ]
        policy = inputs.get("deploymentBranchPolicy")
        body = {
            "wait_timer": int(inputs.get("waitTimer") or 0),
            "reviewers": reviewers or None,
            "can_admins_bypass": bool(inputs.get("canAdminsBypass", True)),
            "deployment_branch_policy": {
                "protected_branches": bool(policy.get("protectedBranches")),
                "custom_branch_policies": bool(policy.get("customBranchPolicies")),
            }
            if policy
            else None,
            "prevent_self_review": bool(inputs.get("preventSelfReview")),
        }
        self._client.ask("PUT", self._environment(inputs), body)

    def _put_secret(self, inputs: dict[str, Any], repository_id: int) -> dict[str, Any]:
        values = {**inputs, "repositoryId": repository_id}
        sealed = next((inputs[name] for name in _SEALED if inputs.get(name)), None)
        key_id = inputs.get("keyId") or ""
        if sealed is None:
            key = self._client.ask("GET", f"{self._secrets(values)}/public-key")
            text = next((inputs[name] for name in _TEXTS if inputs.get(name) is not None), "")
            sealed, key_id = _sealed(key["key"], text), key["key_id"]
        self._client.ask("PUT", self._secret(values), {"key_id": key_id, "encrypted_value": sealed})
        found = self._client.ask("GET", self._secret(values))
        written = _time(found["updated_at"])
        return {
            **dict.fromkeys((*_TEXTS, *_SEALED)),
            **{key: value for key, value in values.items() if value is not None},
            "keyId": key_id,
            "createdAt": _time(found["created_at"]),
            "updatedAt": written,
            "remoteUpdatedAt": written,
        }


def _name(resource: Resource) -> str:
    return resource.type.rsplit(":", 1)[-1]


def _part(text: str) -> str:
    return text.replace(":", "??")


def _sealed(key: str, text: str) -> str:
    """``text`` in a box that only GitHub can open."""
    from nacl.exceptions import CryptoError
    from nacl.public import PublicKey, SealedBox

    try:
        return b64encode(SealedBox(PublicKey(b64decode(key, validate=True))).encrypt(text.encode())).decode()
    except (ValueError, TypeError, CryptoError):
        raise ProviderError("GitHub's public key for secrets is no 32 bytes in base64") from None


def _time(text: Any) -> str:
    """A time of the API as Go prints it: ``2026-01-01 00:00:03 +0000 UTC``."""
    try:
        return datetime.fromisoformat(str(text)).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
    except ValueError:
        return str(text)


def _environment_outputs(inputs: dict[str, Any]) -> dict[str, Any]:
    policy = inputs.get("deploymentBranchPolicy")
    return {
        "canAdminsBypass": inputs.get("canAdminsBypass", True),
        "deploymentBranchPolicy": {key: value for key, value in policy.items() if not key.startswith("__")} if policy else None,
        "environment": inputs["environment"],
        "preventSelfReview": bool(inputs.get("preventSelfReview")),
        "repository": inputs["repository"],
        "reviewers": [{"teams": item.get("teams"), "users": item.get("users")} for item in inputs.get("reviewers") or []],
        "waitTimer": int(inputs.get("waitTimer") or 0),
    }


def _read_environment(found: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """An environment as it is; what GitHub does not tell (no reviewers) stays as it was."""
    policy = found.get("deployment_branch_policy")
    outputs = {
        **known,
        "waitTimer": 0,
        "canAdminsBypass": found.get("can_admins_bypass", True),
        "deploymentBranchPolicy": {
            "customBranchPolicies": policy["custom_branch_policies"],
            "protectedBranches": policy["protected_branches"],
        }
        if policy
        else None,
    }
    for rule in found.get("protection_rules") or []:
        if rule.get("type") == "wait_timer":
            outputs["waitTimer"] = rule.get("wait_timer", 0)
        elif rule.get("type") == "required_reviewers":
            by_type = {"Team": "teams", "User": "users"}
            reviewers: dict[str, list[int]] = {"teams": [], "users": []}
            for item in rule.get("reviewers") or []:
                reviewers[by_type.get(item.get("type"), "users")].append(item["reviewer"]["id"])
            outputs["reviewers"] = [reviewers]
            outputs["preventSelfReview"] = bool(rule.get("prevent_self_review"))
    return outputs


def _policy_outputs(inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: inputs.get(name) for name in ("branchPattern", "environment", "repository", "tagPattern")}
