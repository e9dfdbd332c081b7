"""Every alert fires after its time, not before, and resolves: by promtool's own rule tests."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from monitoring.prometheus import prometheus
from monitoring.rules import rules
from monitoring.settings import MonitoringSettings
from tests.unit.monitoring.example import exports, service

pytestmark = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool comes with Debian's prometheus; bin/setup installs it"
)

SERVICE = 'job="mo-services",service="votes",title="Votes",url="https://votes",host="box",stack="sandbox"'
SETTINGS = MonitoringSettings(
    scrape_interval=60,
    mysqld_exporters={"plesk": "127.0.0.1:9104"},
    postgres_exporters={"external-postgresql": "127.0.0.1:9187"},
)
EXPORTS = exports().model_copy(update={"security_sources": ("trivy", "dependabot")})
HOST = 'stack="sandbox",host="box"'
WATCHED = [
    *(f'probe_success{{job="mo-services",{HOST},service="{key}"}}' for key in ("votes", "forum", "idp")),
    f'probe_success{{job="mo-host",{HOST}}}',
    f'mysql_up{{job="mo-mysqld",{HOST},server="plesk"}}',
    f'pg_up{{job="mo-postgres",{HOST},server="external-postgresql"}}',
    'mo_export_timestamp_seconds{job="mo-deployment",stack="sandbox"}',
    f'mo_quota_bytes{{job="mo-deployment",{HOST}}}',
    f'mo_quota_free_bytes{{job="mo-deployment",{HOST}}}',
    *(f'mo_database_up{{job="mo-deployment",{HOST},service="{key}"}}' for key in ("votes", "forum", "idp")),
    *(f'mo_live_files_changed{{job="mo-deployment",{HOST},service="{key}"}}' for key in ("votes", "forum", "idp")),
    *(f'mo_security_alerts_open{{job="mo-deployment",stack="sandbox",source="{source}"}}' for source in ("trivy", "dependabot")),
]
"""What an alert of section 8 looks at, of each service, server and source that the exports name."""


@dataclass(frozen=True)
class Case:
    """``good`` for an hour, ``bad`` for ``lasts`` minutes, ``good`` again; fires from ``after`` minutes of badness on."""

    alert: str
    series: str
    good: str
    bad: str
    after: int
    lasts: int = 180
    resolves: int = 35
    others: tuple[tuple[str, str], ...] = ()
    again: str | None = None


CASES = [
    Case("ServiceDown", f"probe_success{{{SERVICE}}}", "1", "0", 0),
    Case("HostDown", 'probe_success{job="mo-host",host="box",instance="127.0.0.1:22",stack="sandbox"}', "1", "0", 0),
    Case("DatabaseConnectionFailure", 'mysql_up{server="plesk",host="box"}', "1", "0", 0),
    Case("DatabaseConnectionFailure", 'pg_up{server="external-postgresql",host="box"}', "1", "0", 0),
    Case("DatabaseConnectionFailure", 'mo_database_up{service="votes",host="box"}', "1", "0", 0),
    Case("SecurityIncident", 'mo_live_files_changed{service="votes",host="box"}', "0", "1", 0),
    Case("SecurityIncident", 'mo_security_alerts_open{source="dependabot"}', "0", "2", 0),
    Case("SlowResponse", f"probe_duration_seconds{{{SERVICE}}}", "0.1", "2.5", 15),
    Case("DiskSpaceLow", 'mo_quota_free_bytes{host="box",stack="sandbox"}', "50", "19", 60,
         others=(('mo_quota_bytes{host="box",stack="sandbox"}', "100"),)),
    Case("DeploymentSlow", 'mo_deployment_duration_seconds{stack="sandbox"}', "60", "1801", 0),
    Case("ServicesMissing", 'mo_services_deployed{stack="sandbox"}', "3", "2", 0),
    Case("DeploymentFailed", 'mo_deployment_failures{stack="sandbox"}', "0", "1", 0),
    Case("DeploymentFailed", 'mo_deployment_rollbacks{stack="sandbox"}', "0", "1", 0),
    Case("ExporterDown", 'up{job="mo-services",stack="sandbox",service="votes"}', "1", "0", 3),
    Case("ExporterDown", 'up{job="mo-mysqld",stack="sandbox",server="plesk"}', "1", "0", 3),
    Case("ExporterDown", 'up{job="mo-deployment",stack="sandbox"}', "1", "0", 3),
    # The time of the last export: each minute, then never again, then each minute.
    Case("FiguresOld", 'mo_export_timestamp_seconds{stack="sandbox"}', "0+60", "3540", 15, again="14400+60"),
    Case("MigrationPending", 'mo_migrations_pending{service="votes"}', "0", "1", 0),
]  # fmt: skip


def promtool(directory: Path, cases: list[dict[str, object]], interval: str = "1m") -> str:
    """What ``promtool test rules`` finds different, empty where all is as expected."""
    (directory / "rules.yml").write_text(prometheus(EXPORTS, SETTINGS)["prometheus/rules.yml"])
    # Without an order, promtool takes one by chance: an alert would now and then see what was recorded one interval ago.
    order = [group["name"] for group in rules(EXPORTS, SETTINGS)["groups"]]
    test = {"rule_files": ["rules.yml"], "evaluation_interval": interval, "group_eval_order": order, "tests": cases}
    (directory / "test.yml").write_text(yaml.safe_dump(test))
    done = subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=directory, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def firing(directory: Path, case: Case, minute: int) -> bool:
    """Whether the alert fires at ``minute``, by asking for the metric that Prometheus keeps of its alerts."""
    values = f"{case.good}x59 {case.bad}x{case.lasts - 1} {case.again or case.good}x119"
    series = [{"series": case.series, "values": values}, *({"series": s, "values": f"{v}x400"} for s, v in case.others)]
    expression = {
        "expr": f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}}) or vector(0)',
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    difference = promtool(directory, [{"interval": "1m", "input_series": series, "promql_expr_test": [expression]}])
    # Only a differing sample counts as "does not fire"; a rule or series that promtool cannot read is an error.
    assert not difference or "got:" in difference, difference
    return not difference


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.alert}-{c.series.split('{')[0]}")
def test_an_alert_fires_after_its_time_not_before_and_resolves(tmp_path: Path, case: Case) -> None:
    assert not firing(tmp_path, case, 59)
    if case.after:
        assert not firing(tmp_path, case, 60 + case.after - 1)
    assert firing(tmp_path, case, 60 + case.after)
    assert not firing(tmp_path, case, 60 + case.lasts + case.resolves)


def test_the_error_rate_alert_needs_more_than_one_percent_for_half_an_hour(tmp_path: Path) -> None:
    # One lost probe in fifty: 2 %. One in four hundred: 0.25 %.
    def series(every: int) -> str:
        return "1x119 " + " ".join([f"1x{every - 2} 0"] * (1200 // every))

    def expects(every: int, minute: int, value: int) -> dict[str, object]:
        return {
            "interval": "15s",
            "input_series": [{"series": f"probe_success{{{SERVICE}}}", "values": series(every)}],
            "promql_expr_test": [
                {
                    "expr": 'count(ALERTS{alertname="ErrorRate",alertstate="firing"}) or vector(0)',
                    "eval_time": f"{minute}m",
                    "exp_samples": [{"labels": "{}", "value": value}],
                }
            ],
        }

    assert not promtool(tmp_path, [expects(50, 55, 0), expects(50, 120, 1), expects(400, 250, 0)], interval="15s")


@pytest.mark.parametrize("gone", WATCHED)
def test_a_metric_that_an_alert_looks_at_is_missed_when_it_is_gone(tmp_path: Path, gone: str) -> None:
    series = [{"series": s, "values": "1x59 stale _x178 1x119" if s == gone else "1x400"} for s in WATCHED]
    labels = gone[gone.index("{") + 1 : -1]

    def at(minute: int, missed: bool) -> dict[str, object]:
        sample = [{"labels": f'{{alertname="MetricMissing",alertstate="firing",severity="critical",{labels}}}', "value": 1}]
        return {
            "expr": 'min without (__name__) (ALERTS{alertname="MetricMissing",alertstate="firing"})',
            "eval_time": f"{minute}m",
            "exp_samples": sample if missed else [],
        }

    looks = [at(59, False), at(62, False), at(63, True), at(230, True), at(245, False)]
    difference = promtool(tmp_path, [{"interval": "1m", "input_series": series, "promql_expr_test": looks}])
    assert not difference


def test_what_the_exports_do_not_name_is_not_missed() -> None:
    bare = exports(service("docs", release=None))
    (missed,) = [
        r["expr"] for g in rules(bare, MonitoringSettings())["groups"] for r in g["rules"] if r.get("alert") == "MetricMissing"
    ]
    assert "docs" not in missed
    assert "mysql_up" not in missed
    assert "mo_security_alerts_open" not in missed


@pytest.mark.parametrize(
    ("alert", "metric", "good", "bad", "few", "many"),
    [
        # Of the 144 looks of a day: 5 % may be slow, and one in a thousand may fail, so none.
        ("ResponseTimeTarget", "probe_duration_seconds", "0.1", "0.6", 7, 9),
        ("ErrorRateTarget", "probe_success", "1", "0", 0, 1),
    ],
)
def test_a_target_of_a_day_is_missed_above_its_share_until_the_day_is_over(
    tmp_path: Path, alert: str, metric: str, good: str, bad: str, few: int, many: int
) -> None:
    def expects(count: int, hours: int, value: int) -> dict[str, object]:
        values = f"{good}x287 " + (f"{bad}x{count - 1} " if count else "") + f"{good}x400"
        return {
            "interval": "10m",
            "input_series": [{"series": f"{metric}{{{SERVICE}}}", "values": values}],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                    "eval_time": f"{hours}h",
                    "exp_samples": [{"labels": "{}", "value": value}],
                }
            ],
        }

    # After 48 good hours, the bad looks, then good ones; a day after the last bad one it is over.
    tests = [expects(few, 60, 0), expects(many, 47, 0), expects(many, 60, 1), expects(many, 75, 0)]
    assert not promtool(tmp_path, tests, interval="10m")


def test_the_error_budget_is_what_is_left_of_one_in_a_thousand(tmp_path: Path) -> None:
    # Of a day's 1440 looks 1.44 may fail: one leaves 0.31 of the budget, three overdraw it.
    def left(failed: int, value: float) -> dict[str, object]:
        return {
            "interval": "1m",
            "input_series": [{"series": f"probe_success{{{SERVICE}}}", "values": f"1x1999 0x{failed - 1} 1x1000"}],
            "promql_expr_test": [
                {
                    "expr": "round(mo:error_budget:left, 0.01)",
                    "eval_time": "2500m",
                    "exp_samples": [{"labels": f"{{{SERVICE}}}", "value": value}],
                }
            ],
        }

    assert not promtool(tmp_path, [left(1, 0.31), left(3, -1.08)])


def test_the_average_time_of_a_query_is_how_many_run_by_how_many_end(tmp_path: Path) -> None:
    server = 'server="plesk",engine="mariadb",stack="sandbox",host="box",instance="i",job="mo-mysqld"'
    other = 'server="external-postgresql",engine="postgresql",stack="sandbox",host="box",instance="i",job="mo-postgres"'
    series = [
        # Three run besides the exporter's own, and 60 end a second: 50 ms each.
        {"series": f"mysql_global_status_threads_running{{{server}}}", "values": "4x60"},
        {"series": f"mysql_global_status_queries{{{server}}}", "values": "0+3600x60"},
        # Two of two databases besides the exporter's own, and 10 end a second: 200 ms each.
        {"series": f'pg_stat_activity_count{{{other},datname="a",state="active"}}', "values": "2x60"},
        {"series": f'pg_stat_activity_count{{{other},datname="b",state="active"}}', "values": "1x60"},
        {"series": f'pg_stat_activity_count{{{other},datname="b",state="idle"}}', "values": "9x60"},
        {"series": f'pg_stat_database_xact_commit{{{other},datname="a"}}', "values": "0+300x60"},
        {"series": f'pg_stat_database_xact_commit{{{other},datname="b"}}', "values": "0+300x60"},
    ]
    samples = [{"labels": f"{{{server}}}", "value": 0.05}, {"labels": f"{{{other}}}", "value": 0.2}]
    asked = {"expr": "round(mo:database_query_seconds:avg, 0.001)", "eval_time": "30m", "exp_samples": samples}
    assert not promtool(tmp_path, [{"interval": "1m", "input_series": series, "promql_expr_test": [asked]}])


def test_files_only_are_counted_by_themselves_and_not_among_the_services_that_answer(tmp_path: Path) -> None:
    served = {"votes": "site", "n8n": "daemon", "idp": "files", "logs": "files"}
    series = [
        {"series": f'probe_success{{job="mo-services",stack="sandbox",service="{key}",serves="{serves}"}}', "values": "1x9"}
        for key, serves in served.items()
    ]
    looks = [
        {"expr": expr, "eval_time": "5m", "exp_samples": [{"labels": f'{expr}{{stack="sandbox"}}', "value": 2}]}
        for expr in ("mo:services:up", "mo:services:files_only")
    ]
    none = {**looks[1], "exp_samples": [{"labels": 'mo:services:files_only{stack="sandbox"}', "value": 0}]}
    tests: list[dict[str, object]] = [
        {"interval": "1m", "input_series": series, "promql_expr_test": looks},
        {"interval": "1m", "input_series": series[:2], "promql_expr_test": [none]},
    ]
    assert not promtool(tmp_path, tests)


def test_every_alert_of_the_rules_is_tested() -> None:
    written = {r["alert"] for g in rules(EXPORTS, SETTINGS)["groups"] for r in g["rules"] if "alert" in r}
    assert written - {c.alert for c in CASES} == {
        "ErrorRate", "CertificateExpires", "MetricMissing", "ResponseTimeTarget", "ErrorRateTarget",
    }  # fmt: skip
