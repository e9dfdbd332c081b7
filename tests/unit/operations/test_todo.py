"""Ticking the deployment's item: exactly that one, once, and nothing else of the file changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from catalog.settings import TodoSettings
from operations import todo

TEXT = "# To do\r\n\n- [ ] Deploy of 21 November\n* [ ] Deploy of 21 November, second\n  - [x] Build\n- [ ] Umlaute: Grüße"
WISH = TodoSettings(item="Deploy of 21 November")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    place = tmp_path / "TODO.md"
    place.write_bytes(TEXT.encode())
    place.chmod(0o640)
    return place


def test_the_item_is_ticked_and_every_other_byte_stays(file: Path) -> None:
    assert todo.tick(file.parent, WISH).ok
    assert file.read_bytes() == TEXT.replace("[ ] Deploy of 21 November\n", "[x] Deploy of 21 November\n").encode()
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["TODO.md"]


def test_a_second_time_changes_nothing(file: Path) -> None:
    todo.tick(file.parent, WISH)
    before = file.stat().st_mtime_ns, file.read_bytes()
    again = todo.tick(file.parent, WISH)
    assert again.ok
    assert "was ticked already" in again.summary
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before


@pytest.mark.parametrize(("actions", "left"), [("true", "the workflow's next step pushes it"), ("", "commit and push it")])
def test_what_is_left_to_do_with_the_tick_is_said(file: Path, monkeypatch: pytest.MonkeyPatch, actions: str, left: str) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", actions)
    assert todo.tick(file.parent, WISH).summary.endswith(left)


def test_each_deployment_has_an_item_of_its_own() -> None:
    wish = TodoSettings(item="Deployment {stack} {date}")
    assert wish.of("production", "2026-11-28").item == "Deployment production 2026-11-28"


@pytest.mark.parametrize("item", ["Deploy", "deploy of 21 November", "Deploy of 21 November,", "Nothing"])
def test_only_the_whole_text_counts(file: Path, item: str) -> None:
    found = todo.tick(file.parent, TodoSettings(item=item))
    assert not found.ok
    assert "has no item" in found.summary
    assert file.read_bytes() == TEXT.encode()


def test_an_item_that_stands_there_twice_is_not_guessed_at(file: Path) -> None:
    file.write_text("- [ ] a\n- [ ] a\n")
    assert "2 times" in todo.tick(file.parent, TodoSettings(item="a")).summary


@pytest.mark.parametrize("name", ["../TODO.md", "/etc/hosts", "link.md"])
def test_a_file_outside_the_monorepo_is_refused(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "monorepo"
    inside.mkdir()
    (tmp_path / "TODO.md").write_text("- [ ] a\n")
    (inside / "link.md").symlink_to(tmp_path / "TODO.md")
    found = todo.tick(inside, TodoSettings(file=name, item="a"))
    assert not found.ok
    assert "leads out" in found.summary
    assert (tmp_path / "TODO.md").read_text() == "- [ ] a\n"


def test_what_cannot_be_ticked_is_said_and_fails_nothing(tmp_path: Path) -> None:
    assert "not in the monorepo" in todo.tick(tmp_path, WISH).summary
    (tmp_path / "TODO.md").write_bytes(b"\xff\xfe- [ ] a")
    assert "no UTF-8" in todo.tick(tmp_path, WISH).summary
    (tmp_path / "TODO.md").write_bytes(b"x" * ((4 << 20) + 1))
    assert "larger than" in todo.tick(tmp_path, WISH).summary


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said(file: Path) -> None:
    file.parent.chmod(0o500)
    try:
        assert "cannot be changed" in todo.tick(file.parent, WISH).summary
    finally:
        file.parent.chmod(0o700)
