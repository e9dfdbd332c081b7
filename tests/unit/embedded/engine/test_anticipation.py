"""What a policy pack is asked beforehand is asked once, and used only for the question that was asked."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from pulumi.runtime.proto import analyzer_pb2

from embedded.engine.policy_inquiry import Inquiry
from embedded.engine.policy_questions import Question, Questions
from embedded.engine.steps import Goal
from embedded.model import ResourceState
from embedded.values import Secret


class Method:
    """A stub's method that notes what it is asked, and answers with a violation named after the question."""

    def __init__(self, name: str, asked: list[tuple[str, str]], mends: bool) -> None:
        self.name, self.asked, self.mends = name, asked, mends
        self.slow = False

    def __call__(self, request: Any) -> Any:
        value = request.properties["value"]
        self.asked.append((self.name, value))
        if self.slow:
            time.sleep(0.002)
        if self.name == "Analyze":
            return analyzer_pb2.AnalyzeResponse(diagnostics=[analyzer_pb2.AnalyzeDiagnostic(message=value)])
        mended = [analyzer_pb2.Remediation(policyName="mends", properties=request.properties)] if self.mends else []
        return analyzer_pb2.RemediateResponse(remediations=mended)


class Stub:
    def __init__(self, mends: bool) -> None:
        self.asked: list[tuple[str, str]] = []
        self.Analyze = Method("Analyze", self.asked, mends)
        self.Remediate = Method("Remediate", self.asked, mends)


def inquiry(*, mends: bool = False) -> tuple[Inquiry, Stub]:
    stub = Stub(mends)
    return Inquiry(stub.Remediate, stub.Analyze), stub


def question(value: str, urn: str = "urn:x") -> Question:
    return Question("test:index:Thing", urn, {"value": value}, None, None)


def judged(inquiry: Inquiry, asked: Question) -> str:
    inquiry.remediate(asked)
    message: str = inquiry.analyze(asked).diagnostics[0].message
    return message


def test_what_was_asked_beforehand_is_not_asked_again_and_serves_once() -> None:
    pack, stub = inquiry()
    same = question("same")
    pack.anticipate(same)
    assert judged(pack, same) == "same"
    assert stub.asked == [("Remediate", "same"), ("Analyze", "same")]
    assert judged(pack, same) == "same"
    assert len(stub.asked) == 4


def test_another_question_than_the_anticipated_one_is_asked_itself() -> None:
    pack, stub = inquiry()
    pack.anticipate(question("old"))
    assert judged(pack, question("new")) == "new"
    assert stub.asked[-2:] == [("Remediate", "new"), ("Analyze", "new")]


def test_wrong_questions_are_never_asked_between_the_right_ones() -> None:
    pack, stub = inquiry()
    stub.Remediate.slow = True
    for number in range(20):
        pack.anticipate(question("old"))
        if number % 2:
            time.sleep(0.001)  # it is under way
        judged(pack, question("new"))
    asked = [pair for pair in zip(stub.asked[::2], stub.asked[1::2], strict=True)]
    assert all(first[1] == second[1] and (first[0], second[0]) == ("Remediate", "Analyze") for first, second in asked)


def test_what_a_pack_would_mend_is_not_judged_beforehand() -> None:
    pack, stub = inquiry(mends=True)
    same = question("same")
    pack.anticipate(same)
    pack.remediate(same)
    assert stub.asked == [("Remediate", "same")]
    assert pack.analyze(question("mended")).diagnostics[0].message == "mended"


def test_a_pack_that_mends_nothing_is_not_asked_to() -> None:
    pack, stub = inquiry()
    pack.remediates = False
    same = question("same")
    pack.anticipate(same)
    assert judged(pack, same) == "same"
    assert stub.asked == [("Analyze", "same")]


def test_a_resource_is_mended_before_it_is_judged_however_many_are_asked_beforehand() -> None:
    pack, stub = inquiry()
    questions = [question(str(number), f"urn:{number}") for number in range(50)]
    for asked in questions:
        pack.anticipate(asked)
    assert [judged(pack, asked) for asked in questions] == [str(number) for number in range(50)]
    assert stub.asked == [(method, str(number)) for number in range(50) for method in ("Remediate", "Analyze")]


def test_the_question_is_the_same_one_as_long_as_the_resource_is_as_it_was() -> None:
    questions, goal = Questions(), Goal("test:index:Thing", "x", custom=True, inputs={})
    provider = ResourceState("urn:provider", "pulumi:providers:test", custom=True, inputs={"region": "one"})

    def state(**changes: Any) -> ResourceState:
        return replace(ResourceState("urn:x", "test:index:Thing", custom=True, inputs={"value": Secret("a")}), **changes)

    first = questions.of(state(), goal, provider)
    assert questions.of(state(), goal, provider) is first
    for other in (
        questions.of(state(inputs={"value": "a"}), goal, provider),
        questions.of(state(protect=True), goal, provider),
        questions.of(state(), goal, replace(provider, inputs={"region": "two"})),
        questions.of(state(), replace(goal, delete_before_replace=True), provider),
        questions.of(state(), goal, None),
    ):
        assert other is not first
