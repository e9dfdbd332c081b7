"""What the program says is passed on until the run has failed and been told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pulumi.runtime.proto import engine_pb2

from embedded.engine.server import EngineService


def test_a_muted_service_passes_no_message_on() -> None:
    told: list[str] = []

    def diagnostic(severity: str, message: str, **_: object) -> None:
        told.append(f"{severity}: {message}")

    run: Any = SimpleNamespace(events=SimpleNamespace(diagnostic=diagnostic))
    service = EngineService(run)
    service.Log(engine_pb2.LogRequest(severity=engine_pb2.ERROR, message="a mistake of the program"), None)
    service.muted = True
    service.Log(engine_pb2.LogRequest(severity=engine_pb2.ERROR, message="Resource monitor has terminated, shutting down"), None)
    assert told == ["error: a mistake of the program"]
