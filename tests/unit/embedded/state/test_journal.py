"""The journal over the checkpoint is the state after each line, also when the process dies in the middle of one."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from embedded.model import NotRecordedError, PendingOperation, ResourceState, Snapshot
from embedded.state import journal
from embedded.state.backend import Backend, parse_stack_name
from embedded.state.checkpoint import Checkpoint
from embedded.state.errors import StateError
from embedded.state.session import StackSession, Update, open_session
from embedded.values import Secret

BASE = b"{}"


def _state(name: str, **fields: Any) -> ResourceState:
    return ResourceState(f"urn:pulumi:dev::p::t:i:T::{name}", "t:i:T", True, id=name, **fields)


def _open(path: Path, *states: ResourceState) -> tuple[journal.FileJournal, dict[str, Any]]:
    deployment = Checkpoint("s").updated(Snapshot(list(states)), lambda plain: f"<{len(plain)}>", None).deployment or {}
    return journal.FileJournal(path, BASE, Snapshot(list(states)), lambda plain: f"<{len(plain)}>"), deployment


def _names(deployment: dict[str, Any]) -> list[str]:
    return [r["urn"].split("::")[-1] + ("!" if r.get("delete") else "") for r in deployment.get("resources", [])]


def test_create_update_delete_fold_to_the_new_state(tmp_path: Path) -> None:
    old, gone = _state("old"), _state("gone")
    log, deployment = _open(tmp_path / "j", old, gone, _state("untouched"))
    new = _state("new")
    log.end(log.begin(PendingOperation("creating", new)), new=new)
    changed = _state("old", outputs={"a": 1})
    log.end(log.begin(PendingOperation("updating", changed)), old=old, new=changed)
    log.end(log.begin(PendingOperation("deleting", gone)), old=gone, remove_old=True)
    folded = journal.fold(deployment, journal.read(tmp_path / "j"))
    assert _names(folded) == ["new", "old", "untouched"]
    assert folded["resources"][1]["outputs"] == {"a": 1}
    assert "pending_operations" not in folded


def test_operation_without_an_end_is_pending_and_a_failed_one_is_not(tmp_path: Path) -> None:
    log, deployment = _open(tmp_path / "j")
    log.begin(PendingOperation("creating", _state("under-way")))
    log.fail(log.begin(PendingOperation("creating", _state("failed"))))
    folded = journal.fold(deployment, journal.read(tmp_path / "j"))
    assert [p["resource"]["id"] for p in folded["pending_operations"]] == ["under-way"]


def test_replacement_keeps_the_old_one_marked(tmp_path: Path) -> None:
    old, new = _state("r"), _state("r", outputs={"v": 2})
    log, deployment = _open(tmp_path / "j", old)
    number = log.begin(PendingOperation("creating", new))
    old.delete = True
    log.end(number, old=old, new=new, keep_old=True)
    assert _names(journal.fold(copy.deepcopy(deployment), journal.read(tmp_path / "j"))) == ["r", "r!"]
    log.end(log.begin(PendingOperation("deleting", old)), old=old, remove_old=True)
    assert _names(journal.fold(deployment, journal.read(tmp_path / "j"))) == ["r"]


def test_cut_anywhere_gives_a_state_without_loss_or_double(tmp_path: Path) -> None:
    states = [_state(f"s{n}") for n in range(3)]
    log, deployment = _open(tmp_path / "j", *states)
    for state in states:
        log.end(None, old=state, new=_state(state.id))
        created = _state(f"new-{state.id}")
        log.end(log.begin(PendingOperation("creating", created)), new=created)
    content = (tmp_path / "j").read_bytes()
    for length in range(len(content) + 1):
        (tmp_path / "cut").write_bytes(content[:length])
        names = _names(journal.fold(copy.deepcopy(deployment), journal.read(tmp_path / "cut")))
        assert len(names) == len(set(names))
        assert {"s0", "s1", "s2"} <= set(names)


def test_unchanged_steps_write_no_content_and_keep_their_place_in_the_run(tmp_path: Path) -> None:
    first, second = _state("a", inputs={"x": "y" * 10_000}), _state("b")
    log, deployment = _open(tmp_path / "j", first, second)
    before = (tmp_path / "j").stat().st_size
    log.end(None, old=second, new=_state("b"))
    log.end(None, old=first, new=_state("a", inputs={"x": "y" * 10_000}, source_position="moved"))
    assert (tmp_path / "j").stat().st_size - before < 200
    folded = journal.fold(deployment, journal.read(tmp_path / "j"))
    assert _names(folded) == ["b", "a"]
    assert folded["resources"][1]["inputs"] == {"x": "y" * 10_000}


def test_rebase_and_outputs_are_folded(tmp_path: Path) -> None:
    old = _state("a")
    log, deployment = _open(tmp_path / "j", old)
    refreshed = _state("a", outputs={"seen": 1})
    log.rebase([refreshed])
    final = _state("a", outputs={"seen": 1})
    log.end(None, old=refreshed, new=final)
    final.outputs = {"registered": Secret("hush")}
    log.outputs(final)
    folded = journal.fold(deployment, journal.read(tmp_path / "j"))
    assert _names(folded) == ["a"]
    assert "registered" in folded["resources"][0]["outputs"]
    assert b"hush" not in (tmp_path / "j").read_bytes()


def test_cost_of_an_entry_does_not_grow_with_the_stack(tmp_path: Path) -> None:
    sizes = []
    for count in (10, 1_000):
        log, _ = _open(tmp_path / f"j{count}", *(_state(f"s{n}") for n in range(count)))
        before = (tmp_path / f"j{count}").stat().st_size
        new = _state("new")
        log.end(log.begin(PendingOperation("creating", new)), new=new)
        sizes.append((tmp_path / f"j{count}").stat().st_size - before)
    assert sizes[1] - sizes[0] < 10


def test_journal_belongs_to_one_checkpoint(tmp_path: Path) -> None:
    log, _ = _open(tmp_path / "j")
    entries = journal.read(tmp_path / "j")
    assert journal.belongs(entries, BASE)
    assert not journal.belongs(entries, b"another")
    log.close(b"final")
    assert journal.done(journal.read(tmp_path / "j"), b"final")
    assert not journal.done(journal.read(tmp_path / "j"), BASE)


@pytest.mark.parametrize("follower", ["begun", "finished", "set aside"])
def test_an_update_that_was_cancelled_while_it_slept_writes_nothing_more_once_another_has_begun(
    tmp_path: Path, follower: str
) -> None:
    backend = Backend(f"file://{tmp_path}")
    stack = parse_stack_name("dev", "p")
    backend.create(stack, None)

    def session() -> AbstractContextManager[StackSession]:
        return open_session(backend, stack, lambda _: pytest.fail("no secrets here"), None, Update("update", "", {}, {}))

    with session() as slept:
        slept.journal.begin(PendingOperation("creating", _state("of the sleeper")))
        # As ``cancel`` and the next ``up`` do.
        if follower == "set aside":
            backend.journal_path(stack).rename(tmp_path / "aside")
        else:
            backend.recover(stack)
        with session() as later:
            number = later.journal.begin(PendingOperation("creating", _state("later")))
            if follower == "finished":
                later.journal.end(number, new=_state("later"))
                later.finish(Snapshot([_state("later")]), result="succeeded", changes={})
            before = (backend.path(stack).read_bytes(), journal.read(backend.journal_path(stack)))
            with pytest.raises(NotRecordedError, match="another one of the stack has begun"):
                slept.journal.begin(PendingOperation("creating", _state("more of the sleeper")))
            with pytest.raises(StateError, match="nothing was written"):
                slept.finish(Snapshot([_state("of the sleeper")]), result="succeeded", changes={})
            assert (backend.path(stack).read_bytes(), journal.read(backend.journal_path(stack))) == before
