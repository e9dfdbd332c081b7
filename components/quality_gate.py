"""The gate that everything else waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import local

from components.component import PROTOCOL, Component, host_step


class GateClosed(pulumi.RunError):
    """A quality gate is red; nothing was changed."""


@dataclass(frozen=True)
class QualityGateArgs:
    """``figures``: what ``evidence.judge.inputs`` made: figures, digests, thresholds and commit, no verdict. ``failures``: one sentence
    for each red gate, as judged now by this program's own clock."""

    stack: str
    figures: dict[str, Any]
    failures: Sequence[str]


class QualityGate(Component):
    """Registered first, with figures known at that time. Its child re-judges them, so that ``depends_on=[gate]`` waits for a judgement and
    not for a name. Raises ``GateClosed`` on red, whether or not a policy pack is loaded."""

    seal: local.Command

    def __init__(self, name: str, args: QualityGateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.figures, (), opts)
        if args.failures:
            raise GateClosed(
                "The quality gates stop this deploy, and nothing was changed:\n" + "\n".join(f"  {f}" for f in args.failures)
            )
        request = {"protocol": PROTOCOL, "stack": args.stack, "figures": args.figures}
        self.seal = host_step(f"{name}-seal", "gate", request, self.child())
        self.register_outputs(args.figures)
