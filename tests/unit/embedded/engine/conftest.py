"""The stage as a fixture."""

from __future__ import annotations

import pytest

from embedded import providers
from embedded.engine import executor
from tests.unit.embedded.engine.stage import FakeProvider, Stage, World


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    world = World()

    def load(package: str, version: str, directory: str, log: object) -> FakeProvider:
        if package != "test":
            raise providers.UnknownPackage(package)
        return FakeProvider(world)

    monkeypatch.setattr(providers, "load", load)
    monkeypatch.setattr(executor, "_GRACE", 0)
    return Stage(world, monkeypatch)
