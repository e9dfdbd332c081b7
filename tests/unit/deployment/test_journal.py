"""A run that was interrupted anywhere is known by its journal, whatever is left of that."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from operations.deployment import journal as journals
from operations.deployment import owner as owners
from operations.deployment.journal import Journal
from operations.deployment.outcome import Outcome
from operations.deployment.owner import Owner
from operations.problem import Problem

STACK = "staging"


@pytest.fixture
def gone() -> Owner:
    """A process of this machine that has ended."""
    child = subprocess.Popen(["true"])
    child.wait()
    here = owners.here({})
    return Owner("anna", here.machine, child.pid, here.boot, "1")


def _begun(root: Path, who: Owner, minute: int = 0) -> Journal:
    made = Journal(journals.folder_of(root, STACK), lambda: datetime(2026, 11, 21, 9, minute, tzinfo=UTC))
    made.begin("deployment", "deploy votes", who, {"only": ["votes"]})
    return made


def test_a_run_is_read_back_as_it_went(tmp_path: Path, gone: Owner) -> None:
    made = _begun(tmp_path, gone)
    made.locked("0123456789abcdef")
    made.planned({"votes": "ra"}, {"votes": "rb"}, "deploy votes")
    made.start("up")
    up = Outcome("up", True, "1 service", {"seconds": 3}, None)
    made.end(up)
    made.start("smoke")
    (run,) = journals.runs(tmp_path, STACK)
    assert (run.id, run.who, run.before, run.releases, run.lock) == (
        made.id,
        gone,
        {"votes": "ra"},
        {"votes": "rb"},
        "0123456789abcdef",
    )
    assert (run.outcomes, run.phase, run.state, run.changed) == ([up], "smoke", "interrupted", True)
    made.end(Outcome("smoke", False, "votes answers 500", {}, "votes answers 500"))
    made.done(False, "taken back")
    (run,) = journals.runs(tmp_path, STACK)
    assert (run.state, run.ended, run.outcomes[-1].rollback) == ("failed", "2026-11-21T09:00:00Z", "votes answers 500")
    assert made.path.stat().st_mode & 0o777 == 0o600


def test_a_run_whose_process_lives_is_not_interrupted(tmp_path: Path) -> None:
    _begun(tmp_path, owners.here({}))
    found = journals.runs(tmp_path, STACK)
    assert journals.unfinished(found) is None
    assert journals.running(found) == found[0]


def test_a_journal_cut_at_any_byte_is_an_interrupted_run_and_never_an_error(tmp_path: Path, gone: Owner) -> None:
    made = _begun(tmp_path, gone)
    made.planned({}, {"votes": "rb"}, "deploy votes")
    made.start("up")
    made.end(Outcome("up", True, "1 service"))
    whole = made.path.read_bytes()
    states = set()
    for length in range(len(whole) + 1):
        made.path.write_bytes(whole[:length])
        run = journals.read(made.path)
        states.add((run.state, run.phase))
    assert states == {("interrupted", None), ("interrupted", "up")}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[1,2]",
        b'{"event":"begin"}',
        b'{"event":"end","at":"x","phase":7,"ok":true,"summary":"","details":{},"rollback":null}',
        b'{"event":"plan","at":"x","before":{"votes":1},"releases":{},"message":""}',
        b'{"event":"begin","at":"x","version":99,"kind":"deployment","message":"","who":{},"options":{}}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
    ids=["empty", "null", "list", "short", "phase", "set", "version", "bytes", "nested"],
)
def test_hostile_lines_are_passed_over(tmp_path: Path, gone: Owner, line: bytes) -> None:
    made = _begun(tmp_path, gone)
    made.start("up")
    made.path.write_bytes(made.path.read_bytes() + line + b"\n")
    run = journals.read(made.path)
    assert (run.phase, run.kind, run.damaged) == ("up", "deployment", 1 if line else 0)


def test_what_a_journal_says_cannot_drive_a_terminal(tmp_path: Path, gone: Owner) -> None:
    made = _begun(tmp_path, Owner("\x1b[31mmallory", gone.machine, gone.pid, gone.boot, "1"))
    made.planned({}, {}, "\x1b]0;owned\x07")
    run = journals.read(made.path)
    assert "\x1b" not in str(run.plain())
    assert "\x1b" not in str(run.who)


def test_a_huge_journal_and_strange_files_are_no_runs(tmp_path: Path, gone: Owner) -> None:
    made = _begun(tmp_path, gone)
    with made.path.open("ab") as file:
        file.truncate(journals.MAX_BYTES + 1)
    assert journals.read(made.path).damaged == 1
    (made.path.parent / "zzz.jsonl").write_text("{}")
    (made.path.parent / "20991121T090000000Z-abcd.jsonl").mkdir()
    assert [run.id for run in journals.runs(tmp_path, STACK)] == [made.id]


def test_only_what_nothing_settled_since_is_unfinished(tmp_path: Path, gone: Owner) -> None:
    first = _begun(tmp_path, gone)
    first.start("up")

    def left() -> str | None:
        found = journals.unfinished(journals.runs(tmp_path, STACK))
        return found.id if found else None

    assert left() == first.id
    refused = _begun(tmp_path, gone, 1)
    refused.start("preview")
    refused.end(Outcome("preview", True, "answered no"))
    refused.done(True, "nothing was changed")
    assert left() == first.id, "a run that changed nothing settles nothing"
    second = _begun(tmp_path, gone, 2)
    second.start("up")
    second.end(Outcome("up", True, ""))
    second.done(True, "deployed")
    assert left() is None
    early = _begun(tmp_path, gone, 3)
    early.start("gates")
    assert left() == early.id
    _begun(tmp_path, gone, 4).done(False, "gates are red")
    assert left() is None, "an interruption before any change is past with the next run"


def test_a_journal_that_cannot_be_written_stops_the_run_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match=r"The journal .* cannot be written"):
        Journal(tmp_path / "file" / "runs")


def test_old_journals_go(tmp_path: Path, gone: Owner) -> None:
    names = [_begun(tmp_path, gone, minute).id for minute in range(4)]
    journals.prune(tmp_path, STACK, keep=2)
    assert [run.id for run in journals.runs(tmp_path, STACK)] == [names[3], names[2]]


def test_a_number_of_a_process_that_was_given_again_is_another_process() -> None:
    here = owners.here({})
    assert owners.is_here(here)
    assert not owners.is_gone(here)
    assert owners.is_gone(Owner(here.user, here.machine, os.getpid(), here.boot, "1"))
    assert not owners.is_gone(Owner(here.user, "elsewhere", 1, here.boot, "1"))
    assert not owners.is_gone(Owner(here.user, here.machine, 2**30, "another start", "1")), "nothing is known of another boot"


def test_a_ci_run_is_named_by_its_address() -> None:
    made = owners.here({"GITHUB_ACTOR": "anna", "GITHUB_REPOSITORY": "acme/site", "GITHUB_RUN_ID": "7"})
    assert str(made).startswith("anna@")
    assert str(made).endswith("(https://github.com/acme/site/actions/runs/7)")
    assert owners.read(json.loads(json.dumps(made.plain()))) == made
