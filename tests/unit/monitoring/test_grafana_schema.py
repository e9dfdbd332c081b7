"""The dashboards by Grafana's own published schema: its Foundation SDK knows every field that they have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.grafana import grafana
from monitoring.settings import MonitoringSettings
from tests.unit.monitoring.example import exports

BOARDS = {
    name.rsplit("/", 1)[1]: json.loads(text)
    for name, text in grafana(exports(), MonitoringSettings()).items()
    if name.startswith("grafana/dashboards/")
}
OF_PROMETHEUS = {"/annotations/list/useValueForTime", "/annotations/list/titleFormat"}
"""Fields of an annotation that belong to the Prometheus datasource and so to no dashboard's schema."""


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_grafana_s_schema_knows_every_field_of_a_dashboard(name: str) -> None:
    plugins.register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(BOARDS[name])))
    assert set(lost(BOARDS[name], read)) <= OF_PROMETHEUS


def test_a_field_that_no_schema_knows_would_be_found() -> None:
    board = {**next(iter(BOARDS.values())), "pannels": []}
    plugins.register_default_plugins()
    assert "/pannels" in set(lost(board, json.loads(JSONEncoder().encode(Dashboard.from_json(board)))))


def lost(given: Any, read: Any, path: str = "") -> Iterator[str]:
    """Where ``read`` lacks or changes what ``given`` has."""
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            if key in read:
                yield from lost(value, read[key], f"{path}/{key}")
            else:
                yield f"{path}/{key}"
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for one, other in zip(given, read, strict=True):
            yield from lost(one, other, path)
    elif given != read:
        yield path
