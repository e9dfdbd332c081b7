"""Makes ``openapi.json``: the operations that the stand-in answers, out of GitHub's published description.

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    python -m sandbox.github.trim package/generated/api.github.com.json package/package.json

Keeps paths, parameters, request bodies, responses and the components that they refer to; leaves out prose and examples.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

EXTRACT = Path(__file__).parent / "openapi.json"
_REPO = "/repos/{owner}/{repo}"
_ENVIRONMENT = f"{_REPO}/environments/{{environment_name}}"
OPERATIONS = {
    "/rate_limit": ["get"],
    "/user": ["get"],
    "/users/{username}": ["get"],
    "/orgs/{org}": ["get"],
    _REPO: ["get"],
    f"{_REPO}/environments": ["get"],
    _ENVIRONMENT: ["get", "put", "delete"],
    f"{_ENVIRONMENT}/deployment-branch-policies": ["get", "post"],
    f"{_ENVIRONMENT}/deployment-branch-policies/{{branch_policy_id}}": ["get", "put", "delete"],
    f"{_ENVIRONMENT}/secrets": ["get"],
    f"{_ENVIRONMENT}/secrets/public-key": ["get"],
    f"{_ENVIRONMENT}/secrets/{{secret_name}}": ["get", "put", "delete"],
    f"{_REPO}/issues": ["get", "post"],
    f"{_REPO}/issues/{{issue_number}}": ["get", "patch"],
    f"{_REPO}/issues/{{issue_number}}/comments": ["get", "post"],
    f"{_REPO}/issues/comments/{{comment_id}}": ["get", "patch", "delete"],
    f"{_REPO}/actions/artifacts": ["get"],
    f"{_REPO}/actions/artifacts/{{artifact_id}}/{{archive_format}}": ["get"],
    f"{_REPO}/collaborators/{{username}}/permission": ["get"],
    f"{_REPO}/dependabot/alerts": ["get"],
    f"{_REPO}/code-scanning/alerts": ["get"],
}
_PROSE = {
    "description",
    "summary",
    "examples",
    "example",
    "externalDocs",
    "x-github",
    "x-octokit",
    "tags",
    "x-github-breaking-changes",
}


def trim(whole: dict[str, Any], version: str) -> dict[str, Any]:
    """The extract. Raises ``KeyError`` where the description has no such operation any more."""
    paths = {
        path: {
            **{k: v for k, v in whole["paths"][path].items() if k == "parameters"},
            **{m: whole["paths"][path][m] for m in methods},
        }
        for path, methods in OPERATIONS.items()
    }
    components: dict[str, dict[str, Any]] = {}
    queue = sorted(_references(paths))
    while queue:
        _, _, kind, name = queue.pop().split("/")
        if name not in components.setdefault(kind, {}):
            components[kind][name] = whole["components"][kind][name]
            queue += sorted(_references(components[kind][name]))
    return {
        "openapi": whole["openapi"],
        "info": {
            "title": "GitHub's REST API (extract)",
            "version": whole["info"]["version"],
            "license": {"name": "MIT"},
            "x-source": f"npm package @octokit/openapi {version}, generated/api.github.com.json; operations, parameters and schemas only; "
            "Copyright (c) 2020 Octokit contributors, MIT License; the description itself: github/rest-api-description, MIT License",
        },
        "paths": {path: _without_prose(paths[path]) for path in sorted(paths)},
        "components": {
            kind: {name: _without_prose(held[name]) for name in sorted(held)} for kind, held in sorted(components.items())
        },
    }


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return found.union(*(_references(v) for k, v in value.items() if k not in _PROSE)) if value else found
    if isinstance(value, list):
        return set().union(*(_references(v) for v in value))
    return set()


def _without_prose(value: Any, names: bool = False) -> Any:
    """``names``: the keys are names of properties, which may be called like a keyword."""
    if isinstance(value, dict):
        return {k: _without_prose(v, k in ("properties", "responses")) for k, v in value.items() if names or k not in _PROSE}
    if isinstance(value, list):
        return [_without_prose(v) for v in value]
    return value


if __name__ == "__main__":
    description, package = (json.loads(Path(argument).read_text()) for argument in sys.argv[1:3])
    EXTRACT.write_text(json.dumps(trim(description, package["version"]), indent=1, ensure_ascii=False) + "\n")
