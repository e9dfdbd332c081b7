"""Verdicts, waivers, and the inputs of the QualityGate."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.settings import GateSettings
from evidence.collect import UnknownGateError, collect
from evidence.gates import GATES
from evidence.judge import inputs, judge
from evidence.model import NOWHERE, Evidence, Provenance
from evidence.waivers import Waiver, WaiverError, load, read
from tests.policies.programs import FIGURES
from tests.unit.evidence.folder import COMMIT, NOW, evidence_of, put, the_report, verdicts_of


def a_waiver(**changes: Any) -> Waiver:
    fields = {
        "gate": "eslint",
        "commit": COMMIT,
        "reason": "the fix is released tomorrow morning",
        "author": "Ada Lovelace",
        "expires": NOW + timedelta(days=2),
    }
    return Waiver.model_validate({**fields, **changes})


@pytest.mark.parametrize("name", list(GATES))
def test_a_figure_on_the_threshold_passes_and_one_beyond_does_not(name: str) -> None:
    gate = GATES[name]
    beyond = gate.threshold + (0.01 if gate.comparison == "<=" else -0.01)
    for figure, verdict in ((gate.threshold, "pass"), (beyond, "fail")):
        (found,) = judge([Evidence(name, "r.json", figure, 1)], commit=COMMIT, now=NOW)
        assert found.verdict == verdict


@pytest.mark.parametrize("name", list(GATES))
def test_a_figure_of_one_is_a_singular(name: str) -> None:
    """The policy pack's sentence: ``test_a_new_gate_is_one_file_and_one_line_of_configuration``."""
    sentence = GATES[name].sentence(1).partition(",")[0]
    assert not re.search(
        r"\b1 (\w+ )*(errors|secrets|alerts|findings|violations|places|artefacts|vulnerabilities|days)\b", sentence
    )
    assert "{" not in sentence


@pytest.mark.parametrize(
    ("number", "reason"), [(1, "eslint: 1 error, required: at most 0"), (2, "eslint: 2 errors, required: at most 0")]
)
def test_a_message_counts_as_people_do(number: int, reason: str) -> None:
    (found,) = judge([Evidence("eslint", "r.json", number, 1)], commit=COMMIT, now=NOW)
    assert found.reason.startswith(reason)


def test_the_policy_pack_knows_the_same_gates_and_thresholds() -> None:
    assert {name: (gate.group, gate.comparison, gate.threshold) for name, gate in GATES.items()} == {
        name: figures[:3] for name, figures in FIGURES.items()
    }


def test_a_waiver_lets_a_figure_through_and_is_told(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("eslint", "fail"))
    verdict = verdicts_of(tmp_path / "r", "eslint", waivers=[a_waiver()])["eslint"]
    assert verdict.verdict == "waived"
    for part in ("Ada Lovelace", "released tomorrow", "2026-11-25", "4 errors"):
        assert part in verdict.reason


@pytest.mark.parametrize(
    "changes",
    [{"gate": "trivy"}, {"commit": "f" * 40}, {"expires": NOW - timedelta(seconds=1)}, {"expires": NOW + timedelta(days=30)}],
)
def test_a_waiver_for_something_else_or_another_time_lets_nothing_through(tmp_path: Path, changes: dict[str, Any]) -> None:
    put(tmp_path / "r", the_report("eslint", "fail"))
    assert verdicts_of(tmp_path / "r", "eslint", waivers=[a_waiver(**changes)])["eslint"].verdict == "fail"


