"""What the monitoring's files say, and that Prometheus's and Alertmanager's own checkers take them."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from catalog.exports import DaemonExport, MonitoringExport, ServiceExport
from monitoring.alertmanager import alertmanager
from monitoring.grafana import grafana, queries
from monitoring.n8n import n8n, signature
from monitoring.prometheus import prometheus
from monitoring.settings import MonitoringSettings
from monitoring.statuspage import statuspage
from monitoring.textfile import DeploymentMetrics, textfile
from monitoring.write import write
from operations.notify import Event, notify
from tests.unit.components import program
from tests.unit.monitoring.example import exports, service

SETTINGS = MonitoringSettings(
    mysqld_exporters={"plesk": "127.0.0.1:9104"}, postgres_exporters={"external-postgresql": "127.0.0.1:9187"}, mail_to="ops@example.test",
    smtp="127.0.0.1:25",
)  # fmt: skip


def everything(of: MonitoringExport) -> dict[str, str]:
    return {
        **prometheus(of, SETTINGS),
        **alertmanager(of, SETTINGS),
        **grafana(of, SETTINGS),
        **n8n(of),
        **textfile(of, DeploymentMetrics(duration=61.5, failures=0, migrations_pending={"votes": 1}, database_up={"votes": True})),
        **statuspage(of, {"votes": "up"}, datetime(2026, 11, 21, 8, 30, tzinfo=UTC)),
    }


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with Debian's prometheus; bin/setup installs it")
def test_promtool_takes_configuration_rules_and_textfile(tmp_path: Path) -> None:
    write(tmp_path, everything(exports()), owns=("prometheus",))
    for command in (["check", "config", "prometheus.yml"], ["check", "rules", "rules.yml"]):
        done = subprocess.run(["promtool", *command], cwd=tmp_path / "prometheus", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    metrics = (tmp_path / "prometheus/textfile/mo_sandbox.prom").read_text()
    done = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'mo_database_up{stack="sandbox",host="box",service="votes"} 1' in metrics
    assert "mo_quota_bytes" not in metrics, "a figure that is not known is left out, not guessed"


@pytest.mark.skipif(not shutil.which("amtool"), reason="amtool comes with Debian's prometheus-alertmanager; bin/setup installs it")
def test_amtool_takes_the_alertmanager_configuration(tmp_path: Path) -> None:
    write(tmp_path, alertmanager(exports(), SETTINGS), owns=("alertmanager",))
    done = subprocess.run(
        ["amtool", "check-config", tmp_path / "alertmanager/alertmanager.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("prometheus-blackbox-exporter"), reason="bin/setup installs prometheus-blackbox-exporter")
def test_the_blackbox_exporter_takes_its_modules(tmp_path: Path) -> None:
    write(tmp_path, prometheus(exports(), SETTINGS), owns=("prometheus",))
    done = subprocess.run(
        ["prometheus-blackbox-exporter", "--config.check", f"--config.file={tmp_path / 'prometheus/blackbox.yml'}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_target_is_asked_by_address_under_its_own_name() -> None:
    files = prometheus(exports(), SETTINGS)
    target = json.loads(files["prometheus/targets/services.json"])[0]
    assert target["targets"] == ["https://127.0.0.1:8443/health?x=1"]
    assert target["labels"]["service"] == "votes"
    module = yaml.safe_load(files["prometheus/blackbox.yml"])["modules"]["service_votes"]["http"]
    assert module["headers"]["Host"] == "votes.example.test"
    assert module["tls_config"]["server_name"] == "votes.example.test"
    assert module["fail_if_body_not_matches_regexp"] == [r"ok\ \(yes\)"]


def test_without_an_address_the_public_url_is_asked() -> None:
    files = prometheus(exports(connect=None), SETTINGS)
    assert json.loads(files["prometheus/targets/services.json"])[0]["targets"] == ["https://votes.example.test:8443/health?x=1"]


def test_a_service_appears_everywhere_and_goes_everywhere(tmp_path: Path) -> None:
    owns = ("prometheus", "alertmanager", "grafana", "n8n", "status")
    with_it = everything(exports(service("votes"), service("newcomer")))
    without = everything(exports(service("votes")))
    for name in ("prometheus/targets/services.json", "prometheus/blackbox.yml", "status/index.html"):
        assert "newcomer" in with_it[name]
        assert "newcomer" not in without[name]
    assert "newcomer" in with_it["grafana/dashboards/mo-sandbox-service.json"]
    write(tmp_path, with_it, owns=owns)
    write(tmp_path, without, owns=owns)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and "newcomer" in p.read_text()]


def test_an_export_without_change_touches_no_file(tmp_path: Path) -> None:
    files = everything(exports())
    owns = ("prometheus", "alertmanager", "grafana", "n8n", "status")
    assert write(tmp_path, files, owns=owns).changed == tuple(sorted(files))
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert write(tmp_path, everything(exports()), owns=owns).changed == ()
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == stamps


def test_the_listing_cannot_lead_out_of_its_directory(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    directory = tmp_path / "out"
    directory.mkdir()
    (directory / ".mo-monitoring").write_text("../outside.txt\n/etc/hostname\nprometheus/../../outside.txt\n")
    write(directory, {}, owns=("..", "", "prometheus"))
    assert outside.read_text() == "mine"


def test_another_format_s_files_stay(tmp_path: Path) -> None:
    write(tmp_path, grafana(exports(), SETTINGS), owns=("grafana",))
    assert write(tmp_path, alertmanager(exports(), SETTINGS), owns=("alertmanager",)).removed == ()
    assert (tmp_path / "grafana/dashboards/mo-sandbox-overview.json").exists()


def test_every_label_of_a_metric_is_escaped() -> None:
    hostile = DeploymentMetrics(live_files_changed={'a"b\\c\nd': 1})
    text = textfile(exports(), hostile)["prometheus/textfile/mo_sandbox.prom"]
    assert 'service="a\\"b\\\\c\\nd"' in text


def test_dashboards_name_no_datasource_and_have_queries() -> None:
    boards = {k: json.loads(v) for k, v in grafana(exports(), SETTINGS).items() if k.startswith("grafana/dashboards/")}
    assert len(boards) == 4
    for board in boards.values():
        assert queries(board)
        assert {p["datasource"]["uid"] for p in board["panels"]} == {"${datasource}"}
        assert len({p["id"] for p in board["panels"]}) == len(board["panels"])


def test_every_target_of_section_8_is_a_line_or_colour_of_a_panel() -> None:
    boards = [json.loads(v) for k, v in grafana(exports(), SETTINGS).items() if k.startswith("grafana/dashboards/")]
    held = {
        (target["expr"].partition("{")[0], panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"])
        for board in boards
        for panel in board["panels"]
        for target in panel["targets"]
        if "thresholds" in panel["fieldConfig"]["defaults"]
    }
    limits = exports().thresholds
    assert held >= {
        ("mo_deployment_duration_seconds", limits.deployment_minutes * 60),
        ("mo_services_deployed", limits.services_deployed),
        ("mo_deployment_failures", 1),
        ("mo_deployment_rollbacks", 1),
        ("mo:http_ok:ratio", 1),
        ("mo:response_seconds:p95", limits.response_time_p95),
        ("mo:response_seconds:p95_day", limits.response_time_p95),
        ("mo:probe_errors:ratio_day", limits.error_ratio),
        ("mo_migrations_pending", 1),
    }
    drawn = {target["expr"].partition("{")[0] for board in boards for panel in board["panels"] for target in panel["targets"]}
    assert drawn >= {
        "mo:error_budget:left", "mo:database_connections:ratio", "mo:database_query_seconds:avg", "mo:database_slow_queries:rate",
        "mo:database_transaction_seconds:longest", "mo_schema_info",
    }  # fmt: skip


def test_workflows_check_the_signature_first_and_keep_their_ids() -> None:
    first, second = n8n(exports()), n8n(exports())
    assert first == second
    workflow = json.loads(first["n8n/workflows/deployment.json"])
    names = {n["name"] for n in workflow["nodes"]}
    for source, outputs in workflow["connections"].items():
        assert source in names
        assert {link["node"] for output in outputs["main"] for link in output} <= names
    assert workflow["connections"]["Webhook"]["main"] == [[{"node": "Check", "type": "main", "index": 0}]]
    webhook = next(n for n in workflow["nodes"] if n["name"] == "Webhook")
    assert webhook["parameters"]["options"] == {"rawBody": True}


@pytest.mark.skipif(not shutil.which("node"), reason="the workflow's check is JavaScript; bin/setup installs nodejs")
@pytest.mark.parametrize(
    ("secret", "tampered", "age", "valid"),
    [
        ("key", False, 0, True),
        ("key", False, 540, True),
        ("key", False, 660, False),
        ("key", False, -660, False),
        ("key", False, None, False),
        ("key", True, 0, False),
        ("", False, 0, False),
        ("other", False, 0, False),
    ],
)
def test_the_workflow_s_check_accepts_the_deploy_s_fresh_signed_body_alone(
    tmp_path: Path, secret: str, tampered: bool, age: int | None, valid: bool
) -> None:
    workflow = json.loads(n8n(exports())["n8n/workflows/deployment.json"])
    code = next(n["parameters"]["jsCode"] for n in workflow["nodes"] if n["name"] == "Check")
    body = b'{"service":"votes"}' if age is None else _sent(tmp_path, datetime.now(UTC) - timedelta(seconds=age))
    harness = (
        "const input = JSON.parse(require('fs').readFileSync(0));"
        "const $env = {MO_WEBHOOK_SECRET: input.secret};"
        "const $input = {first: () => ({json: {headers: {'x-mo-signature': input.signature}}, binary: {data: {data: input.body}}})};"
        f"const run = () => {{ {code} }};"
        "console.log(JSON.stringify(run()[0].json));"
    )
    sent = body.replace(b"votes", b"forum") if tampered else body
    given = json.dumps({"secret": secret, "signature": signature(b"key", body), "body": base64.b64encode(sent).decode()})
    done = subprocess.run(["node", "-e", harness], input=given, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["valid"] is valid


def _sent(project: Path, now: datetime) -> bytes:
    """The body that the deploy sends at ``now``."""
    bodies: list[bytes] = []

    def take(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(200)

    loaded = program.loaded(project, notify={"url": "https://n8n.test/"}, webhookSecret="a-secret-of-the-test")
    notify(loaded, Event("sandbox", "success", ("votes",), "main", "c" * 40), now=lambda: now, transport=httpx.MockTransport(take))
    return bodies[0]


def _external(files_only: bool | None) -> ServiceExport:
    daemon = DaemonExport(path="/realms/master", contains='"realm":"master"')
    found = service("idp", runtime="external")
    return found.model_copy(update={"health": found.health.model_copy(update={"daemon": daemon}), "files_only": files_only})


@pytest.mark.parametrize("files_only", [False, None])
def test_of_an_external_service_the_daemon_is_asked_unless_it_is_known_to_be_files_only(files_only: bool | None) -> None:
    files = prometheus(exports(_external(files_only)), SETTINGS)
    (target,) = json.loads(files["prometheus/targets/services.json"])
    assert target["targets"] == ["https://127.0.0.1:8443/realms/master"]
    assert target["labels"]["serves"] == "daemon"
    module = yaml.safe_load(files["prometheus/blackbox.yml"])["modules"]["service_idp"]["http"]
    assert re.search(module["fail_if_body_not_matches_regexp"][0], '{"realm":"master"}')
    assert re.search(module["fail_if_body_matches_regexp"][0], "\n<html>")


def test_of_files_only_the_page_is_asked_and_named_so() -> None:
    (target,) = json.loads(prometheus(exports(_external(True)), SETTINGS)["prometheus/targets/services.json"])
    assert target["targets"] == ["https://127.0.0.1:8443/health?x=1"]
    assert target["labels"]["serves"] == "files"


def test_the_status_page_never_calls_unknown_files_only_or_absent_healthy() -> None:
    new = service("new", release=None)
    page = statuspage(exports(*exports().services, new), {"votes": "up", "idp": "files only", "new": "up"}, None)[
        "status/index.html"
    ]
    assert "1 von 4 Diensten: nicht bekannt, ob sie antworten" in page
    assert page.count('class="state up"') == 1
    assert 'class="state files-only"' in page
    assert 'class="state absent"' in page
    assert "<script" not in page


def test_the_status_page_names_what_is_down_and_escapes_titles() -> None:
    page = statuspage(exports(service("votes", title="<b>Votes")), {"votes": "down"}, datetime(2026, 1, 2, tzinfo=UTC))
    assert "1 von 1 Diensten ist gestört: &lt;b&gt;Votes" in page["status/index.html"]
    assert "Geprüft: 2. Jänner 2026, 00:00 UTC" in page["status/index.html"]
    assert "<b>" not in page["status/index.html"]


def test_the_status_page_says_release_commit_and_since_when() -> None:
    page = statuspage(exports(service("votes")), {"votes": "up"}, datetime(2026, 1, 2, tzinfo=UTC))["status/index.html"]
    assert "Release r0123456789abcdef, Commit cccccccccccc, seit 21. November 2026, 08:30 UTC" in page
    assert "Alle 1 Dienste antworten" in page


def test_a_version_that_a_site_told_is_on_the_status_page_and_among_the_metrics() -> None:
    of = exports(service("api").model_copy(update={"version": "1.4.0"}))
    assert "Version 1.4.0, Release r0123456789abcdef" in statuspage(of, {"api": "up"}, None)["status/index.html"]
    assert 'version="1.4.0"' in textfile(of, DeploymentMetrics())["prometheus/textfile/mo_sandbox.prom"]


def test_the_status_page_counts_files_only_as_no_answer() -> None:
    page = statuspage(exports(), {"votes": "up", "forum": "up", "idp": "files only"}, None)["status/index.html"]
    assert "2 von 3 Diensten antworten, von 1 sind nur die Dateien da" in page


def test_a_service_that_was_never_deployed_is_no_target_and_no_outage() -> None:
    files = prometheus(exports(service("votes"), service("new", release=None)), SETTINGS)
    assert [t["labels"]["service"] for t in json.loads(files["prometheus/targets/services.json"])] == ["votes"]
