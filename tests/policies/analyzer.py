"""The policy pack as an engine runs it: a process of its own, asked over gRPC."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

PACK = Path(__file__).resolve().parents[2] / "policy"
SIGNATURE = "4dabf18193072939515e22adb298388d"
UNKNOWN = UNKNOWN_STRING_VALUE
"""What stands on the wire for a value that a preview does not know."""


def secret(value: Any) -> dict[str, Any]:
    """A secret as it stands on the wire."""
    return {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "value": value}


@dataclass(frozen=True)
class Made:
    """A resource that a program registers."""

    type: str
    name: str
    props: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    stack: str = "production"

    @property
    def urn(self) -> str:
        return f"urn:pulumi:{self.stack}::mo-deploy::{self.type}::{self.name}"


@dataclass(frozen=True)
class Violation:
    rule: str
    level: str
    message: str


class Analyzer:
    """A running pack. ``register`` is what the engine does for each resource: remediate, then analyse."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = analyzer_pb2_grpc.AnalyzerStub(self._channel)

    def info(self) -> Any:
        from google.protobuf import empty_pb2

        return self._stub.GetAnalyzerInfo(empty_pb2.Empty())

    def configure(self, settings: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Levels as the pack has them, its settings' defaults, and ``settings`` laid over."""
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for policy in self.info().policies:
            entry = request.policyConfig[policy.name]
            entry.enforcementLevel = policy.enforcementLevel
            schema = json_format.MessageToDict(policy.configSchema.properties) if policy.HasField("configSchema") else {}
            values = {key: value["default"] for key, value in schema.items() if "default" in value}
            entry.properties.update({**values, **(settings or {}).get(policy.name, {})})
        self._stub.Configure(request)

    def register(self, *resources: Made) -> list[Violation]:
        found: list[Violation] = []
        for made in resources:
            common = {
                "type": made.type,
                "name": made.name,
                "urn": made.urn,
                "properties": struct(made.props),
                "options": analyzer_pb2.AnalyzerResourceOptions(parent=made.parent),
            }
            remediated = self._stub.Remediate(analyzer_pb2.AnalyzeRequest(**common))
            assert not [entry for entry in remediated.remediations if entry.diagnostic], remediated
            found += violations(self._stub.Analyze(analyzer_pb2.AnalyzeRequest(**common)))
        return found

    def finish(self, *resources: Made) -> list[Violation]:
        """What the stack policies say about all of them."""
        request = analyzer_pb2.AnalyzeStackRequest()
        for made in resources:
            request.resources.append(
                analyzer_pb2.AnalyzerResource(
                    type=made.type, name=made.name, urn=made.urn, properties=struct(made.props), parent=made.parent
                )
            )
        return violations(self._stub.AnalyzeStack(request))

    def close(self) -> None:
        self._channel.close()


def struct(props: Mapping[str, Any]) -> struct_pb2.Struct:
    result = struct_pb2.Struct()
    result.update(dict(props))
    return result


def violations(response: Any) -> list[Violation]:
    levels = analyzer_pb2.EnforcementLevel
    return [Violation(d.policyName, levels.Name(d.enforcementLevel).lower(), d.message) for d in response.diagnostics]


def of_rule(found: Sequence[Violation], rule: str) -> list[Violation]:
    return [violation for violation in found if violation.rule == rule]


@contextmanager
def running(pack: Path = PACK) -> Iterator[Analyzer]:
    """Starts the pack as the engine does, and stops it."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(pack)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=pack,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.strip().isdigit():
            assert process.stderr is not None
            raise AssertionError(f"the pack did not start: {line}{process.stderr.read()}")
        analyzer = Analyzer(int(line))
        yield analyzer
        analyzer.close()
    finally:
        process.kill()
        process.communicate()
