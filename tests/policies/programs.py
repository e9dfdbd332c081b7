"""What a right program registers, as starting point for programs that violate one rule."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.policies.analyzer import Made, secret

COMMIT = "1234567890abcdef1234567890abcdef12345678"
DIGEST = "a" * 64
FIGURES: dict[str, tuple[str, str, float, float]] = {
    "trivy": ("security", "<=", 0, 0),
    "gitleaks": ("security", "<=", 0, 0),
    "dependabot": ("security", "<=", 0, 0),
    "code-scanning": ("security", "<=", 0, 0),
    "sbom": ("security", "<=", 0, 0),
    "attestation": ("security", "<=", 0, 0),
    "codacy": ("quality", ">=", 85, 85),
    "duplication": ("quality", "<=", 2, 2),
    "eslint": ("quality", "<=", 0, 0),
    "phpstan": ("quality", "<=", 0, 0),
    "phpstan-level": ("quality", ">=", 6, 6),
    "unit-tests": ("testing", ">=", 100, 100),
    "integration-tests": ("testing", ">=", 100, 100),
    "e2e-tests": ("testing", ">=", 100, 100),
    "coverage": ("testing", ">=", 80, 80),
    "lighthouse-performance": ("performance", ">=", 90, 90),
    "lighthouse-accessibility": ("performance", ">=", 90, 90),
    "lighthouse-best-practices": ("performance", ">=", 95, 95),
    "lighthouse-seo": ("performance", ">=", 90, 90),
    "personal-data": ("compliance", "<=", 0, 0),
    "wcag": ("compliance", "<=", 0, 0),
    "consent": ("compliance", ">=", 1, 1),
    "privacy-policy": ("compliance", "<=", 365, 365),
}
"""Every gate of the specification: group, comparison, threshold, and the worst figure that passes."""

PRODUCTION = [
    "main", "votes", "support", "status", "s3", "newsletter", "n8n", "media", "logs", "idp", "hooks", "grafana", "games", "forum", "docs",
    "crm", "consent", "analytics", "api", "frontend",
]  # fmt: skip


def ago(hours: float = 1) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")


def gate_props() -> dict[str, Any]:
    """The inputs of a gate on which everything passes."""
    return {
        "commit": COMMIT,
        "required": list(FIGURES),
        "maxAgeHours": 24,
        "gates": [
            {
                "name": name,
                "group": group,
                "comparison": comparison,
                "threshold": threshold,
                "reports": [
                    {
                        "path": f"quality-reports/{name}.json",
                        "digest": DIGEST,
                        "tool": name,
                        "toolVersion": "1.2.3",
                        "commit": COMMIT,
                        "time": ago(),
                        "uncommitted": False,
                        "figure": figure,
                        "count": 10,
                    }
                ],
            }
            for name, (group, comparison, threshold, figure) in FIGURES.items()
        ],
    }


def gate(stack: str = "production", **changes: Any) -> Made:
    return Made("mo:deploy:QualityGate", "quality-gate", {**gate_props(), **changes}, stack=stack)


def gate_with(name: str, *, waiver: dict[str, Any] | None = None, stack: str = "production", **report: Any) -> Made:
    """A gate on which one report has other fields; a field that is ``None`` is left out, as Pulumi does."""
    props = copy.deepcopy(gate_props())
    for entry in props["gates"]:
        if entry["name"] == name:
            merged = {**entry["reports"][0], **report}
            entry["reports"] = [{key: value for key, value in merged.items() if value is not None}]
            if waiver is not None:
                entry["waiver"] = waiver
    return Made("mo:deploy:QualityGate", "quality-gate", props, stack=stack)


def without_gate(name: str) -> Made:
    props = gate_props()
    return Made(
        "mo:deploy:QualityGate", "quality-gate", {**props, "gates": [entry for entry in props["gates"] if entry["name"] != name]}
    )


def worse(name: str) -> float:
    """A figure just beyond the threshold of a gate."""
    _, comparison, threshold, _ = FIGURES[name]
    return threshold + 0.5 if comparison == "<=" else threshold - 0.5


def waiver(**changes: Any) -> dict[str, Any]:
    return {
        "commit": COMMIT,
        "reason": "the fix is released tomorrow morning",
        "author": "Ada Lovelace",
        "expires": ago(-48),
        **changes,
    }


def rollback(**changes: Any) -> dict[str, Any]:
    return {"update": 7, "reason": "smoke tests failed", "author": "Ada Lovelace", "time": ago(0.1), **changes}


def platform(stack: str = "production", **changes: Any) -> Made:
    props = {
        "domain": "menschlichkeit-oesterreich.at",
        "services": PRODUCTION,
        "backend": "https",
        "allowFileBackend": False,
        "window": "allow",
        **changes,
    }
    return Made("mo:deploy:Platform", "platform", {key: value for key, value in props.items() if value is not None}, stack=stack)


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKcwn1lCQ4Q0Yl1E0pR5mUuP0mBYYk8FxJvIYqzQ8yHf"


def host(**changes: Any) -> Made:
    return Made("mo:deploy:Host", "host", {"name": "dmpl20230054", "hostKeys": [KEY], **changes})


def command(
    step: str, service: str = "votes", request: Any = None, *, name: str = "", stack: str = "production", **changes: Any
) -> Made:
    body = {"protocol": 1, "stack": stack, "host": "h", "service": service, **(request or {})}
    text = json.dumps(body)
    props = {
        "create": f"components/remote/run {step}",
        "stdin": secret(text) if step in ("env", "account") else text,
        "addPreviousOutputInEnv": False,
        "logging": "none",
        **changes,
    }
    return Made(
        "command:local:Command",
        name or f"{service}-{step}",
        {key: value for key, value in props.items() if value is not None},
        stack=stack,
    )


def account(**changes: Any) -> Made:
    request = {
        "server": "plesk",
        "database": "mo_votes",
        "user": "svc_votes",
        "password": "x",
        "privileges": ["ALL PRIVILEGES"],
        **changes,
    }
    return command("account", "votes", request)


def switch(service: str = "votes", persistent: list[str] | None = None, **changes: Any) -> Made:
    return command("switch", service, {"persistent": persistent or [], "release": "r0123456789abcdef"}, **changes)


PARENT = "urn:pulumi:production::mo-deploy::mo:deploy:Platform$mo:deploy:Subdomain$mo:deploy:ServiceDatabase::votes-database"


def service_database(stack: str = "production", **changes: Any) -> Made:
    props = {
        "service": "votes",
        "engine": "mariadb",
        "server": "plesk",
        "name": "mo_votes",
        "user": "svc_votes",
        "retain": True,
        **changes,
    }
    return Made("mo:deploy:ServiceDatabase", "votes-data", props, stack=stack)


def mysql_database(name: Any = "mo_votes", parent: str = PARENT) -> Made:
    return Made("mysql:index/database:Database", "votes-database", {"name": name}, parent=parent)


def role(name: Any = "svc_api", parent: str = PARENT, **changes: Any) -> Made:
    return Made("postgresql:index/role:Role", "api-role", {"name": name, "login": True, **changes}, parent=parent)


def postgresql_grant(**changes: Any) -> Made:
    props = {"database": "mo_api", "role": "public", "objectType": "database", "privileges": [], **changes}
    return Made("postgresql:index/grant:Grant", "api-grant", props, parent=PARENT)


def mysql_grant(**changes: Any) -> Made:
    props = {"database": "mo_votes", "user": "svc_votes", "privileges": ["SELECT"], **changes}
    return Made("mysql:index/grant:Grant", "votes-grant", props, parent=PARENT)


def mysql_provider(**changes: Any) -> Made:
    return Made("pulumi:providers:mysql", "server-external", {"endpoint": "db.example.net:3306", "tls": "true", **changes})


def postgresql_provider(**changes: Any) -> Made:
    return Made(
        "pulumi:providers:postgresql", "server-pg", {"host": "db.example.net", "port": "5432", "sslmode": "verify-full", **changes}
    )


def environment(**changes: Any) -> Made:
    props = {
        "repository": "monorepo",
        "environment": "production",
        "preventSelfReview": True,
        "canAdminsBypass": False,
        "reviewers": [{"users": [1]}],
        "deploymentBranchPolicy": {"protectedBranches": True, "customBranchPolicies": False},
        **changes,
    }
    return Made("github:index/repositoryEnvironment:RepositoryEnvironment", "github-environment", props)


def health(**probe: Any) -> Made:
    question = {"domain": "votes.example", "path": "/", "status": 200, "successes": 2, "timeout": 20, **probe}
    return Made("mo:deploy:HealthCheck", "votes-health-check", {"service": "votes", "probe": question})
