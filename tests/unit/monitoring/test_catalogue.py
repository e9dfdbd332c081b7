"""One entry more in the catalogue, and nothing else, makes a service appear in every file; without it, it goes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from catalog import reader
from catalog.exports import MonitoringExport
from catalog.models import Database, Service
from components.artefacts import Choice
from components.monitoring import MonitoringArgs, export
from monitoring.alertmanager import alertmanager
from monitoring.grafana import grafana
from monitoring.n8n import n8n
from monitoring.prometheus import prometheus
from monitoring.settings import MonitoringSettings
from monitoring.statuspage import statuspage
from monitoring.textfile import DeploymentMetrics, textfile
from monitoring.write import write
from tests.unit.components import program

OWNS = ("prometheus", "alertmanager", "grafana", "n8n", "status")
NAMED_IN = (
    "prometheus/targets/services.json",
    "prometheus/blackbox.yml",
    "prometheus/textfile/mo_sandbox.prom",
    "grafana/dashboards/mo-sandbox-service.json",
    "status/index.html",
)


def files(project: Path, services: dict[str, Service]) -> dict[str, str]:
    """Every file, from a stack that has deployed ``services``."""
    choices = {key: Choice(program.artefact(key)) for key in services}
    args = MonitoringArgs("sandbox", program.loaded(project).settings, services, choices, {}, program.COMMIT)
    exports = MonitoringExport.model_validate(export(args, {}))
    settings = MonitoringSettings()
    return {
        **prometheus(exports, settings),
        **alertmanager(exports, settings),
        **grafana(exports, settings),
        **n8n(exports),
        **textfile(exports, DeploymentMetrics()),
        **statuspage(exports, dict.fromkeys(services, "up"), datetime(2026, 11, 21, tzinfo=UTC)),
    }


@pytest.fixture
def newcomer() -> Service:
    return Service(
        title="Neuling",
        host="neuling",
        path="subdomains/neuling/httpdocs",
        technology="php",
        runtime="php",
        source="services/neuling",
        database=Database(engine="mariadb", server="plesk", name="mo_neuling", user="svc_neuling"),
        stacks=("sandbox",),
    )


def test_a_service_of_the_catalogue_is_in_every_file_and_goes_with_its_entry(tmp_path: Path, newcomer: Service) -> None:
    catalogue = reader.read().of_stack("sandbox")
    before, after = files(tmp_path, catalogue), files(tmp_path, {**catalogue, "neuling": newcomer})
    for name in NAMED_IN:
        assert "neuling" in after[name], name
        assert "neuling" not in before[name], name
    assert f"mo_services_deployed < {len(catalogue) + 1}" in after["prometheus/rules.yml"]

    write(tmp_path / "out", before, owns=OWNS)
    written = write(tmp_path / "out", after, owns=OWNS)
    # The overview counts the services that there are to be.
    assert set(written.changed) == {*NAMED_IN, "prometheus/rules.yml", "grafana/dashboards/mo-sandbox-overview.json"}
    assert set(write(tmp_path / "out", before, owns=OWNS).changed) == set(written.changed)
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file() and "neuling" in p.read_text()]
