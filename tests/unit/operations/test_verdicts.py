"""What was waived for an update stands in its message, and so for good in both histories."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from catalog.settings import StackSettings
from components import judgement
from operations import records, verdicts
from operations.deployment.outcome import Outcome
from operations.report import GateLine
from tests.unit.evidence.folder import COMMIT, put, the_report
from tests.unit.evidence.test_gates_run import BASE_SETTINGS


def requiring(gate: str) -> StackSettings:
    return StackSettings.model_validate({**BASE_SETTINGS, "gates": {"required": [gate], "reports": "r"}})


SETTINGS = requiring("eslint")


def project(folder: Path, *, waived: bool) -> Path:
    now = datetime.now(UTC)
    (folder / "dist").mkdir()
    (folder / "dist" / "manifest.json").write_text(json.dumps({"commit": COMMIT}))
    put(folder / "r", the_report("eslint", "fail"), time=now.isoformat())
    if waived:
        entry = {
            "gate": "eslint",
            "commit": COMMIT,
            "reason": "the fix is released tomorrow",
            "author": "Ada Lovelace",
            "expires": (now + timedelta(days=2)).isoformat(),
        }
        (folder / "waivers.yaml").write_text(yaml.safe_dump({"waivers": [entry]}))
        for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=x", "-c", "user.email=x@x.at", "commit", "-q", "-m", "x"]):
            subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    return folder


def taken(folder: Path, settings: StackSettings) -> Outcome:
    """The phase ``gates`` as the journal keeps it, on a project whose reports are judged now."""
    judged = judgement.of("sandbox", settings, folder, COMMIT, None)
    details = {verdicts.KEY: verdicts.kept(verdicts.lines(judged.verdicts))}
    return Outcome("gates", True, "", json.loads(json.dumps(details)))


def test_a_waiver_stands_in_the_message_of_its_update(tmp_path: Path) -> None:
    lines = verdicts.quoted(taken(project(tmp_path, waived=True), SETTINGS))
    assert [line.verdict for line in lines] == ["waived"]
    message = verdicts.noted("deploy votes", lines)
    assert message.startswith("deploy votes [waived: eslint: Ada Lovelace until ")
    assert message.endswith("UTC: the fix is released tomorrow]")
    told = SimpleNamespace(
        kind="update",
        result="succeeded",
        start_time="t",
        end_time=None,
        message=message,
        environment={},
        config={},
        resource_changes={},
    )
    assert "the fix is released tomorrow" in records.read([told])[0].message


def test_without_a_waiver_the_message_stays_as_it_is(tmp_path: Path) -> None:
    lines = verdicts.quoted(taken(project(tmp_path, waived=False), SETTINGS))
    assert [line.verdict for line in lines] == ["fail"]
    assert verdicts.noted("deploy votes", lines) == "deploy votes"


def test_a_verdict_is_quoted_as_it_was_taken_whatever_became_of_the_reports(tmp_path: Path) -> None:
    outcome = taken(project(tmp_path, waived=True), SETTINGS)
    shutil.rmtree(tmp_path / "r")
    (tmp_path / "waivers.yaml").write_text("waivers: [")
    assert [(line.verdict, line.figure) for line in verdicts.quoted(outcome)] == [("waived", 4)]


@pytest.mark.parametrize("kept", [None, [], "x", [7], [{"name": "eslint"}], [{"name": "a", "unknown": 1}]])
def test_a_phase_that_kept_no_verdicts_is_quoted_with_none(kept: object) -> None:
    assert verdicts.quoted(Outcome("gates", True, "", {verdicts.KEY: kept})) == ()
    assert verdicts.quoted(None) == ()


def test_only_waived_gates_are_told() -> None:
    lines = [GateLine("a", "pass", 0, "≤ 0", ""), GateLine("b", "waived", 1, "≤ 0", "b: 1", "Ada until x: y")]
    assert verdicts.waived(lines) == ["b: Ada until x: y"]
