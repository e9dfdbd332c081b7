"""A stack that the backend in use does not know may be live all the same: another backend has its state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from catalog import reader
from components.facts import Facts, FactsError, RunFacts
from operations import undeployed

SERVICES = {key: entry for key, entry in reader.read().services.items() if key in ("votes", "docs")}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "The stack staging was never deployed: bin/mo deploy --stack staging."),
        ({"votes": {"live": "r" + "0" * 16}}, "the host runs 1 of its services (votes): another backend has its state"),
        (None, "what its host runs cannot be asked: no route"),
    ],
)
def test_what_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: dict[str, Any] | None, said: str) -> None:
    def ask(_self: RunFacts, request: Mapping[str, Any]) -> Facts:
        assert {entry["database"] for entry in request["services"]} == {None}, "a database out of reach keeps nobody waiting"
        if told is None:
            raise FactsError("no route")
        return Facts.model_validate({"services": told})

    monkeypatch.setattr(RunFacts, "__call__", ask)
    assert said in str(undeployed.problem(tmp_path, "staging", "web1", SERVICES))
