"""What a resource costs does not depend on how many there are: counted in calls and bytes, not in seconds."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded.state.encryption import Crypter
from embedded.state.journal import FileJournal
from tests.unit.embedded.engine.random_programs import Program, Spec, Stand, stand

_SMALL, _LARGE = 30, 300
_TOLERANCE = 1.3  # ten times the resources may take 13 times the work, as in benchmarks/engine_scale.py


def _program(size: int) -> Program:
    """Components with things in them, each tenth of which needs the one before."""
    specs: list[Spec] = []
    for number in range(size):
        group = f"r{number - number % 10}"
        if number % 10 == 0:
            specs.append(Spec(group, "group"))
        else:
            specs.append(Spec(f"r{number}", x=number, parent=group, takes=f"r{number - 1}" if number % 10 == 5 else ""))
    return tuple(specs)


@contextmanager
def _counted() -> Iterator[list[int]]:
    """Counts the calls of Python functions, in all threads that begin meanwhile too: the one item of the list, at the end."""
    counter, found = itertools.count(), [0]

    def profile(_: object, event: str, __: object) -> None:
        if event == "call":
            next(counter)

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        found[0] = next(counter)


def _work(place: Stand, program: Program | None, kind: str = "update") -> tuple[int, int]:
    """The calls and the journal's bytes of a run."""
    written = 0
    close = FileJournal.close

    def closing(log: FileJournal, checkpoint: bytes) -> None:
        nonlocal written
        close(log, checkpoint)
        written = log.path.stat().st_size

    place.patch.setattr(FileJournal, "close", closing)
    place.reality.begin()
    with _counted() as calls:
        result = place.run(program, kind)
    place.patch.setattr(FileJournal, "close", close)
    assert result is not None
    assert result.ok, place.errors
    return calls[0], written


def _measure(folder: Path, crypter: Crypter, size: int) -> dict[str, tuple[int, int]]:
    with stand(folder, crypter) as place:
        program = _program(size)
        changed = tuple(Spec(**{**vars(spec), "x": spec.x + 1}) for spec in program)
        return {
            "first up": _work(place, program),
            "no change": _work(place, program),
            "all changed": _work(place, changed),
            "refresh": _work(place, None, "refresh"),
            "destroy": _work(place, None, "destroy"),
        }


def test_work_grows_with_the_number_of_resources_and_no_faster(tmp_path: Path) -> None:
    crypter = Crypter.create("scale")
    small, large = (_measure(tmp_path / str(size), crypter, size) for size in (_SMALL, _LARGE))
    for run, (calls, written) in small.items():
        assert large[run][0] / calls < _TOLERANCE * _LARGE / _SMALL, f"calls of {run}: {calls} → {large[run][0]}"
        assert large[run][1] / written < _TOLERANCE * _LARGE / _SMALL, f"journal of {run}: {written} → {large[run][1]} bytes"


def test_an_unchanged_resource_takes_one_short_line_of_the_journal(tmp_path: Path) -> None:
    with stand(tmp_path / "a", Crypter.create("scale")) as place:
        _work(place, _program(_LARGE))
        _, written = _work(place, _program(_LARGE))
    assert written < 100 * _LARGE
