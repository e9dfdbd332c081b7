"""The monitoring asks what an external service's domain leads to now: its daemon, once there is one, and its files until then."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from catalog import reader
from catalog.exports import DaemonExport
from operations import remote
from operations.monitoring import _Stack
from operations.problem import Problem
from operations.validation import smoke
from operations.validation.smoke import Answer
from tests.unit.monitoring.example import exports, service


def stack(files_only: bool | None) -> _Stack:
    """Of one site, and of idp, which the last deployment found so."""
    made = _Stack.__new__(_Stack)
    idp = service("idp", runtime="external")
    health = idp.health.model_copy(update={"daemon": DaemonExport(path="/realms/master")})
    made.exports = exports(service("votes"), idp.model_copy(update={"health": health, "files_only": files_only}))
    made.engine = SimpleNamespace(root=Path(), name="sandbox")  # type: ignore[assignment]
    made.file = SimpleNamespace(settings={"domain": "example.test"})  # type: ignore[assignment]
    made.live = SimpleNamespace(releases={"votes": "r1", "idp": "r1"})  # type: ignore[assignment]
    made.services = reader.read().services
    made.notes, made._host = [], "box"
    return made


def served(monkeypatch: pytest.MonkeyPatch, before: bool | None, now: Answer) -> tuple[bool | None, list[str]]:
    """``files_only`` of idp in what the monitoring is told, and which services were asked."""
    asked: list[str] = []

    def ask(root: Path, name: str, domain: str, services: dict[str, Any], *_: object) -> dict[str, Answer]:
        asked.extend(services)
        return {"idp": now}

    monkeypatch.setattr(smoke, "ask", ask)
    found = {s.key: s.files_only for s in stack(before).served().services}
    assert found["votes"] is None
    return found["idp"], asked


@pytest.mark.parametrize(
    ("before", "now", "after"),
    [
        (True, Answer("idp", 200, 1, None, files_only=False), False),
        (None, Answer("idp", 200, 1, None, files_only=True), True),
        (True, Answer("idp", 502, None, "answers 502"), True),
        (None, Answer("idp", 502, None, "answers 502"), None),
    ],
)
def test_what_answers_now_counts_where_no_daemon_was_found(
    monkeypatch: pytest.MonkeyPatch, before: bool | None, now: Answer, after: bool | None
) -> None:
    assert served(monkeypatch, before, now) == (after, ["idp"])


def test_files_in_the_place_of_a_daemon_that_was_deployed_to_are_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert served(monkeypatch, False, Answer("idp", 200, 1, None, files_only=True)) == (False, [])


def test_without_a_connection_the_last_deployment_s_word_stands_and_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> str:
        raise Problem("no key")

    monkeypatch.setattr(remote, "connect", fails)
    made = stack(True)
    made._host = None
    assert made.served() == made.exports
    assert made.notes == ["Whether idp are files only is told as the last deployment saw it: no key"]
