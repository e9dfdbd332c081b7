"""Services: each one is asked from outside, and what belongs to the running site is never replaced."""

from collections.abc import Iterator
from typing import Any

from rules.commands import COMMAND, request, step
from rules.rule import Resource, ResourceRule, Sentences, StackRule
from rules.values import UNKNOWN, entries, holds_unknown, number, text

HEALTH = "mo:deploy:HealthCheck"


def _question(resource: Resource, config: dict[str, Any]) -> Sentences:
    probe = resource.props.get("probe")
    if probe is UNKNOWN or holds_unknown(probe):
        yield f"{resource.name}: what the public URL must answer is not known before the update. Take it from the catalogue."
        return
    probe = probe if isinstance(probe, dict) else {}
    if number(probe.get("status")) != 200:
        yield f"{resource.name}: the public URL must answer 200; a redirect or an error will not do. Mend health.status in the catalogue."
    if not text(probe.get("domain")) or not text(probe.get("path")).startswith("/"):
        yield f"{resource.name}: has no domain and path to ask. Mend health.path in the catalogue."
    if (number(probe.get("successes")) or 0) < 1:
        yield f"{resource.name}: asks for no success at all. Set health.successes to 1 or more in the catalogue."


def _checked(resources: list[Resource], config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each service that is switched is asked from outside."""
    commands = [resource for resource in resources if resource.type == COMMAND]
    asked = {_service(resource) for resource in commands if step(resource.props) == "health"}
    for resource in commands:
        if step(resource.props) == "switch" and _service(resource) not in asked:
            yield (
                f"{_service(resource)}: is made live and never asked from outside. Give its Subdomain a HealthCheck.",
                resource.urn,
            )


def _service(resource: Resource) -> str:
    asked = request(resource.props)
    return text(asked.get("service")) if isinstance(asked, dict) else resource.name.rpartition("-")[0]


def _persistent(resource: Resource, config: dict[str, Any]) -> Sentences:
    if step(resource.props) != "switch":
        return
    asked = request(resource.props)
    if not isinstance(asked, dict):
        yield f"{resource.name}: which paths belong to the running site is not known before the update. Take them from the catalogue."
        return
    wanted = config["paths"].get(text(asked.get("service")), []) if isinstance(config["paths"], dict) else []
    kept = [text(path).strip("/") for path in entries(asked.get("persistent"))]
    for path in wanted:
        if not any(path == other or path.startswith(other + "/") for other in kept if other):
            yield f"{resource.name}: {path} belongs to the running site and would be replaced. Add it to 'persistent' in the catalogue."


RULES = (
    ResourceRule("health-question", "A health check asks for a real answer.", (HEALTH,), _question),
    StackRule("health-checked", "Every service that is made live is asked from outside.", _checked),
    ResourceRule(
        "persistent-paths",
        "What belongs to the running site is never replaced.",
        (COMMAND,),
        _persistent,
        schema={
            "paths": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "string"}},
                "default": {"crm": ["sites/default/files", "sites/default/civicrm/upload"]},
                "description": "Paths that must be persistent, by service.",
            }
        },
    ),
)
