"""What the other rules judge is all that there is: no type and no input beside those that they know."""

from collections.abc import Mapping
from typing import Any

from rules.commands import COMMAND, REMOTE
from rules.rule import Resource, ResourceRule, Sentences

COMPONENTS = "mo:deploy:"
_PROVIDER = frozenset({"version", "__internal", "__defaults"})
_HARMLESS = frozenset({"__defaults"})
INPUTS: Mapping[str, frozenset[str]] = {
    "pulumi:providers:command": _PROVIDER,
    "pulumi:providers:random": _PROVIDER,
    "pulumi:providers:pulumi": _PROVIDER,
    "pulumi:providers:mysql": _PROVIDER
    | {"endpoint", "username", "password", "proxy", "tls", "maxConnLifetimeSec", "maxOpenConns"},
    "pulumi:providers:postgresql": _PROVIDER
    | {
        *("host", "port", "username", "password", "sslmode", "sslrootcert", "superuser", "connectTimeout", "maxConnections"),
        *("expectedVersion", "database"),
    },
    "pulumi:providers:github": _PROVIDER | {"baseUrl", "owner", "token", "writeDelayMs", "readDelayMs"},
    "random:index/randomPassword:RandomPassword": frozenset(
        {
            *("length", "special", "overrideSpecial", "lower", "upper", "numeric", "number", "minLower", "minUpper", "minNumeric"),
            *("minSpecial", "keepers"),
        }
    ),
    "mysql:index/database:Database": frozenset({"name", "defaultCharacterSet", "defaultCollation"}),
    "mysql:index/user:User": frozenset({"user", "host", "plaintextPassword", "tlsOption"}),
    "mysql:index/grant:Grant": frozenset({"database", "user", "host", "table", "privileges", "grant", "tlsOption"}),
    "postgresql:index/database:Database": frozenset({"name", "encoding", "template", "lcCollate", "lcCtype", "connectionLimit"}),
    "postgresql:index/role:Role": frozenset(
        {
            *(
                "name",
                "login",
                "password",
                "connectionLimit",
                "validUntil",
                "skipDropRole",
                "skipReassignOwned",
                "statementTimeout",
            ),
            *(
                "idleInTransactionSessionTimeout",
                "superuser",
                "createDatabase",
                "createRole",
                "replication",
                "bypassRowLevelSecurity",
            ),
        }
    ),
    "postgresql:index/grant:Grant": frozenset({"database", "role", "objectType", "schema", "privileges", "withGrantOption"}),
    "github:index/repositoryEnvironment:RepositoryEnvironment": frozenset(
        {
            *("environment", "repository", "canAdminsBypass", "deploymentBranchPolicy", "preventSelfReview", "reviewers"),
            *("waitTimer",),
        }
    ),
    "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret": frozenset(
        {"environment", "repository", "secretName", "value"}
    ),
}
"""Each type that a program may make, with the inputs that a rule judges or that change nothing which a rule protects."""
_DEFAULTS: Mapping[str, Any] = {
    "allowConnections": True, "connectionLimit": -1, "encryptedPassword": True, "inherit": True, "tablespaceName": "DEFAULT",
    "tlsOption": "NONE", "scheme": "postgres", "maxConnections": 20,
}  # fmt: skip
"""What providers fill in by themselves, beside false, nothing and zero."""
_TEMPLATES = ("template0", "template1")


def _judged(resource: Resource, config: dict[str, Any]) -> Sentences:
    kind, name = resource.type, resource.name
    if kind.startswith((COMPONENTS, "pulumi:pulumi:")) or kind in (COMMAND, *REMOTE):
        return  # command-constant judges every input of a command
    known = INPUTS.get(kind)
    if known is None:
        if kind not in config["types"]:
            yield f"{name}: no rule knows {kind}. Use a type that one judges, or name it in this rule's setting types."
        return
    for key, value in resource.props.items():
        if key in known or key in _HARMLESS or not _set(key, value):
            continue
        yield f"{name}: no rule judges its {key}. Leave it out, or add it to policy/rules/inputs.py with what it may be."
    template = resource.props.get("template")
    if kind == "postgresql:index/database:Database" and template is not None and template not in _TEMPLATES:
        yield f"{name}: it would be a copy of the database {template!r}. Set template to template0."


def _set(key: str, value: Any) -> bool:
    """Whether the program has said something of it, and not the provider."""
    return value not in (None, False, "", 0, [], {}) and value != _DEFAULTS.get(key)


RULES = (
    ResourceRule(
        "inputs-judged",
        "There are no types and no inputs beside those that the rules know.",
        (),
        _judged,
        schema={
            "types": {
                "type": "array",
                "items": {"type": "string"},
                "default": [],
                "description": "Further types that a program may make.",
            }
        },
    ),
)
