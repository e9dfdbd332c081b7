"""The report of an update: whole, one for each update of a day, the failures in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from operations import display, project, report
from operations.app import app, register
from operations.deployment.outcome import Outcome
from operations.progress import Progress
from operations.report import GateLine, Report
from operations.validation.smoke import Answer


def _report(**changes: object) -> Report:
    progress = Progress.of(["votes", "docs"])
    progress.services["votes"].steps["switch"] = "failed"
    progress.services["votes"].errors.append("no space | left\non the host")
    progress.services["docs"].steps["switch"] = "done"
    progress.services["docs"].results = {
        "stage": {"files": 3, "bytes": 1500},
        "switch": {"migrations": ["0001", "0002"], "snapshot": "s1"},
    }
    answers = {
        "docs": Answer("docs", 200, 7, None, files_only=True, version="1.4.0"),
        "votes": Answer("votes", 500, None, "It answers 500."),
    }
    lines = report.service_lines(progress, {"votes": "r1", "docs": "r1"}, {"votes": "r1", "docs": "r2"}, answers)
    plain = {
        "version": 1,
        "stack": "sandbox",
        "kind": "deployment",
        "message": "deploy docs",
        "started": "2026-11-21T09:00:00Z",
        "seconds": 12.3,
        "succeeded": False,
        "gates": (GateLine("coverage", "pass", 91.0, "≥ 80", ""),),
        "services": lines,
        "notes": ("eslint waived",),
        "errors": (),
    }
    return Report(**{**plain, **changes})  # type: ignore[arg-type]


def test_it_names_every_service_gate_and_problem() -> None:
    text = report.markdown(_report())
    assert text.startswith("# Deployment of sandbox, 2026-11-21T09:00:00Z: FAILED\n")
    assert "| docs | r1 → r2 (version 1.4.0) | 3 | 1500 B | 0001, 0002 | s1 | 0.0 | 200 (files only) | 7 |" in text
    assert "| votes | r1 |" in text
    assert "- **votes**: no space | left\non the host" in text
    assert "- **votes**: It answers 500." in text
    assert "| coverage | pass | 91 | ≥ 80 |  |" in text
    assert "- eslint waived" in text


def test_a_release_that_the_host_had_counts_no_file_and_no_byte() -> None:
    progress = Progress.of(["docs"])
    progress.services["docs"].steps["stage"] = "done"
    progress.services["docs"].results = {"stage": {"files": 3, "bytes": 1500, "uploaded": False, "sent": 0}}
    told = _report(services=report.service_lines(progress, {"docs": "r2"}, {"docs": "r1"}, {}))
    assert (told.services[0].files, told.services[0].bytes, report.trend(told)["bytes"]) == (0, 0, 0)
    assert "1 of 1 services changed: 0 files, 0 B, 0 migrations, 0 snapshots." in report.markdown(told)


def test_what_the_first_deployment_found_is_told_as_the_table_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress.of(["docs", "votes"])
    for key, previous in (("docs", "adopted"), ("votes", None)):
        progress.services[key].steps["switch"] = "done"
        progress.services[key].results = {"switch": {"previous": previous, "live": "r1"}}
    live = {"docs": "r1", "votes": "r1"}
    text = report.markdown(_report(services=report.service_lines(progress, {}, live, {})))
    display.summary(display.console(), progress, {key: (None, "r1") for key in live}, live, {})
    table = capsys.readouterr().out
    for moved in ("adopted → r1", "none → r1"):
        assert moved in text
        assert moved in table


def test_what_an_interrupted_run_had_done_counts_for_the_one_that_goes_on_with_it() -> None:
    progress = Progress.of(["docs", "votes"])
    lines = report.service_lines(progress, {"docs": "r1", "votes": "r1"}, {"docs": "r2", "votes": "r1"}, {})
    assert [line.changed for line in lines] == [True, False]


def test_reports_of_one_day_are_kept_apart_and_the_trends_have_a_line_for_each(tmp_path: Path) -> None:
    written = [report.write(tmp_path, _report()) for _ in range(3)]
    assert [path.name for path in written] == [
        "deployment-2026-11-21.md",
        "deployment-2026-11-21-2.md",
        "deployment-2026-11-21-3.md",
    ]
    folder = tmp_path / "quality-reports"
    assert json.loads((folder / "deployment-2026-11-21-2.json").read_text())["services"][1]["new"] == "r2"
    trends = [json.loads(line) for line in (folder / "deployments.jsonl").read_text().splitlines()]
    assert len(trends) == 3
    assert trends[0] == {
        "stack": "sandbox",
        "kind": "deployment",
        "started": "2026-11-21T09:00:00Z",
        "seconds": 12.3,
        "succeeded": False,
        "services": 2,
        "changed": 2,
        "failed": 1,
        "migrations": 2,
        "http200": 1,
        "bytes": 1500,
        "rollbacks": 0,
        "flows": 0,
        "flows_failed": 0,
        "waived": 0,
    }


def test_a_cell_cannot_break_its_table() -> None:
    text = report.markdown(_report(gates=(GateLine("x", "fail", None, "≤ 0", "a | b\nc"),)))
    assert "| x | fail |  | ≤ 0 | a \\| b c |" in text


FLOW = {
    "name": "donation",
    "title": "CiviCRM donation",
    "state": "failed",
    "seconds": 3.2,
    "problem": "crm answers 500",
    "files": ["donation.webm"],
}
ANSWER = {"service": "docs", "status": 200, "milliseconds": 7, "problem": None}
PHASES = (
    Outcome("up", True, "22 services"),
    Outcome("smoke", True, "2 of 2 services answer as they must", {"answers": [ANSWER]}),
    Outcome("end-to-end", False, "6 of 7 flows passed", {"ran": 7, "failed": 1, "flows": [FLOW]}, "1 of 7 end-to-end flows failed"),
    Outcome("visual", True, "", {"pages": [{"name": "home", "state": "same", "percent": 0.0, "problem": "", "files": ["home.png"]}]}),
    Outcome("lighthouse", False, "", {"thresholds": {"seo": 90}, "pages": [{"service": "main", "scores": {"seo": 81.0}, "problem": ""}]}),
)  # fmt: skip
WAIVED = GateLine(
    "eslint",
    "waived",
    4.0,
    "≤ 0",
    "eslint: 4 errors; waived by Anna Bauer until 2026-11-28 09:00 UTC: known, mended on Monday",
    "Anna Bauer until 2026-11-28 09:00 UTC: known, mended on Monday",
)


def whole() -> Report:
    return _report(
        phases=PHASES,
        durations={"up": 61.0},
        gates=(WAIVED,),
        run="20261121T090000000Z-ab12",
        who="anna on laptop",
        resumed="run 20261121T080000000Z-cd34, interrupted in the phase up",
        went_back="1 of 7 end-to-end flows failed",
        issue="https://github.example/o/r/issues/7",
    )


@pytest.mark.parametrize(
    "words",
    [
        "# Deployment of sandbox, 2026-11-21T09:00:00Z: FAILED, rolled back",
        "- by: anna on laptop",
        "- resumed: run 20261121T080000000Z-cd34, interrupted in the phase up",
        "- issue: https://github.example/o/r/issues/7",
        "because 1 of 7 end-to-end flows failed.",
        "| up | ok | 61.0 | 22 services |",
        "2 of 2 services changed: 3 files, 1500 B, 2 migrations, 1 snapshot.",
        "- eslint: waived by Anna Bauer until 2026-11-28 09:00 UTC: known, mended on Monday",
        "2 of 2 services answer as they must. Slowest answer: 7 ms.",
        "| CiviCRM donation | failed | 3.2 | crm answers 500 | donation.webm |",
        "| home | same | 0 |  | home.png |",
        "| at least | 90 |  |",
        "| main | 81 |  |",
    ],
)
def test_a_deployment_that_went_back_is_told_whole(words: str) -> None:
    assert words in report.markdown(whole()).splitlines() or words in report.markdown(whole())


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        (["votes"], "votes went back to its former release because it answers 500."),
        (["docs", "votes"], "Everything went back to the former releases because it answers 500."),
        ([], "Everything went back to the former releases because it answers 500."),
    ],
    ids=["one", "all", "none told"],
)
def test_a_rollback_names_the_services_that_went_back_where_not_all_did(moves: list[str], words: str) -> None:
    phase = Outcome("rollback", True, "", {"moves": {key: ["r2", "r1"] for key in moves}})
    assert words in report.markdown(_report(kind="rollback", phases=(phase,), went_back="it answers 500")).splitlines()
    text = report.markdown(_report(phases=(phase,), went_back="it answers 500"))
    assert "Everything went back to the former releases because it answers 500." in text, (
        "what a deployment brought went back whole"
    )


def test_the_json_is_as_its_schema_says_and_the_schema_is_the_one_in_docs(tmp_path: Path) -> None:
    written = report.write(tmp_path, whole())
    schema = json.loads((project.ROOT / "docs" / "report.schema.json").read_text())
    assert schema == report.schema(), "write it anew: python -m operations.report > docs/report.schema.json"
    data = json.loads(written.with_suffix(".json").read_text())
    jsonschema.validate(data, schema)
    for key in ("stack", "services", "gates"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({k: v for k, v in data.items() if k != key}, schema)


def test_a_rollback_and_failed_flows_are_counted_for_the_trends() -> None:
    found = report.trend(whole())
    assert (found["rollbacks"], found["flows"], found["flows_failed"], found["waived"]) == (1, 7, 1, 1)


def test_a_line_that_a_killed_run_cut_short_harms_no_later_one(tmp_path: Path) -> None:
    folder = tmp_path / "quality-reports"
    folder.mkdir()
    (folder / "deployments.jsonl").write_text('{"stack": "sand')
    report.write(tmp_path, _report())
    lines = (folder / "deployments.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[1])["stack"] == "sandbox"


def _mo(*arguments: str) -> tuple[int, str]:
    if not app.registered_commands:
        register()
    result = CliRunner().invoke(app, ["report", *arguments])
    return result.exit_code, result.output or str(result.exception)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(project, "ROOT", tmp_path)
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    for stack in ("sandbox", "staging"):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
    for number, stack in enumerate(("staging", "sandbox", "sandbox")):
        report.write(tmp_path, _report(stack=stack, started=f"2026-11-2{number}T09:00:00Z"))
    return tmp_path


def test_the_command_shows_the_last_report_of_a_stack_or_a_day(folder: Path) -> None:
    assert "# Deployment of sandbox, 2026-11-22" in _mo()[1]
    assert "# Deployment of staging, 2026-11-20" in _mo("--stack", "staging")[1]
    assert "2026-11-21T09" in _mo("--date", "2026-11-21")[1]
    listed: list[dict[str, Any]] = json.loads(_mo("--list", "--json", "--stack", "sandbox")[1])
    assert [one["started"] for one in listed] == ["2026-11-21T09:00:00Z", "2026-11-22T09:00:00Z"]
    assert json.loads(_mo("--json")[1])["stack"] == "sandbox"


def test_a_list_without_a_report_says_so(folder: Path) -> None:
    (folder / "Pulumi.production.yaml").write_text("config: {}\n")
    code, text = _mo("--list", "--stack", "production")
    assert (code, text) == (0, "There is no report of production in quality-reports/; a deploy or a rollback writes one.\n")
    assert _mo("--list", "--date", "2026-01-01")[1].startswith("There is no report of 2026-01-01 in")
    assert _mo("--list", "--stack", "production", "--json") == (0, "[]\n")


def test_a_damaged_report_is_passed_over_and_a_wrong_day_is_said(folder: Path) -> None:
    damaged = folder / "quality-reports" / "deployment-2026-11-22.json"
    damaged.write_text(damaged.read_text()[:100])
    assert "2026-11-21T09" in _mo()[1]
    code, text = _mo("--date", "../etc")
    assert code != 0
    assert "is no day" in text
    assert "no report of staging of 2026-01-01" in _mo("--stack", "staging", "--date", "2026-01-01")[1]
