"""Puts the questions about resources to one policy pack: one at a time, and beforehand where they are known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from embedded.engine.policy_questions import Question

Ask = Callable[[Any], Any]


@dataclass(frozen=True)
class Anticipated:
    """A question that was put beforehand, and the pack's two answers; the second is missing where the first would mend."""

    question: Question
    answers: Future[tuple[Any, Any]]


class Inquiry:
    """Asks a pack to mend each resource, and then to judge it. ``remediate`` and ``analyze`` put a request to it."""

    def __init__(self, remediate: Ask, analyze: Ask) -> None:
        self._remediate, self._analyze = remediate, analyze
        self.remediates = True
        """Whether a policy of the pack is to mend resources; else its answer is known without asking."""
        # One at a time, as the real engine asks: rules may keep what they saw.
        self._asking = threading.Lock()
        self._ahead = ThreadPoolExecutor(max_workers=1, thread_name_prefix="policies")
        self._anticipated: dict[str, Anticipated] = {}

    def anticipate(self, question: Question) -> None:
        """Asks in the background what will probably be asked."""

        def ask() -> tuple[Any, Any]:
            mended = self._put(self._remediate, question.remediation) if self.remediates else None
            return mended, None if mended is not None and mended.remediations else self._put(self._analyze, question.analysis)

        self._anticipated[question.urn] = Anticipated(question, self._ahead.submit(ask))

    def remediate(self, question: Question) -> Any:
        """The pack's answer to the question what to mend; ``None`` where nothing of it mends. Raises ``PolicyError``."""
        if not self.remediates:
            return None
        found = self._anticipated.get(question.urn)
        if found is not None and found.question is question:
            return found.answers.result()[0]
        self._withdraw(question.urn)
        return self._put(self._remediate, question.remediation)

    def analyze(self, question: Question) -> Any:
        """The pack's verdict; asked after ``remediate``. Raises ``PolicyError``."""
        found = self._anticipated.get(question.urn)
        if found is not None and found.question is question and (answer := found.answers.result()[1]) is not None:
            del self._anticipated[question.urn]
            return answer
        self._withdraw(question.urn)
        return self._put(self._analyze, question.analysis)

    def _put(self, ask: Ask, request: Any) -> Any:
        with self._asking:
            return ask(request)

    def _withdraw(self, urn: str) -> None:
        """Takes wrong questions back, or lets them end: a rule that keeps what it saw must not see theirs between the right ones."""
        found = self._anticipated.pop(urn, None)
        if found is not None and not found.answers.cancel():
            wait([found.answers])

    def close(self) -> None:
        """Puts no more questions."""
        self._ahead.shutdown(wait=False, cancel_futures=True)
