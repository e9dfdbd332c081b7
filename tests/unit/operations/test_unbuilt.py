"""A build that was forgotten, or made before the commit, is named; what is as it was built is not."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from catalog import reader
from operations import unbuilt
from operations.build import checkout
from operations.build.store import Store
from operations.deployment.here import Here
from tests.unit.build.monorepo import Monorepo, service
from tests.unit.deployment.stage import STACK, Stage, stage

__all__ = ["stage"]
PROJECT = Path(__file__).resolve().parents[3]

TWO = {"a": service("a"), "b": service("b", build={"include": {"shared": "shared"}})}


@pytest.fixture
def repository(tmp_path: Path) -> Monorepo:
    """A monorepo of two services in a repository, built of its first commit."""
    made = Monorepo(tmp_path)
    for path in ("a/index.html", "b/index.html", "shared/style.css", "README.md"):
        made.write(path, "1")
    _git(made, "init", "-q")
    _commit(made)
    made.build(**TWO)
    return made


def _git(made: Monorepo, *arguments: str) -> str:
    told = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", *arguments]
    return subprocess.run(told, cwd=made.source, check=True, capture_output=True, text=True).stdout.strip()


def _commit(made: Monorepo) -> str:
    _git(made, "add", "-A")
    _git(made, "commit", "-qm", "change")
    return _head(made)


def _head(made: Monorepo) -> str:
    return _git(made, "rev-parse", "HEAD")[:7]


def _words(made: Monorepo) -> list[str]:
    return unbuilt.words(made.out, made.source, TWO)


def test_a_source_that_was_edited_and_not_built_is_named(repository: Monorepo) -> None:
    assert _words(repository) == []
    repository.write("a/index.html", "2")
    first = _head(repository)
    assert _words(repository) == [
        f"dist/ holds a as built of {first}; the sources are others now, in the checkout at {first} with uncommitted changes "
        "(bin/mo build a)."
    ]
    repository.build(**TWO)
    assert _words(repository) == [f"dist/ holds a as built of {first} with uncommitted changes."]


def test_a_build_of_changes_that_were_discarded_is_named_with_both_commits(repository: Monorepo) -> None:
    first = _head(repository)
    repository.write("a/index.html", "2")
    repository.build(**TWO)
    _git(repository, "checkout", "-q", "a")
    repository.write("README.md", "2")
    second = _commit(repository)
    assert _words(repository) == [
        f"dist/ holds a as built of {first} with uncommitted changes; the sources are others now, in the checkout at {second} "
        "(bin/mo build a)."
    ]
    repository.build(**TWO)
    assert _words(repository) == []


def test_an_edit_after_a_build_of_uncommitted_changes_is_named(repository: Monorepo) -> None:
    place = repository.write("a/index.html", "2")
    repository.build(**TWO)
    late = place.stat().st_mtime + 5
    repository.write("a/index.html", "3")
    os.utime(place, (late, late))
    assert "the sources are others now" in _words(repository)[0]


def test_a_commit_outside_a_service_s_sources_asks_for_no_build(repository: Monorepo) -> None:
    repository.write("README.md", "2")
    assert _words(repository) == []
    _commit(repository)
    assert _words(repository) == []
    repository.write("shared/style.css", "2")
    _commit(repository)
    assert [words.split(" as ")[0] for words in _words(repository)] == ["dist/ holds b"]


def test_a_build_of_a_commit_that_the_checkout_lacks_is_named(repository: Monorepo) -> None:
    first = _head(repository)
    (repository.source / ".git").rename(repository.folder / "gone")
    _git(repository, "init", "-q")
    repository.write("README.md", "3")
    _commit(repository)
    assert _words(repository)[0].startswith(f"dist/ holds a, b as built of {first}; the sources are others now")


def test_a_plan_a_deploy_and_its_report_tell_of_the_forgotten_build(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Monorepo(stage.root / "work")
    monkeypatch.setattr(Here, "source", made.source)
    source = reader.read(PROJECT / "catalog/services.yaml").of_stack(STACK)["api_stg"].source
    made.write(f"{source}/main.py", "1")
    _git(made, "init", "-q")
    _commit(made)
    stage.build("1", "api_stg")
    Store(stage.root / "dist").note("api_stg", made.source, checkout.look(made.source), (source,))
    made.write(f"{source}/main.py", "2")
    said = f"dist/ holds api_stg as built of {_head(made)}; the sources are others now"
    assert said in stage.mo("deploy", "--plan")[1]
    assert said in stage.mo("deploy", "--yes")[1]
    assert any(said in note for note in json.loads(stage.mo("report", "--json")[1])["notes"])
    lines = stage.mo("deploy", "--plan")[1].splitlines()
    assert (said in "\n".join(lines), lines[-1].startswith("Nothing to change")) == (True, True)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"source": 1, "commit": null}'])
def test_nothing_is_said_where_nothing_can_be_told(repository: Monorepo, content: str) -> None:
    repository.write("a/index.html", "2")
    (repository.out / "a/.sources").write_text(content)
    assert _words(repository) == []
    (repository.out / "a/.sources").unlink()
    assert _words(repository) == []
    assert unbuilt.words(repository.out, repository.folder, TWO) == [], "built from another checkout"
    (repository.source / ".git").rename(repository.folder / "gone")
    assert _words(repository) == [], "no repository"
