"""The real vitest, as the gates run it, on tests of which one leaves a rejection that nobody catches."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from catalog.settings import GateSettings
from evidence.own import Commit
from operations.gates import steps
from operations.gates.context import Context
from tests.unit.evidence.folder import COMMIT, verdicts_of

pytestmark = pytest.mark.slow

FINE = "import { expect, test } from 'vitest';\nimport { one } from './one';\ntest('one', () => expect(one()).toBe(1));\n"
UNHANDLED = """import { expect, test } from 'vitest';
test('fine', () => {
  Promise.reject(new Error('nobody caught me'));
  expect(1).toBe(1);
});
"""


def test_a_rejection_that_nobody_catches_turns_the_gate_red_by_the_exit_code(tmp_path: Path) -> None:
    source = tmp_path / "source/frontend/src"
    source.mkdir(parents=True)
    (source / "one.ts").write_text("export const one = () => 1;\n")
    (source / "one.test.ts").write_text(FINE)
    (source / "unhandled.test.ts").write_text(UNHANDLED)
    settings = GateSettings(required=("unit-tests",))
    context = Context("production", tmp_path, tmp_path / "source", tmp_path / "r", Commit(COMMIT), settings)

    done = steps.run(context, steps.of_gates(["unit-tests"]), lambda done: None)
    assert [(one.step.name, one.error) for one in done] == [("vitest with coverage", "")]
    assert json.loads((tmp_path / "r/unit-web.xml.provenance.json").read_text())["exitCode"] == 1
    found = verdicts_of(tmp_path / "r", "unit-tests", "coverage", now=datetime.now(UTC))
    assert {verdict.verdict for verdict in found.values()} == {"fail"}
    assert "vitest ended with exit code 1, and its report shows no failure" in found["unit-tests"].reason

    (source / "unhandled.test.ts").unlink()
    steps.run(context, steps.of_gates(["unit-tests"]), lambda done: None)
    assert {
        verdict.verdict for verdict in verdicts_of(tmp_path / "r", "unit-tests", "coverage", now=datetime.now(UTC)).values()
    } == {"pass"}
