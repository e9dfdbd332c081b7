"""The host keeps copies of the runs' journals for the clones that did not write them."""

from __future__ import annotations

import stat

import pytest

from .conftest import Remote

pytestmark = pytest.mark.sandbox


def name(number: int) -> str:
    return f"20261130T0930{number:05}Z-abcd"


def test_copies_come_back_as_they_were_newest_first_and_old_ones_go(remote: Remote) -> None:
    assert remote.run("journal", action="list")["runs"] == []
    assert not (remote.root / ".deploy/.operations/sandbox.runs").exists(), "who looks writes nothing"
    text = '{"event":"begin","message":"ä\\t\'$x\'`y`"}\n{"a":"\t"}\n'
    for number in (2, 1, 3):
        remote.run("journal", action="put", id=name(number), text=text.replace("begin", str(number)))
    found = remote.run("journal", action="list")["runs"]
    assert [run["id"] for run in found] == [name(3), name(2), name(1)]
    assert found[0]["text"] == text.replace("begin", "3")
    remote.run("journal", action="put", id=name(1), text="other\n")
    assert remote.run("journal", action="list")["runs"][2]["text"] == "other\n"
    folder = remote.root / ".deploy/.operations/sandbox.runs"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / f"{name(1)}.jsonl").stat().st_mode) == 0o600
    for number in range(4, 24):
        (folder / f"{name(number)}.jsonl").write_text("x\n")
    (folder / "no journal; touch y").write_text("x\n")
    (folder / f"{name(23)}.jsonl").write_bytes(b"x" * 1_000_001)
    remote.own(folder)
    remote.run("journal", action="put", id=name(24), text="x\n")
    assert len(list(folder.glob("*.jsonl"))) == 20
    assert [run["id"] for run in remote.run("journal", action="list")["runs"]] == [name(24), *(name(n) for n in range(22, 14, -1))]
    assert remote.run("journal", action="list", stack="staging")["runs"] == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"action": "drop"}, "action"),
        ({"action": "put", "id": "../../x", "text": ""}, "not that of a run"),
        ({"action": "put", "id": name(1), "text": "x" * 1_000_001}, "larger than"),
        ({"action": "put", "id": name(1)}, "lacks 'text'"),
        ({"action": "list", "stack": "../x"}, "not a stack's name"),
    ],
)
def test_what_is_no_request_is_refused(remote: Remote, more: dict[str, object], said: str) -> None:
    assert said in remote.refused("journal", **more)
