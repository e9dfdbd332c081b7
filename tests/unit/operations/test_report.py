"""The report of an update: whole, one for each update of a day, the failures in it."""

from __future__ import annotations

import json
from pathlib import Path

from operations import report
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
    answers = {"docs": Answer("docs", 200, 7, None), "votes": Answer("votes", 500, None, "It answers 500.")}
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
    assert "| docs | r1 → r2 | 3 | 1500 B | 0001, 0002 | s1 | 0.0 | 200 | 7 |" in text
    assert "| votes | r1 |" in text
    assert "- **votes**: no space | left\non the host" in text
    assert "- **votes**: It answers 500." in text
    assert "| coverage | pass | 91 | ≥ 80 |  |" in text
    assert "- eslint waived" in text


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
    }


def test_a_cell_cannot_break_its_table() -> None:
    text = report.markdown(_report(gates=(GateLine("x", "fail", None, "≤ 0", "a | b\nc"),)))
    assert "| x | fail |  | ≤ 0 | a \\| b c |" in text