def test_a_missing_or_broken_report_cannot_be_waived(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    assert verdicts_of(tmp_path / "r", "eslint", waivers=[a_waiver()])["eslint"].verdict == "fail"
    put(tmp_path / "r", "eslint.json", b"[")
    assert verdicts_of(tmp_path / "r", "eslint", waivers=[a_waiver()])["eslint"].verdict == "fail"
    put(tmp_path / "r", the_report("eslint", "fail"), commit="f" * 40)
    assert verdicts_of(tmp_path / "r", "eslint", waivers=[a_waiver()])["eslint"].verdict == "fail"


def test_one_broken_report_beside_a_red_one_cannot_be_waived(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("eslint", "fail"))
    put(tmp_path / "r", "eslint-games.json", b"{}")
    assert verdicts_of(tmp_path / "r", "eslint", waivers=[a_waiver()])["eslint"].verdict == "fail"


ENTRY = f"""
waivers:
  - gate: eslint
    commit: {COMMIT}
    reason: the fix is released tomorrow morning
    author: Ada Lovelace
    expires: 2026-11-25T12:00:00Z
"""


def test_a_waivers_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "waivers.yaml"
    assert read(path) == []
    path.write_text("")
    assert read(path) == []
    path.write_text("waivers: []\n")
    assert read(path) == []
    path.write_text(ENTRY)
    (waiver,) = read(path)
    assert waiver.holds("eslint", COMMIT, NOW)
    assert waiver.until == datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("waivers: {", "not YAML"),
        ("- gate: eslint", "one key"),
        ("waivers: eslint", "one key"),
        ("waivers: []\nmore: 1", "one key"),
        ("waivers: [1]", "entry 1"),
        (ENTRY.replace("gate: eslint", "gate: wishes"), "wishes"),
        (ENTRY.replace("gate: eslint", "gate: gitleaks"), "cannot be waived"),
        (ENTRY.replace("gate: eslint", "gate: personal-data"), "cannot be waived"),
        (ENTRY.replace(COMMIT, "abc"), "commit"),
        (ENTRY.replace("the fix is released tomorrow morning", "because"), "reason"),
        (ENTRY.replace("author: Ada Lovelace", "author: ''"), "author"),
        (ENTRY.replace("expires: 2026-11-25T12:00:00Z", ""), "expires"),
        (ENTRY + "    wish: 1\n", "wish"),
        ("a: &a [*a]\nwaivers: *a", "one key"),
        ("x" * 300_000, "larger"),
        ("waivers: !!python/object/apply:os.system [id]", "not YAML"),
        ("waivers: !!int ''", "not YAML"),
        ("waivers: !!bool often", "not YAML"),
        ("waivers: !!timestamp soon", "not YAML"),
        ("waivers: {[]: 1}", "not YAML"),
        ("[" * 5_000, "not YAML"),
        (ENTRY.replace("2026-11-25T12:00:00Z", "2026-11-99"), "not YAML"),
        (b"waivers: \xff\xfe\x00", "not YAML"),
        (ENTRY.encode("utf-16")[:-3], "not YAML"),
        (ENTRY[: len(ENTRY) * 2 // 3], "author"),
    ],
)
def test_a_broken_waivers_file_is_refused_in_one_sentence(tmp_path: Path, text: str | bytes, word: str) -> None:
    path = tmp_path / "waivers.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(WaiverError) as caught:
        read(path)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_waivers_file_crashes_its_reader_and_none_waives_without_reason_and_author(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(ENTRY.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 30))] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b"!!int ", b"!!set ", b"&a ", b"*a", b"<<: ", b"[", b"{", b"- ", b"? ", b"|"])
        )
    path = tmp_path / "waivers.yaml"
    path.write_bytes(content)
    try:
        found = read(path)
    except WaiverError:
        return  # whatever else is raised fails the test
    for waiver in found:
        assert GATES[waiver.gate].waivable
        assert (len(waiver.commit), len(waiver.reason) >= 15, len(waiver.author) >= 3) == (40, True, True)


def commit(folder: Path) -> None:
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=x", "-c", "user.email=x@x.at", "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def test_a_waiver_counts_only_once_it_is_committed(tmp_path: Path) -> None:
    path = tmp_path / "waivers.yaml"
    path.write_text(ENTRY)
    refused = "the waiver of eslint by Ada Lovelace until 2026-11-25 12:00 UTC is in no commit of this checkout"
    with pytest.raises(WaiverError, match=f"entry 1: {refused}"):
        load(path)  # no repository at all
    (tmp_path / "other").touch()
    path.unlink()
    commit(tmp_path)
    path.write_text(ENTRY)
    with pytest.raises(WaiverError, match=refused):
        load(path)  # a file that is not tracked
    commit(tmp_path)
    assert len(load(path)) == 1
    path.write_text(ENTRY + ENTRY.replace("waivers:", "").replace("eslint", "wcag").lstrip("\n"))
    with pytest.raises(WaiverError, match="entry 2: the waiver of wcag"):
        load(path)
    path.write_text(ENTRY.replace("2026-11-25", "2026-11-29"))
    with pytest.raises(WaiverError, match="until 2026-11-29"):
        load(path)  # one that is committed, and was changed since
    path.write_text("# nothing is waived any more\n")
    assert load(path) == []


def test_a_waivers_file_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "waivers.yaml").mkdir()
    with pytest.raises(WaiverError, match="cannot be read"):
        read(tmp_path / "waivers.yaml")


def test_the_gates_inputs_do_not_change_with_the_clock(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("eslint", "fail"))
    put(tmp_path / "r", the_report("pytest", "pass"))
    wanted = GateSettings(required=("eslint", "unit-tests"))
    made = [
        inputs(evidence_of(tmp_path / "r", *wanted.required, now=now), wanted, COMMIT, [a_waiver()], now=now)
        for now in (NOW, NOW + timedelta(hours=3))
    ]
    assert made[0] == made[1]
    assert made[0]["commit"] == COMMIT
    report = made[0]["gates"][0]["reports"][0]
    assert (report["figure"], report["toolVersion"], report["commit"], len(report["digest"])) == (4, "1.2.3", COMMIT, 64)


def test_a_rollback_stands_in_the_inputs() -> None:
    note = {"update": 7, "reason": "smoke tests failed", "author": "Ada", "time": "2026-11-23T21:59:00Z"}
    assert inputs([], GateSettings(required=("eslint",)), COMMIT, rollback=note)["rollback"] == note


def test_the_worst_report_speaks() -> None:
    evidence = [Evidence("coverage", f"{figure}.xml", figure, 9, provenance=Provenance()) for figure in (90.0, 70.0, 85.0)]
    (verdict,) = judge(evidence, commit=COMMIT, now=NOW)
    assert (verdict.verdict, verdict.figure, verdict.report) == ("fail", 70.0, "70.0.xml")


def test_a_gate_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownGateError, match="wishes"):
        collect(GateSettings(required=("wishes",)), tmp_path, COMMIT, NOWHERE)
