"""An update that ``bin/mo`` has not begun takes a generation of its own, or is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import entering
from components.entering import Entering
from components.facts import FactsError

HOLDER = {"id": "a" * 16, "owner": {"user": "anna", "machine": "laptop"}}


class Host:
    """What ``run lock`` answers, and what it was asked."""

    def __init__(self, answer: object) -> None:
        self.answer = answer if isinstance(answer, str) else json.dumps(answer)
        self.asked: list[Mapping[str, Any]] = []

    def __call__(self, _project: Path, step: str, request: Mapping[str, Any]) -> str:
        assert step == "lock"
        self.asked.append(request)
        return self.answer


def entered(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    answer: object,
    environment: Mapping[str, str] | None = None,
    *,
    dry: bool = False,
) -> Host:
    host = Host(answer)
    monkeypatch.setattr(entering, "run_step", host)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: dry)
    (folder / ".mo/production").mkdir(parents=True)
    Entering(folder, "production", environment or {})("plesk")
    return host


def number(folder: Path) -> str | None:
    path = folder / ".mo/production/generation"
    return path.read_text() if path.exists() else None


def test_a_plain_update_takes_the_next_generation_for_its_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host = entered(monkeypatch, tmp_path, {"generation": 1_700_000_001, "holder": None}, {"MO_LOCK": "staging 7 -"})
    assert [(one["action"], one["stack"]) for one in host.asked] == [("enter", "production")]
    assert number(tmp_path) == "1700000001\n"


@pytest.mark.parametrize(("variable", "dry"), [("production 7 aaaaaaaaaaaaaaaa", False), ("", True)])
def test_one_of_bin_mo_and_a_preview_take_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, dry: bool) -> None:
    assert entered(monkeypatch, tmp_path, {}, {"MO_LOCK": variable}, dry=dry).asked == []
    assert number(tmp_path) is None


def test_it_is_refused_while_a_run_holds_the_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(FactsError, match="A run of 'anna@laptop' holds the lock of production; nothing was changed") as caught:
        entered(monkeypatch, tmp_path, {"generation": None, "holder": HOLDER})
    assert "bin/mo unlock --stack production" in str(caught.value)
    assert number(tmp_path) is None


@pytest.mark.parametrize("answer", ["", "x", "[]", "{}", '{"generation": "1", "holder": 7}', "null"])
def test_an_answer_that_says_nothing_is_no_generation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str) -> None:
    with pytest.raises(FactsError, match=r"nothing was changed|did not say which generation"):
        entered(monkeypatch, tmp_path, answer)
    assert number(tmp_path) is None
