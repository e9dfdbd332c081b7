"""What a policy pack is asked beforehand is asked once, and used only for the question that was asked."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pulumi.runtime.proto import analyzer_pb2

from embedded.engine.policy_pack import Pack
from embedded.wire import to_struct


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


def packed(*, mends: bool = False) -> tuple[Pack, Stub]:
    pack, stub = Pack.__new__(Pack), Stub(mends)
    pack._stub = stub
    pack._asking = threading.Lock()
    pack._ahead = ThreadPoolExecutor(max_workers=1)
    pack._anticipated = {}
    return pack, stub


def question(value: str) -> Any:
    return analyzer_pb2.AnalyzeRequest(urn="urn:x", properties=to_struct({"value": value}))


def judged(pack: Pack, value: str) -> str:
    pack.remediate(question(value))
    message: str = pack.analyze(question(value)).diagnostics[0].message
    return message


def test_what_was_asked_beforehand_is_not_asked_again_and_serves_once() -> None:
    pack, stub = packed()
    pack.anticipate(question("same"), question("same"))
    assert judged(pack, "same") == "same"
    assert stub.asked == [("Remediate", "same"), ("Analyze", "same")]
    assert judged(pack, "same") == "same"
    assert len(stub.asked) == 4


def test_another_question_than_the_anticipated_one_is_asked_itself() -> None:
    pack, stub = packed()
    pack.anticipate(question("old"), question("old"))
    assert judged(pack, "new") == "new"
    assert stub.asked[-2:] == [("Remediate", "new"), ("Analyze", "new")]


def test_wrong_questions_are_never_asked_between_the_right_ones() -> None:
    pack, stub = packed()
    stub.Remediate.slow = True
    for number in range(20):
        pack.anticipate(question("old"), question("old"))
        if number % 2:
            time.sleep(0.001)  # it is under way
        judged(pack, "new")
    asked = [pair for pair in zip(stub.asked[::2], stub.asked[1::2], strict=True)]
    assert all(first[1] == second[1] and (first[0], second[0]) == ("Remediate", "Analyze") for first, second in asked)


def test_what_a_pack_would_mend_is_not_judged_beforehand() -> None:
    pack, stub = packed(mends=True)
    pack.anticipate(question("same"), question("same"))
    pack.remediate(question("same"))
    assert stub.asked == [("Remediate", "same")]
    assert pack.analyze(question("mended")).diagnostics[0].message == "mended"


def test_a_resource_is_mended_before_it_is_judged_however_many_are_asked_beforehand() -> None:
    pack, stub = packed()
    for number in range(50):
        request = analyzer_pb2.AnalyzeRequest(urn=f"urn:{number}", properties=to_struct({"value": str(number)}))
        pack.anticipate(request, request)
    pack._ahead.shutdown(wait=True)
    assert stub.asked == [(method, str(number)) for number in range(50) for method in ("Remediate", "Analyze")]
