"""What a policy pack is asked beforehand is asked once, and used only for the question that was asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from pulumi.runtime.proto import analyzer_pb2

from embedded import engine
from embedded.engine.anticipation import expected_inputs
from embedded.engine.policies import Policies
from embedded.engine.policy_inquiry import Inquiry
from embedded.engine.policy_questions import Question, Questions
from embedded.engine.steps import Goal
from embedded.model import Options, PolicyPack, ResourceState
from embedded.providers.base import Resource
from embedded.values import Secret
from tests.unit.embedded.engine.stage import Body, Client, FakeProvider, Made, Stage


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


def test_a_truth_value_is_another_question_than_a_number() -> None:
    questions, goal = Questions(), Goal("test:index:Thing", "x", custom=True, inputs={})

    def asked(value: Any) -> Question:
        return questions.of(ResourceState("urn:x", "test:index:Thing", custom=True, inputs={"on": [value]}), goal, None)

    number = asked(1)
    assert asked(True) is not number
    assert asked(True).analysis.properties["on"][0] is True
    assert asked(1).analysis.properties["on"][0] == 1.0


@pytest.mark.parametrize(
    ("former", "given", "expected"),
    [
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1, "b": 2, "__defaults": ["b"]}, {"a": 1}, True),
        ({"a": [{"b": 1, "c": 2, "__defaults": ["c"]}], "__own": "1"}, {"a": [{"b": 1}]}, True),
        ({"a": [{"b": 1, "c": 2, "__defaults": []}]}, {"a": [{"b": 1}]}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": 1, "b": 2, "__defaults": "b"}, {"a": 1}, False),
        ({"a": Secret("x")}, {"a": "x"}, False),
        (None, {}, True),
    ],
    ids=[
        "same",
        "a default",
        "a default inside",
        "taken out inside",
        "another kind",
        "added",
        "taken out",
        "no list of defaults",
        "no secret any more",
        "without inputs",
    ],
)
def test_former_inputs_are_expected_again_where_the_program_gives_the_same(former: Any, given: Any, expected: bool) -> None:
    goal = Goal("test:index:Thing", "x", custom=True, inputs=given)
    old = ResourceState("urn:x", "test:index:Thing", custom=True, inputs=former)
    assert expected_inputs(goal, old) == ((former or {}) if expected else None)


class Watched(Policies):
    """One pack that notes the names of what it is asked to judge."""

    asked: ClassVar[list[str]] = []

    def _load(self, options: Options) -> None:
        self.asked.clear()
        pack: Any = SimpleNamespace(
            inquiry=Inquiry(lambda _: analyzer_pb2.RemediateResponse(), self._judged),
            label=dict,
            summary=lambda *_: {},
            name="watched",
            path="watched",
            version="1",
            analyze_stack=lambda _: analyzer_pb2.AnalyzeResponse(),
            close=lambda: None,
        )
        self.packs.append(pack)

    def _judged(self, request: Any) -> Any:
        self.asked.append(request.name)
        return analyzer_pb2.AnalyzeResponse()


def test_resources_are_judged_in_the_order_of_their_registration(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    check = FakeProvider.check

    def slowly(self: FakeProvider, resource: Resource, *rest: Any) -> Any:
        time.sleep(0.4)
        return check(self, resource, *rest)

    monkeypatch.setattr(FakeProvider, "check", slowly)
    monkeypatch.setattr(engine, "Policies", Watched)

    def body(size: int) -> Body:
        def register(program: Client) -> None:
            def after(seconds: float, call: Callable[[], Made]) -> Callable[[], Made]:
                def made() -> Made:
                    time.sleep(seconds)
                    return call()

                return made

            program.together(
                after(0, lambda: program.thing("new", {"x": size})),
                after(0.15, lambda: program.component("gate")),
                after(0.3, lambda: program.thing("kept", {"x": 1})),
            )

        return register

    for size in (1, 2):
        assert stage.run(body(size), policy_packs=(PolicyPack("watched"),)).ok
        assert [name for name in Watched.asked if name in ("new", "gate", "kept")] == ["new", "gate", "kept"]
