"""A host program refuses, under its service's lock, a run that another one has followed: the program's own text, under hosts' shells."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from components.remote.client import generation
from components.remote.client.connection import Connection

HOST = Path(__file__).parents[3] / "components/remote/host"
SHELLS = [["dash"], ["busybox", "sh"], ["bash", "--posix"]]
MINE, OTHER = "a" * 16, "b" * 16

SECTION = """
. "$MO_TOOL/common"
. "$MO_TOOL/locks"
q_root=$1 q_service=votes q_stack=production q_generation=$2 q_lock=$3
places
enter_service 1
say entered
"""


class Place:
    """A root on which a program enters. ``held``: what the lock's file says."""

    def __init__(self, root: Path, shell: list[str]) -> None:
        self.root, self.shell = root, shell
        self.operations = root / ".deploy/.operations"
        self.base = root / ".deploy/votes"
        self.operations.mkdir(parents=True)
        self.base.mkdir()

    def held(self, lock: str, renewed: float | None = None, ttl: int = 180) -> None:
        now = int(time.time() if renewed is None else renewed)
        (self.operations / "production").write_text(f"{lock} {now} {ttl} {now}\n{{}}\n")

    def newest(self, text: str) -> None:
        (self.operations / ".generation-production").write_text(text)

    def enters(self, number: str = "", lock: str = "") -> bool:
        done = subprocess.run(
            [*self.shell, "-c", SECTION, "program", str(self.root), number, lock],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "MO_TOOL": str(HOST)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines = done.stdout.splitlines()
        assert done.returncode == (0 if lines[-1:] == ["@entered"] else 1), (done.stdout, done.stderr)
        assert done.returncode == 0 or "nothing was changed" in lines[-1]
        return done.returncode == 0


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if shutil.which(request.param[0]) is None:
        pytest.skip(f"{request.param[0]} is not installed here")
    return Place(tmp_path / "root of host", request.param)


def test_the_holder_of_the_lock_enters_and_is_written_down(place: Place) -> None:
    place.held(MINE)
    place.newest("1700000001\n")
    assert place.enters("1700000001", MINE)
    assert (place.base / "generation").read_text() == "1700000001\n"


@pytest.mark.parametrize("left", ["taken over", "released", "released by hand", "torn"])
def test_who_has_lost_the_lock_does_not(place: Place, left: str) -> None:
    place.newest("1700000001\n" if left == "released by hand" else "1700000002\n")
    if left == "taken over":
        place.held(OTHER)
    elif left == "torn":
        (place.operations / "production").write_text("")
    assert not place.enters("1700000001", MINE)
    assert not (place.base / "generation").exists()


def test_who_took_over_from_an_older_version_counts_by_its_lock_alone(place: Place) -> None:
    """That one grows no generation."""
    place.newest("1700000001\n")
    place.held(OTHER)
    assert not place.enters("1700000001", MINE)


def test_an_expired_lock_that_nobody_has_taken_is_still_its_holder_s(place: Place) -> None:
    place.newest("1700000001\n")
    place.held(MINE, renewed=time.time() - 1000)
    assert place.enters("1700000001", MINE)


def test_an_update_without_a_lock_is_followed_by_any_later_one(place: Place) -> None:
    place.newest("1700000001\n")
    assert place.enters("1700000001")
    place.newest("1700000002\n")
    assert not place.enters("1700000001")
    assert place.enters("1700000002")


def test_what_has_changed_the_service_counts_where_the_stack_s_file_is_lost(place: Place) -> None:
    (place.base / "generation").write_text("1700000009\n")
    assert not place.enters("1700000008")
    assert place.enters("1700000009")


def test_a_step_of_no_run_changes_nothing_while_one_holds_the_lock(place: Place) -> None:
    assert place.enters()
    place.newest("1700000001\n")
    assert place.enters()
    place.held(OTHER)
    assert not place.enters()
    place.held(OTHER, renewed=time.time() - 1000)
    assert place.enters()


@pytest.mark.parametrize("text", ["", "\n", "x\n", "-1\n", "9" * 40 + "\n", "1 2\n", "$(touch /tmp/x)\n", "\0\1"])
def test_a_damaged_number_counts_as_none(place: Place, text: str) -> None:
    place.newest(text)
    (place.base / "generation").write_text(text)
    place.held(MINE)
    assert place.enters("1700000001", MINE)


@pytest.mark.parametrize("variable", ["", "production", "production x -", f"staging 7 {MINE}", "production 99999999999999999999 -"])
def test_a_run_s_number_comes_from_its_environment_or_the_stack_s_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    connection = Connection.__new__(Connection)
    connection.stack, connection.folder = "production", str(tmp_path)
    monkeypatch.setenv(generation.VARIABLE, variable)
    assert (generation.held(connection).generation, generation.held(connection).lock) == ("", "")
    (tmp_path / "generation").write_text("1700000003\n")
    assert (generation.held(connection).generation, generation.held(connection).lock) == ("1700000003", "")
    monkeypatch.setenv(generation.VARIABLE, f"production 1700000004 {MINE}")
    assert (generation.held(connection).generation, generation.held(connection).lock) == ("1700000004", MINE)
