"""What a policy pack is asked beforehand is asked once, and used only for the question that was asked."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from pulumi.runtime.proto import analyzer_pb2

from embedded.engine.policies import Pack
from embedded.wire import to_struct


class Method:
    """A stub's method that counts its calls and answers with the properties it was given."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __call__(self, request: Any) -> Any:
        self.asked.append(request)
        return analyzer_pb2.RemediateResponse(
            remediations=[analyzer_pb2.Remediation(policyName=request.urn, properties=request.properties)]
        )

    def future(self, request: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(self(request))
        return done


class Stub:
    def __init__(self) -> None:
        self.Analyze = Method()


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
def pack(stub: Stub) -> Pack:
    made = Pack.__new__(Pack)
    made._stub = stub
    made._anticipated = {}
    return made


def question(value: str) -> Any:
    return analyzer_pb2.AnalyzeRequest(urn="urn:x", properties=to_struct({"value": value}))


def test_what_was_asked_beforehand_is_not_asked_again(pack: Pack, stub: Stub) -> None:
    pack.anticipate("Analyze", question("same"))
    answer = pack.analyze(question("same"))
    assert answer.remediations[0].properties["value"] == "same"
    assert len(stub.Analyze.asked) == 1


def test_another_question_than_the_anticipated_one_is_asked_itself(pack: Pack, stub: Stub) -> None:
    pack.anticipate("Analyze", question("old"))
    assert pack.analyze(question("new")).remediations[0].properties["value"] == "new"
    assert len(stub.Analyze.asked) == 2


def test_an_answer_serves_once(pack: Pack, stub: Stub) -> None:
    pack.anticipate("Analyze", question("same"))
    pack.analyze(question("same"))
    pack.analyze(question("same"))
    assert len(stub.Analyze.asked) == 2
