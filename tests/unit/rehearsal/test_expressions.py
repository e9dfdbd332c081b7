"""The evaluator of the rehearsal: GitHub's rules for what the workflows use, a refusal for all else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.expressions import ExpressionError, Open, as_text, condition, evaluate, interpolate

CONTEXTS: dict[str, Any] = {
    "github": {"event_name": "issues", "event": Open(label={"name": "critical-bug"}, issue={"number": 12.0})},
    "inputs": {"stack": None, "resume": False, "to": ""},
    "secrets": Open(TOKEN="canary"),
    "steps": {"records": {"outcome": "success", "outputs": Open(commit="abc")}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("inputs.stack || 'production'", "production"),
        ("github.event_name == 'ISSUES'", True),
        ("github.event_name != 'issues' || github.event.label.name == 'critical-bug'", True),
        ("format('{0}, issue #{1}', github.event.label.name, github.event.issue.number)", "critical-bug, issue #12"),
        ("format('{{0}} {0}', 'x')", "{0} x"),
        ("secrets.token", "canary"),
        ("secrets.NONE || github.event.pull_request.head.ref", None),
        ("!inputs.resume", True),
        ("!github.event.nothing.private || 'x' == 'y'", True),
        ("('' == null) && (null == 0) && ('2' == 2)", True),
        ("'it''s'", "it's"),
        ("steps.records.outputs['commit']", "abc"),
        ("1 < 2 && 'b' > 'a'", True),
        ("'x' == 1", False),
        ("(true && 'one') || 'two'", "one"),
        ("(false && 'one') || 'two'", "two"),
    ],
)
def test_what_the_workflows_say_means_what_it_means_on_github(text: str, value: Any) -> None:
    assert evaluate(text, CONTEXTS) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "'never ends",
        "format('{0}, issue",
        "inputs.stak",
        "steps.other.outcome",
        "matrix.os",
        "toJSON(secrets)",
        "format('{1}', 'x')",
        "github.event.*.name",
        "a b",
        "'x' 'y'",
        "(true",
        "inputs.stack +",
        "${{ inputs.stack }}",
        "success(",
        '"double"',
        "github.event_name.name",
    ],
)
def test_what_it_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(text, CONTEXTS)


def test_texts_with_expressions() -> None:
    assert (
        interpolate("deploy-${{ inputs.stack || 'production' }}-${{ github.event.issue.number }}", CONTEXTS)
        == "deploy-production-12"
    )
    assert interpolate("${{ '}}' }} ${{ inputs.resume }}", CONTEXTS) == "}} false"
    for text in ("${{ inputs.stack", "${{ format('{0}, issue", "${{ github.event }}", "${{ ' }}"):
        with pytest.raises(ExpressionError):
            interpolate(text, CONTEXTS)


@pytest.mark.parametrize(
    ("text", "good", "runs"),
    [
        ("inputs.resume", True, False),
        ("github.event_name == 'issues'", True, True),
        ("github.event_name == 'issues'", False, False),
        ("always() && steps.records.outcome == 'success'", False, True),
        ("${{ always() }}", False, True),
        ("failure()", False, True),
        ("'always()' == 'x' || true", False, False),
        (True, True, True),
    ],
)
def test_a_condition_asks_for_success_unless_it_says_otherwise(text: str | bool, good: bool, runs: bool) -> None:
    functions = {"success": lambda: good, "failure": lambda: not good, "always": lambda: True, "cancelled": lambda: False}
    assert condition(text, CONTEXTS, functions) is runs


def test_a_value_without_a_text_is_refused() -> None:
    assert (as_text(None), as_text(True), as_text(2.0), as_text(2.5)) == ("", "true", "2", "2.5")
    values: list[Any] = [{}, []]
    for value in values:
        with pytest.raises(ExpressionError):
            as_text(value)


def test_every_expression_of_the_workflows_can_be_read() -> None:
    project = Path(__file__).resolve().parents[3]
    files = (project / ".github/workflows").glob("*.yml")
    texts = [text for path in files for text in re.findall(r"\$\{\{(.*?)\}\}", path.read_text(), re.DOTALL)]
    assert len(texts) > 50
    contexts = {name: Open() for name in ("github", "inputs", "secrets", "vars", "steps", "needs", "runner", "env")}
    for text in texts:
        evaluate(text, contexts)
