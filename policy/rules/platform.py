"""The stack as a whole: the gate comes first, state where all operators see it, deploys in their window, services not lost by accident."""

import threading
from dataclasses import dataclass, field
from typing import Any

from pulumi_policy import EnforcementLevel, ResourceValidationPolicy

from rules import gates
from rules.commands import COMMAND, REMOTE
from rules.databases import MYSQL_DATABASE, MYSQL_GRANT, MYSQL_USER, POSTGRESQL_DATABASE, POSTGRESQL_GRANT, POSTGRESQL_ROLE
from rules.github import ENVIRONMENT
from rules.rule import Resource, ResourceRule, Sentences
from rules.values import UNKNOWN, entries, text

PLATFORM = "mo:deploy:Platform"
SECRET = "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret"
CHANGING = (
    COMMAND, *REMOTE, MYSQL_DATABASE, MYSQL_GRANT, MYSQL_USER, POSTGRESQL_DATABASE, POSTGRESQL_GRANT, POSTGRESQL_ROLE, ENVIRONMENT, SECRET,
)  # fmt: skip
"""Types that change a host, a database or GitHub."""


@dataclass(frozen=True)
class GateFirst:
    """Refuses what changes something before a quality gate was judged in this run. The engine asks for one resource after the other, in the
    order of registration; a pack lives as long as one run."""

    name: str
    description: str
    _seen: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, resource: Resource, config: dict[str, Any]) -> Sentences:
        """Notes the gate; one sentence for a change that comes before it."""
        with self._lock:
            if resource.type == gates.GATE:
                self._seen.add(resource.stack)
            elif resource.stack not in self._seen:
                yield f"{resource.name}: comes before the quality gate. Let it depend on the QualityGate."

    def policy(self) -> ResourceValidationPolicy:
        """The policy that the pack holds."""
        return ResourceRule(self.name, self.description, (gates.GATE, *CHANGING), self.check).policy()


def _backend(resource: Resource, config: dict[str, Any]) -> Sentences:
    if resource.stack not in config["stacks"] or resource.props.get("allowFileBackend") is True:
        return
    backend = resource.props.get("backend")
    if backend is UNKNOWN or not text(backend):
        yield f"where the state of {resource.stack} is kept is not known. Log in to a backend that all operators share (pulumi login)."
    elif text(backend) == "file":
        yield (
            f"the state of {resource.stack} would be kept in files of this machine, where other operators do not see it. Log in to a "
            "shared backend (pulumi login), or set mo:allowFileBackend to true and say why in the stack's file."
        )


def _outside(config: dict[str, Any]) -> str:
    """Why now is outside the window; empty inside it."""
    now = gates.now()
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    if now.weekday() == config["weekday"] and config["from"] <= now.hour < config["to"]:
        return ""
    window = f"{days[int(config['weekday'])]} {config['from']:02.0f}:00 to {config['to']:02.0f}:00 UTC"
    return f"it is {days[now.weekday()]} {now:%H:%M} UTC, outside the deployment window {window}"


def _window(refuse: bool) -> Any:
    def check(resource: Resource, config: dict[str, Any]) -> Sentences:
        setting = resource.props.get("window")
        refused = setting == "refuse" or setting not in ("warn", "allow")
        outside = _outside(config)
        if outside and setting != "allow" and refused == refuse:
            mend = "Wait for it, or set mo:window.outside to warn." if refuse else "Go on only if it cannot wait."
            yield f"{resource.stack}: {outside}. {mend}"

    return check


def _removed(resource: Resource, config: dict[str, Any]) -> Sentences:
    services = resource.props.get("services")
    expected = config["expected"].get(resource.stack) if isinstance(config["expected"], dict) else None
    if not isinstance(services, list) or not services or UNKNOWN in services:
        yield "the list of services is missing or not known before the update. Take it from the catalogue."
        return
    if len(set(map(str, services))) != len(entries(services)):
        yield "the list of services names one twice. Mend the catalogue."
    gone = sorted(set(expected or ()) - set(services))
    if len(gone) > config["limit"]:
        yield (
            f"{len(gone)} services would be missing at once ({', '.join(gone)}), at most {config['limit']:g} allowed. Remove them one "
            "by one with 'bin/mo remove', or change the pack's list of expected services."
        )


_WINDOW = {
    "weekday": {"type": "integer", "default": 5, "minimum": 0, "maximum": 6, "description": "Day of the week; Monday is 0."},
    "from": {"type": "integer", "default": 8, "minimum": 0, "maximum": 23, "description": "First hour, UTC."},
    "to": {"type": "integer", "default": 14, "minimum": 1, "maximum": 24, "description": "The hour it ends at, UTC."},
}
_PRODUCTION = [
    "main", "votes", "support", "status", "s3", "newsletter", "n8n", "media", "logs", "idp", "hooks", "grafana", "games", "forum", "docs",
    "crm", "consent", "analytics", "api", "frontend",
]  # fmt: skip

RULES = (
    GateFirst("gate-first", "Nothing changes before the quality gate was judged."),
    ResourceRule(
        "backend-fits",
        "The state of a shared site is where all its operators see it.",
        (PLATFORM,),
        _backend,
        schema={
            "stacks": {
                "type": "array",
                "items": {"type": "string"},
                "default": ["production", "staging"],
                "description": "Stacks that several people operate.",
            }
        },
    ),
    ResourceRule(
        "deployment-window",
        "Deploys happen in their window.",
        (PLATFORM,),
        _window(False),
        EnforcementLevel.ADVISORY,
        schema=_WINDOW,
    ),
    ResourceRule("deployment-window-refused", "Deploys happen in their window only.", (PLATFORM,), _window(True), schema=_WINDOW),
    ResourceRule(
        "services-removed",
        "Services do not disappear by accident.",
        (PLATFORM,),
        _removed,
        schema={
            "limit": {
                "type": "integer",
                "default": 1,
                "minimum": 0,
                "description": "How many of the expected services may be missing.",
            },
            "expected": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
                "default": {"production": _PRODUCTION, "staging": ["api_stg", "admin_stg"]},
                "description": "The services of a stack.",
            },
        },
    ),
)
