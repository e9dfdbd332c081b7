"""The GitHub environment that holds production's secrets is guarded by people."""

from typing import Any

from rules.rule import Resource, ResourceRule, Sentences
from rules.values import UNKNOWN, entries, holds_unknown, text

ENVIRONMENT = "github:index/repositoryEnvironment:RepositoryEnvironment"


def _guarded(resource: Resource, config: dict[str, Any]) -> Sentences:
    props = resource.props
    environment = props.get("environment")
    name = f"environment {text(environment)!r}"
    if environment is UNKNOWN:
        yield f"{resource.name}: the environment's name is not known before the update. Take it from mo:github.environment."
        return
    if text(environment) not in config["environments"]:
        return
    people = [
        who
        for entry in entries(props.get("reviewers"))
        if isinstance(entry, dict)
        for key in ("users", "teams")
        for who in entries(entry.get(key))
    ]
    if holds_unknown(props.get("reviewers")) or not people:
        yield f"{name} has no reviewers that are known: any run could read its secrets. Name people in mo:github.reviewers."
    if props.get("preventSelfReview") is not True:
        yield f"{name} lets people approve their own runs. Set preventSelfReview."
    if props.get("canAdminsBypass") is not False:
        yield f"{name} lets administrators pass by its reviewers. Set canAdminsBypass to false."
    policy = props.get("deploymentBranchPolicy")
    if not isinstance(policy, dict) or True not in (policy.get("protectedBranches"), policy.get("customBranchPolicies")):
        yield f"{name} can be used from any branch. Set deploymentBranchPolicy to protected branches."


RULES = (
    ResourceRule(
        "github-environment-guarded",
        "A guarded environment has reviewers, no self-review, no way round for administrators, protected branches alone.",
        (ENVIRONMENT,),
        _guarded,
        schema={
            "environments": {
                "type": "array",
                "items": {"type": "string"},
                "default": ["production", "staging"],
                "description": "Names of the environments that must be guarded.",
            }
        },
    ),
)
