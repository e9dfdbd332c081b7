"""What every component has in common."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi.runtime.stack import ResourceRegistrationFailed
from pulumi_command import local

PROTOCOL = 1
"""The number in every request to the host. Raise it only where every service is to run its steps again."""


class Component(pulumi.ComponentResource):
    """A component of this program: type ``mo:deploy:<Class>``, its props visible to policies, its children waiting for ``after``."""

    def __init__(
        self,
        name: str,
        props: Mapping[str, Any],
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(f"mo:deploy:{type(self).__name__}", name, dict(props), opts)
        self._after = tuple(after)

    def child(self, *after: pulumi.Resource, **options: Any) -> pulumi.ResourceOptions:
        """The options of a child: this component is its parent, and it waits for what the component waits for and for ``after``."""
        return pulumi.ResourceOptions(parent=self, depends_on=[*self._after, *after], **options)


def host_step(
    name: str, step: str, request: Mapping[str, Any], opts: pulumi.ResourceOptions, *, secret: bool = False
) -> local.Command:
    """One step of the host protocol as a resource. Only the request can change it: no path, key, date or tool version is an input.

    The command's stdout is the step's result, one line of JSON without secrets.
    """
    text: pulumi.Input[str] = (
        pulumi.Output.secret(pulumi.Output.json_dumps(request, sort_keys=True)) if secret else json.dumps(request, sort_keys=True)
    )
    return local.Command(
        name,
        create=f"components/remote/run {step}",
        stdin=text,
        add_previous_output_in_env=False,
        logging=local.Logging.NONE,
        opts=opts,
    )


def result(step: local.Command, key: str) -> pulumi.Output[Any]:
    """A field of a step's result; ``None`` where the result has none."""

    def field(text: str | None) -> Any:
        try:
            return json.loads(text or "{}").get(key)
        except (ValueError, AttributeError):
            return None

    found: pulumi.Output[Any] = step.stdout.apply(field)
    return found


def or_else(value: pulumi.Output[Any], otherwise: Any) -> pulumi.Output[Any]:
    """``value``, or ``otherwise`` where a resource that it comes from was not made: it or what it waits for has failed. For what only
    reports, so that one service's failure takes nothing of the others'; never for an input of a resource, which would be made of it."""

    def instead(error: Exception) -> Any:
        if isinstance(error, ResourceRegistrationFailed):
            return otherwise
        raise error

    return value.recover(instead)
