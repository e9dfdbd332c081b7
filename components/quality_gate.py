"""The gate that everything else waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import local

from components.component import PROTOCOL, Component, host_step

UNGATED = "sandbox"
"""The one stack that may require no gate."""


class GateClosed(pulumi.RunError):
    """A quality gate is red; nothing was changed."""


@dataclass(frozen=True)
class QualityGateArgs:
    """``figures``: what ``evidence.judge.inputs`` made: figures, digests, thresholds and commit, no verdict. ``failures``: one sentence
    for each red gate, as judged now by this program's own clock."""

    stack: str
    figures: dict[str, Any]
    failures: Sequence[str]


def closed(args: QualityGateArgs) -> str | None:
    """Why this deploy must not go on; ``None`` where it may. A rollback has passed already (``components.judgement``)."""
    if args.failures:
        return "The quality gates stop this deploy, and nothing was changed:\n" + "\n".join(f"  {f}" for f in args.failures)
    if args.stack == UNGATED or args.figures.get("required") or args.figures.get("rollback"):
        return None
    return (
        f"The stack {args.stack} requires no quality gate (mo:gates.required is empty), and nothing was changed: name the gates in "
        f"Pulumi.{args.stack}.yaml; only the stack {UNGATED} may do without."
    )


class QualityGate(Component):
    """Registered first, with figures known at that time. Its child re-judges them, so that ``depends_on=[gate]`` waits for a judgement and
    not for a name. Raises ``GateClosed`` on red, whether or not a policy pack is loaded."""

    seal: local.Command

    def __init__(self, name: str, args: QualityGateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.figures, (), opts)
        if (why := closed(args)) is not None:
            raise GateClosed(why)
        request = {"protocol": PROTOCOL, "stack": args.stack, "figures": args.figures}
        self.seal = host_step(f"{name}-seal", "gate", request, self.child())
        self.register_outputs(args.figures)
