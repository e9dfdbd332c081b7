"""The embedded engine does what the recordings of the Pulumi CLI show, or refuses it by name."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import replay, warm
from tests.conformance.chance import CHANCE, RACES

_CASES = Path(__file__).with_name("cases.tar.xz")
_STARTED = frozenset({"automation", "interrupt-lock", "invoke"})
"""Cases whose commands are started as users start them; the first two kill them or count their starts."""
_SERVED = frozenset({"mysql", "postgresql", "github"})


def _names() -> list[str]:
    with tarfile.open(_CASES) as archive:
        return sorted({Path(name).parts[0] for name in archive.getnames() if name.endswith("/case.yaml")})


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked cases."""
    folder = tmp_path_factory.mktemp("cases")
    with tarfile.open(_CASES) as archive:
        # Debian 12's Python has no filters yet; this is the documented way to have one where it has.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def pool() -> Iterator[warm.Pool]:
    """A warm engine for the commands of the replays."""
    made = warm.Pool()
    yield made
    made.close()


def _marked(name: str) -> object:
    return pytest.param(name, marks=[pytest.mark.slow] + ([pytest.mark.sandbox] if name in _SERVED else []))


@pytest.mark.parametrize("name", [_marked(name) for name in _names()])
def test_case_replays_as_recorded(name: str, cases: Path, pool: warm.Pool) -> None:
    outcomes = replay.replay_case(cases / name, pool=None if name in _STARTED else pool)
    differing = [f"{step.name}: {line}" for step in outcomes if step.outcome == "differs" for line in step.differences]
    assert outcomes
    assert not differing, "\n".join(differing)


def test_what_is_left_to_chance_is_recorded(cases: Path) -> None:
    steps = {f"{case.name}/{step['name']}" for case in replay.cases(cases) for step in replay.steps_of(case)}
    assert steps >= CHANCE.keys() | RACES.keys()


def test_replay_notices_a_changed_state(cases: Path, tmp_path: Path) -> None:
    case = _copied(cases / "invoke", tmp_path)
    for export in (case / "expected" / "01-create").glob("export*.json"):
        export.write_text(export.read_text().replace("local:Command", "local:Other"))
    (first, *_) = replay.Case(case, _folder(tmp_path)).replay("create")
    assert first.outcome == "differs"
    assert any(line.startswith("state") for line in first.differences)


def test_replay_notices_a_changed_exit_code(cases: Path, tmp_path: Path) -> None:
    case = _copied(cases / "invoke", tmp_path)
    document = (case / "case.yaml").read_text()
    (case / "case.yaml").write_text(document.replace("exit: 0", "exit: 3", 1))
    (first, *_) = replay.Case(case, _folder(tmp_path)).replay("create")
    assert first.outcome == "differs"
    assert any(line.startswith("exit code") for line in first.differences)


def test_folder_without_a_case_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["replay.py", str(tmp_path)])
    assert replay.main() == 2


def _copied(case: Path, parent: Path) -> Path:
    return Path(shutil.copytree(case, parent / case.name))


def _folder(parent: Path) -> Path:
    folder = parent / "work"
    folder.mkdir()
    return folder
