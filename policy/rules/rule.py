"""What a rule is: a pure function from plain data to sentences, and the policy made of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from rules.values import plain

Config = Mapping[str, Any]
Sentences = Iterator[str]


@dataclass(frozen=True)
class Resource:
    """A resource as a rule sees it: inputs (in a stack rule: outputs) as plain data; ``stack`` and ``parent`` from its URN."""

    type: str
    name: str
    urn: str
    props: dict[str, Any]
    parent: str = ""

    @property
    def stack(self) -> str:
        """The stack's name."""
        parts = self.urn.split(":")
        return parts[2] if len(parts) > 2 else ""


def configured(schema: Mapping[str, Mapping[str, Any]], config: Config) -> dict[str, Any]:
    """The rule's settings: what is configured over the schema's defaults. (The engine fills in defaults; a direct call does not.)"""
    return {key: config.get(key, entry.get("default")) for key, entry in schema.items()}


class Rule(Protocol):
    """Whatever the pack can hold."""

    @property
    def name(self) -> str: ...

    def policy(self) -> Policy: ...


@dataclass(frozen=True)
class ResourceRule:
    """A rule for each resource of ``types`` (none: of every type) by itself. It holds in ``up --skip-preview`` too."""

    name: str
    description: str
    types: tuple[str, ...]
    check: Callable[[Resource, dict[str, Any]], Sentences]
    level: EnforcementLevel = EnforcementLevel.MANDATORY
    schema: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def validate(self, args: ResourceValidationArgs, report: ReportViolation) -> None:
        """Reports every sentence of ``check``, where the resource is one of ours."""
        if self.types and args.resource_type not in self.types:
            return
        parent = getattr(args.opts, "parent", None) or ""
        resource = Resource(args.resource_type, args.name, args.urn, plain(args.props), parent)
        for sentence in self.check(resource, configured(self.schema, args.get_config())):
            report(sentence, None)

    def policy(self) -> ResourceValidationPolicy:
        """The policy that the pack holds."""
        return ResourceValidationPolicy(
            name=self.name,
            description=self.description,
            validate=self.validate,
            enforcement_level=self.level,
            config_schema=_schema(self.schema),
        )


@dataclass(frozen=True)
class StackRule:
    """A rule that needs several resources. The engine asks it after a preview, and after everything is done with ``--skip-preview``:
    what must never happen belongs into a ``ResourceRule``."""

    name: str
    description: str
    check: Callable[[list[Resource], dict[str, Any]], Iterator[tuple[str, str]]]
    level: EnforcementLevel = EnforcementLevel.MANDATORY
    schema: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def validate(self, args: StackValidationArgs, report: ReportViolation) -> None:
        """Reports every sentence of ``check`` with the URN that it names."""
        resources = [_of_stack(resource) for resource in args.resources]
        for sentence, urn in self.check(resources, configured(self.schema, args.get_config())):
            report(sentence, urn or None)

    def policy(self) -> StackValidationPolicy:
        """The policy that the pack holds."""
        return StackValidationPolicy(
            name=self.name,
            description=self.description,
            validate=self.validate,
            enforcement_level=self.level,
            config_schema=_schema(self.schema),
        )


def _of_stack(resource: PolicyResource) -> Resource:
    parent = resource.parent.urn if resource.parent is not None else ""
    return Resource(resource.resource_type, resource.name, resource.urn, plain(resource.props), parent)


def _schema(schema: Mapping[str, Mapping[str, Any]]) -> PolicyConfigSchema | None:
    return PolicyConfigSchema(properties={key: dict(entry) for key, entry in schema.items()}) if schema else None
