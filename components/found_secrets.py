"""What the stack's GitHub environment holds before the first update, of all that the stack would generate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from components.component import PROTOCOL, Component, host_step


@dataclass(frozen=True)
class FoundSecretsArgs:
    """``names``: secrets that are generated, and of which the settings hold no existing value."""

    stack: str
    names: Sequence[str]


class FoundSecrets(Component):
    """Child: ``github-found``, which fails where one of them is there: made by hand, and about to be replaced. Once it was made it is never
    asked again, since from then on they are ours."""

    found: local.Command

    def __init__(
        self, name: str, args: FoundSecretsArgs, after: Sequence[pulumi.Resource] = (), opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, {"names": sorted(args.names)}, after, opts)
        request = {"protocol": PROTOCOL, "stack": args.stack, "names": sorted(args.names)}
        self.found = host_step("github-found", "found", request, self.child(ignore_changes=["stdin"]))
        self.register_outputs({"names": sorted(args.names)})
