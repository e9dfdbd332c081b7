"""What the doctor says of how PHP takes a new release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog import reader
from operations import remote
from operations.doctor import php
from operations.problem import Problem

SERVICES = {key: entry for key, entry in reader.read().services.items() if key in ("votes", "support", "main", "forum")}
LIVE = {"votes": "r1", "support": "r1", "main": "r1", "forum": None}
TOLD: dict[str, Any] = {
    "how": "reset", "php": "8.2.36", "sapi": "fpm-fcgi", "opcache": True, "timestamps": True, "realpath_ttl": 120, "runs": "r1",
}  # fmt: skip


def _look(monkeypatch: pytest.MonkeyPatch, told: dict[str, Any] | Problem) -> list[tuple[bool | None, str]]:
    def run(root: Path, stack: str, step: str, request: dict[str, Any], timeout: float = 0) -> dict[str, Any]:
        assert step == "running"
        if isinstance(told, Problem):
            raise told
        return told

    monkeypatch.setattr(remote, "run", run)
    return [(finding.good, finding.text) for finding in php.look(Path("/"), "sandbox", "mo.localhost", SERVICES, LIVE)]


def test_services_of_one_kind_of_php_are_told_together_with_the_way_and_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    ((good, text),) = _look(monkeypatch, TOLD)
    assert good is True
    assert text.startswith("votes, support: PHP 8.2.36 (fpm-fcgi) with OPcache: ")
    assert "opcache_reset" in text


@pytest.mark.parametrize(
    ("change", "good", "said"),
    [
        ({"how": "expire"}, True, "new times"),
        ({"how": "renew", "opcache": False}, True, "replaces its own PHP-FPM processes"),
        ({"how": "clear", "opcache": False, "sapi": "apache2handler"}, True, "each process is asked"),
        ({"how": None, "timestamps": False}, False, "no new release could go live"),
        ({"runs": "r0"}, False, "runs the code of r0"),
        (dict.fromkeys(TOLD), None, "PHP gives no answer"),
    ],
)
def test_each_kind_is_told(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], good: bool | None, said: str) -> None:
    ((found, text),) = _look(monkeypatch, {**TOLD, **change})
    assert found is good
    assert said in text


def test_a_host_that_refuses_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    ((good, text),) = _look(monkeypatch, Problem("votes: asking PHP on sandbox: cannot write"))
    assert good is False
    assert "cannot write" in text
