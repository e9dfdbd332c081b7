"""Commands: a constant call, the request on stdin, no secret where the state or a process list shows it."""

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi_policy import EnforcementLevel, ResourceValidationArgs, ResourceValidationPolicy
from pulumi_policy.deserialize import serialize_properties
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from rules.rule import Resource, ResourceRule, Sentences
from rules.values import UNKNOWN, holds_unknown

COMMAND = "command:local:Command"
REMOTE = ("command:remote:Command", "command:remote:CopyFile", "command:remote:CopyToRemote")
SECRET_STEPS = ("env", "account", "revoke")
_CALL = re.compile(r"components/remote/run ([a-z]+)")
_JUDGED = frozenset({"create", "update", "delete", "stdin", "logging", "triggers", "environment", "addPreviousOutputInEnv"})
_OTHERS = {
    "dir": "is another folder, whose components/remote/run would be called",
    "interpreter": "decides what its create means",
    "assetPaths": "brings files of the machine into the state",
    "archivePaths": "brings files of the machine into the state",
}
_SECRET_KEYS = re.compile(r"password|passwd|secret|token|private_?key|variables", re.IGNORECASE)


def step(props: Mapping[str, Any]) -> str:
    """The step that a command calls; empty where it is no call of ours."""
    found = _CALL.fullmatch(props["create"]) if isinstance(props.get("create"), str) else None
    return found.group(1) if found else ""


def request(props: Mapping[str, Any]) -> Any:
    """The request on a command's stdin: a dict, ``UNKNOWN``, or ``None`` where it is no JSON object."""
    text = props.get("stdin")
    if text is UNKNOWN:
        return UNKNOWN
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _constant(resource: Resource, config: dict[str, Any]) -> Sentences:
    props, name = resource.props, resource.name
    if resource.type in REMOTE:
        yield f"{name}: {resource.type} cannot verify the host's key and logs in each time. Use a step of components/remote/run."
        return
    if not step(props):
        yield (
            f"{name}: its create is {'not known' if props.get('create') is UNKNOWN else 'another command'}; the text stands in the state, "
            "in errors and in the process list. Call 'components/remote/run STEP' and send the rest on stdin."
        )
    if props.get("update") not in (None, props.get("create")):
        yield f"{name}: its update differs from its create. Leave it out: a step decides by itself what there is to do."
    if props.get("delete") is not None:
        yield f"{name}: it has a delete, which a removed service would run. Leave it out; 'bin/mo remove' takes a service away."
    if props.get("triggers"):
        yield f"{name}: it has triggers, which always replace. Leave them out; the request says when a step runs again."
    environment = props.get("environment")
    if environment is not None and (environment is UNKNOWN or environment):
        yield f"{name}: it has environment variables, which stand in the state and in /proc. Send values on stdin, marked secret."
    if props.get("logging") != "none":
        yield f"{name}: what it prints would be shown while it runs. Set logging to none; its log is on the host."
    for key, value in props.items():
        if key not in _JUDGED and value is not None:
            yield f"{name}: its {key} {_OTHERS.get(key, 'is judged by no rule')}. Leave it out; 'components/remote/run STEP' needs none."
    if props.get("addPreviousOutputInEnv") is not False:
        yield f"{name}: its former output goes to its environment. Set addPreviousOutputInEnv to false."


def carries_secret(props: Mapping[str, Any]) -> bool:
    """Whether a command's request holds a secret: by its step, or by the names of its fields."""
    return step(props) in SECRET_STEPS or _names_secret(request(props))


def _names_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_SECRET_KEYS.search(str(key)) or _names_secret(part) for key, part in value.items())
    return isinstance(value, list) and any(_names_secret(part) for part in value)


@dataclass(frozen=True)
class SecretInput:
    """A rule at level ``remediate``: only there does the engine show whether an input is marked secret. It remediates nothing: what it
    saw is reported by ``validate``, which the engine asks next, as a mandatory violation."""

    name: str
    description: str
    _plain: dict[str, bool] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, args: ResourceValidationArgs) -> None:
        """Notes whether the command's stdin came in clear."""
        if args.resource_type != COMMAND:
            return
        stdin = serialize_properties(args.props).get("stdin")  # as it came: a secret is a map with a signature
        with self._lock:
            self._plain[args.urn] = isinstance(stdin, str) and stdin != UNKNOWN_STRING_VALUE

    def check(self, resource: Resource, config: dict[str, Any]) -> Sentences:
        """One sentence where a request with a secret came in clear, or where it cannot be told."""
        with self._lock:
            plain = self._plain.pop(resource.urn, None)
        if not carries_secret(resource.props):
            return
        if plain is None:
            yield f"{resource.name}: whether its stdin is secret cannot be seen. Leave this rule's enforcement level at remediate."
        elif plain:
            yield f"{resource.name}: its stdin holds a secret and is not marked so; the state would show it. Use Output.secret."

    def policy(self) -> ResourceValidationPolicy:
        """The policy that the pack holds."""
        rule = ResourceRule(self.name, self.description, (COMMAND,), self.check)
        return ResourceValidationPolicy(
            name=self.name,
            description=self.description,
            validate=rule.validate,
            remediate=self.look,  # returns no properties: nothing is changed
            enforcement_level=EnforcementLevel.REMEDIATE,
        )


def _known_request(resource: Resource, config: dict[str, Any]) -> Sentences:
    """A step whose request holds no secret is known at preview; one that is not would be judged by nobody."""
    if step(resource.props) in ("stage", "switch", "health", "gate"):
        value = request(resource.props)
        if value is UNKNOWN or holds_unknown(value):
            yield f"{resource.name}: its request is not known before the update. Build it from the catalogue and the settings alone."
        elif value is None:
            yield f"{resource.name}: its request on stdin is no JSON object. See docs/host-protocol.md."


RULES = (
    ResourceRule(
        "command-constant", "A command is a constant call; nothing in its text or environment.", (COMMAND, *REMOTE), _constant
    ),
    ResourceRule("command-request-known", "What a step without secrets will do is known at preview.", (COMMAND,), _known_request),
    SecretInput("command-stdin-secret", "A request that carries a secret is marked secret."),
)
