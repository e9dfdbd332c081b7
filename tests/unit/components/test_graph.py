"""The program's graph, as the engine sees it: who waits for whom, and what an input may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog import reader
from tests.unit.components.program import Run, artefact, put, run

COMMAND = "command:local:Command"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A first deploy of all 22 services."""
    project = tmp_path_factory.mktemp("project")
    for service in reader.read().services:
        put(project, artefact(service))
    return run(project)


def test_everything_waits_for_the_gate(whole: Run) -> None:
    custom = [r for r in whole.resources if r.custom]
    assert len(custom) > 150
    assert [r.name for r in custom if "gate-seal" not in r.after] == ["gate-seal"]


def test_a_switch_waits_for_everything_of_its_service_and_for_the_services_before_it(whole: Run) -> None:
    assert whole["votes-switch"].after >= {"votes-stage", "votes-env", "votes-account", "votes-database", "idp-switch"}
    assert whole["api-switch"].after >= {"api-stage", "api-env", "api-role", "api-database", "api-grant", "idp-switch"}
    assert "api-switch" in whole["frontend-switch"].after
    assert not {name for name in whole["docs-switch"].after if name not in ("gate-seal", "docs-stage")}


def test_independent_services_do_not_wait_for_each_other(whole: Run) -> None:
    for name in ("docs-stage", "forum-stage", "crm-env", "games-account"):
        service = name.split("-", 1)[0]
        assert all(n.startswith((service, "gate-seal", "server-")) for n in whole[name].after), name
