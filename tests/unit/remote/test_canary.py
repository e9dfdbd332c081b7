"""How the canary is asked, and what the host program is to do: PHP of every kind, each as a small machine with caches of its own."""

from __future__ import annotations

import json

import pytest

from components.remote.client import canary
from components.remote.client.connection import Edge
from components.remote.client.web import Answer, Site, Unanswered


class Php(Site):
    """Workers that remember the former release: ``stale`` of them by where the link led, ``compiled`` all of them by OPcache."""

    def __init__(self, **facts: object) -> None:
        super().__init__(Edge({}), "votes.example")
        self.facts = {
            "pid": 1, "php": "8.2.36", "sapi": "fpm-fcgi", "realpath_ttl": 120, "opcache": True, "timestamps": True, "reset": True,
            "restarts": 0, "pending": False, "cleared": [], **facts,
        }  # fmt: skip
        self.stale, self.compiled, self.asked = 4, bool(self.facts["opcache"]), 0
        self.resets_work, self.body = True, b""
        self.headers: list[dict[str, str]] = []

    def get(self, path: str, deadline: float, headers: dict[str, str] | None = None) -> Answer:
        given = headers or {}
        self.headers.append(given)
        self.asked += 1
        if self.body:
            return Answer(200, {}, self.body)
        old = self.compiled or self.stale > 0
        if given.get("X-Mo-Clear"):
            self.stale = max(0, self.stale - 1)
            if self.facts["reset"] and self.resets_work:
                self.stale, self.compiled = 0, False
        return Answer(200, {}, json.dumps({**self.facts, "release": "r1" if old else "r2"}).encode())

    def renew(self) -> None:
        self.stale = 0

    def expire(self) -> None:
        self.stale, self.compiled = 0, False


def _asking(php: Php, patience: float = 1.0) -> canary.Canary:
    made = canary.Canary(php, patience)
    made.site = php
    return made


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PENDING_SECONDS", 0.1), ("EXPIRE_SECONDS", 0.1), ("PAUSE_SECONDS", 0.001), ("MAX_TTL", 1)):
        monkeypatch.setattr(canary, name, value)
    monkeypatch.setattr(canary.Canary, "_side_by_side", lambda self, until, headers: [self._try(until, headers) for _ in range(8)])


def _prove(asking: canary.Canary, php: Php) -> tuple[str, list[str]]:
    """What the host program would do until the canary is content."""
    did: list[str] = []
    while True:
        said = asking.answer(["running", "r2", str(len(did)), ""], len(did))
        if said not in ("renew", "expire"):
            return said, did
        did.append(said)
        getattr(php, said)()
        assert len(did) < 40


def test_one_reset_is_enough_where_opcache_may_be_cleared() -> None:
    php = Php()
    asking = _asking(php)
    assert asking.answer(["runtime", "r1"], 0) == "ok"
    assert _prove(asking, php) == ("ok", [])
    assert (asking.how, asking.ms > 0) == ("reset", True)
    assert php.asked >= 1 + canary.IN_A_ROW


def test_opcache_that_waits_for_a_quiet_moment_is_helped_by_new_workers() -> None:
    php = Php(pending=True)
    asking = _asking(php)
    assert _prove(asking, php) == ("ok", ["renew"])
    assert asking.how == "renew"


def test_opcache_that_nobody_may_clear_notices_by_files_times() -> None:
    php = Php(reset=False)
    asking = _asking(php)
    assert asking.answer(["runtime", "r1"], 0) == "ok"
    assert _prove(asking, php) == ("ok", ["expire"])
    assert asking.how == "expire"


def test_what_nobody_can_clear_is_refused_beforehand() -> None:
    said = _asking(Php(reset=False, timestamps=False)).answer(["runtime", "r1"], 0)
    assert said.startswith("fail ")
    assert "opcache.validate_timestamps=0" in said
    assert "nothing was changed" in said


def test_without_opcache_each_process_forgets_the_path_for_itself() -> None:
    for sapi, did, how in (("fpm-fcgi", ["renew"], "renew"), ("apache2handler", [], "clear")):
        php = Php(opcache=False, reset=False, sapi=sapi)
        asking = _asking(php)
        assert asking.answer(["runtime", "r1"], 0) == "ok"
        assert _prove(asking, php) == ("ok", did)
        assert asking.how == how


def test_a_reset_that_does_nothing_is_never_believed() -> None:
    php = Php(timestamps=False)
    php.resets_work = False
    asking = _asking(php, 0.4)
    said, did = _prove(asking, php)
    assert said.startswith("fail PHP does not run the release r2")
    assert "is run from the release r1" in said
    assert did == ["renew"]
    assert asking.ms == 0


@pytest.mark.parametrize(
    "body",
    [
        b"not found", b"", b"null", b"[]", b"{}", b'{"release": 1}', b"\xff\xfe", b"[" * 20_000, b"x" * (3 << 20),
        json.dumps({**Php().facts, "release": "r2", "pid": "many"}).encode(),
    ],
    ids=["text", "empty", "null", "list", "none", "part", "bytes", "deep", "huge", "type"],
)  # fmt: skip
def test_what_is_no_answer_of_the_canary_proves_nothing(body: bytes) -> None:
    php = Php()
    php.body = body or b" "
    asking = _asking(php, 0.05)
    assert asking.answer(["runtime", "r1"], 0) == "inconclusive"
    assert _prove(asking, php)[0].startswith("fail ")


def test_php_that_is_served_as_source_is_named_before_anything_changes() -> None:
    php = Php()
    php.body = b"<?php\n// Tells which release"
    assert "is served as source" in _asking(php).answer(["runtime", "r1"], 0)


def test_no_answer_at_all_ends_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    php = Php()

    def refuse(path: str, deadline: float, headers: dict[str, str] | None = None) -> Answer:
        raise Unanswered("connection refused")

    monkeypatch.setattr(php, "get", refuse)
    assert "connection refused" in _prove(_asking(php, 0.05), php)[0]


def test_the_token_is_in_a_header_alone_and_the_host_gets_its_digest() -> None:
    php = Php()
    asking = _asking(php)
    asking.answer(["runtime", "r1"], 0)
    token = php.headers[0]["X-Mo-Canary"]
    assert token not in asking.name
    assert token not in asking.digest
    assert asking.name != _asking(php).name
