"""The file backend: places, locks, recovery after a crash, refusal of unusable states."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from embedded.model import PendingOperation, ResourceState, Snapshot
from embedded.state import journal, locks
from embedded.state.backend import Backend, StackName, parse_stack_name
from embedded.state.checkpoint import Checkpoint
from embedded.state.errors import NotSupportedError, StackNotFoundError, StateError

DEV = StackName("p", "dev")


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    """A backend with the empty stack ``dev``."""
    made = Backend(f"file://{tmp_path}")
    made.create(DEV, None)
    return made


def _state(name: str) -> ResourceState:
    return ResourceState(f"urn:pulumi:dev::p::t:i:T::{name}", "t:i:T", True, id=name)


def _save(backend: Backend, *names: str) -> bytes:
    checkpoint = Checkpoint(DEV.qualified).updated(Snapshot([_state(name) for name in names]), None, None)
    backend.save(DEV, checkpoint)
    return backend.path(DEV).read_bytes()


def test_layout_is_pulumis(backend: Backend, tmp_path: Path) -> None:
    found = {str(p.relative_to(tmp_path / ".pulumi")) for p in (tmp_path / ".pulumi").rglob("*") if p.is_file()}
    stacks = {f"stacks/p/dev.json{ending}" for ending in ("", ".attrs", ".bak", ".bak.attrs")}
    assert found == {"meta.yaml", "meta.yaml.attrs"} | stacks


def test_second_holder_is_refused_and_named(backend: Backend) -> None:
    with backend.lock(DEV), pytest.raises(locks.LockedError, match=rf"pid {os.getpid()}"), backend.lock(DEV):
        pass
    with backend.lock(DEV):
        pass


def test_stale_lock_is_recognised_and_cleared(backend: Backend) -> None:
    path = backend.lock_directory(DEV) / "left.json"
    path.write_text(
        json.dumps({"pid": 4194305, "username": "u", "hostname": socket.gethostname(), "timestamp": "2026-01-01T00:00:00Z"})
    )
    with pytest.raises(locks.LockedError, match="stale"), backend.lock(DEV):
        pass
    locks.clear(backend.lock_directory(DEV))
    with backend.lock(DEV):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"pid": "x"}'])
def test_unreadable_lock_still_locks(backend: Backend, content: bytes) -> None:
    (backend.lock_directory(DEV) / "odd.json").write_bytes(content)
    with pytest.raises(locks.LockedError), backend.lock(DEV):
        pass


def test_killed_run_is_folded_on_the_next_start(backend: Backend) -> None:
    content = _save(backend, "a")
    log = journal.FileJournal(backend.journal_path(DEV), content, backend.read(DEV)[1].snapshot(str), None)
    new = _state("b")
    log.end(log.begin(PendingOperation("creating", new)), new=new)
    log.begin(PendingOperation("creating", _state("c")))
    assert [r["id"] for r in backend.current(DEV).resources] == ["b", "a"]
    assert backend.path(DEV).read_bytes() == content
    assert backend.recover(DEV) is None
    assert [r["id"] for r in backend.read(DEV)[1].resources] == ["b", "a"]
    assert [p["resource"]["id"] for p in (backend.read(DEV)[1].deployment or {})["pending_operations"]] == ["c"]
    assert not backend.journal_path(DEV).exists()


def test_journal_of_another_state_is_set_aside_not_folded(backend: Backend) -> None:
    log = journal.FileJournal(backend.journal_path(DEV), _save(backend, "a"), Snapshot(), None)
    log.end(None, new=_state("ours"))
    theirs = _save(backend, "a", "by the CLI")
    warning = backend.recover(DEV)
    assert warning is not None
    assert "another program" in warning
    assert backend.path(DEV).read_bytes() == theirs
    assert len(list(backend.journal_path(DEV).parent.glob("dev.*.jsonl"))) == 1


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 9, "checkpoint": {"stack": "s"}}', b'{"hello": 1}', b"\x1f\x8b\x08"])
def test_damaged_state_is_left_alone_and_the_last_good_backup_named(backend: Backend, damage: bytes) -> None:
    content = _save(backend, "a")
    backend.add_history(DEV, {"kind": "update"}, content)
    backend.add_history(DEV, {"kind": "update"}, damage)
    backend.path(DEV).write_bytes(damage)
    with pytest.raises(StateError) as caught:
        backend.current(DEV)
    named = Path(str(caught.value).split("the last good copy is ")[1])
    assert named.read_bytes() == content
    assert backend.path(DEV).read_bytes() == damage


def test_rename_moves_history_and_rewrites_urns(backend: Backend) -> None:
    backend.add_history(DEV, {"kind": "update"}, _save(backend, "a"))
    backend.rename(DEV, StackName("p", "later"))
    later = StackName("p", "later")
    assert backend.current(later).resources[0]["urn"].startswith("urn:pulumi:later::p::")
    assert [entry["kind"] for entry in backend.history(later)] == ["update"]
    assert not backend.exists(DEV)
    with pytest.raises(StackNotFoundError):
        backend.current(DEV)


def test_tags_are_kept_and_go_with_the_last_one(backend: Backend) -> None:
    backend.set_tags(DEV, {"owner": "me"})
    assert backend.tags(DEV) == {"owner": "me"}
    backend.set_tags(DEV, {})
    assert backend.tags(DEV) == {}


@pytest.mark.parametrize("url", ["s3://bucket", "https://api.pulumi.com", "postgres://x", "plain"])
def test_other_backends_are_refused_by_name(url: str) -> None:
    with pytest.raises(NotSupportedError, match="the Pulumi CLI does it"):
        Backend(url)


def test_missing_directory_and_other_layout_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no such file or directory"):
        Backend(f"file://{tmp_path}/none")
    (tmp_path / ".pulumi").mkdir()
    (tmp_path / ".pulumi" / "meta.yaml").write_text("version: 7\n")
    with pytest.raises(StateError, match="layout"):
        Backend(f"file://{tmp_path}")


@pytest.mark.parametrize("name", ["", "a b", "a/b/c/d", "other/p/dev", "..", "x" * 101, "../../etc/passwd", "p/..", "../dev"])
def test_bad_stack_names_are_refused(name: str) -> None:
    with pytest.raises(StateError):
        parse_stack_name(name, "p")


def test_stack_names_may_be_qualified() -> None:
    assert parse_stack_name("organization/q/dev", "p") == StackName("q", "dev")
    assert parse_stack_name("q/dev", "p") == StackName("q", "dev")
    assert parse_stack_name("dev", "p") == StackName("p", "dev")


def test_compressed_checkpoint_is_refused_by_name(backend: Backend) -> None:
    path = backend.path(DEV)
    path.rename(path.with_name("dev.json.gz"))
    with pytest.raises(NotSupportedError, match="compressed"):
        backend.read(DEV)
