"""A build makes what changed and nothing else, the same bytes everywhere, and one service's failure is its own."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from catalog import manifest as manifests
from catalog.activation import Activation
from operations.build import BuildError, build, cache, packing
from operations.build.errors import StepFailedError
from operations.build.steps import Steps
from operations.build.store import RETENTION_SECONDS, Store

from .monorepo import Monorepo, service

TWO = {"a": service("a"), "b": service("b", "php")}


@pytest.fixture
def two(monorepo: Monorepo) -> Monorepo:
    """A monorepo with a static service and a PHP one."""
    monorepo.write("a/index.html", "a")
    monorepo.write("a/run.sh", "#!/bin/sh\n", 0o755)
    monorepo.write("b/index.php", "<?php echo 1;\n")
    return monorepo


def test_two_builds_in_other_folders_at_other_times_with_another_umask_are_equal(two: Monorepo, tmp_path: Path) -> None:
    first = two.build(**TWO)
    other = Monorepo(tmp_path / "elsewhere")
    shutil.copytree(two.source, other.source, dirs_exist_ok=True)
    for place in other.source.rglob("*"):
        place.chmod(0o775 if place.stat().st_mode & 0o100 else 0o600)
        os.utime(place, (1, 1))
    second = other.build(**TWO)
    for key in TWO:
        one, two_ = first.outcomes[key].manifest, second.outcomes[key].manifest
        assert one
        assert two_
        assert (one.release, one.files) == (two_.release, two_.files)
        assert first.id != second.id
        assert (two.out / key / "SBOM.json").read_bytes() == (other.out / key / "SBOM.json").read_bytes()


def test_files_get_plain_modes_and_times_of_their_content(two: Monorepo) -> None:
    two.write("a/same.txt", "a")
    two.build(**TWO)
    tree = two.out / "a/tree"
    assert {p.name: p.stat().st_mode & 0o777 for p in tree.iterdir()} == {
        ".htaccess": 0o644,
        "index.html": 0o644,
        "run.sh": 0o755,
        "same.txt": 0o644,
    }
    assert tree.stat().st_mode & 0o777 == 0o755
    assert (tree / "index.html").stat().st_mtime == (tree / "same.txt").stat().st_mtime != (tree / "run.sh").stat().st_mtime


def test_the_second_build_writes_nothing(two: Monorepo) -> None:
    two.build(**TWO)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in two.out.rglob("*") if p.is_file() and p.name != ".lock"}
    assert two.states(**TWO) == {"a": "unchanged", "b": "unchanged"}
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in two.out.rglob("*") if p.is_file() and p.name != ".lock"} == before


def test_one_changed_byte_rebuilds_only_its_service(two: Monorepo) -> None:
    first = two.build(**TWO).outcomes["a"].manifest
    two.write("a/index.html", "b")
    built = two.build(**TWO)
    assert {key: outcome.state for key, outcome in built.outcomes.items()} == {"a": "built", "b": "unchanged"}
    second = built.outcomes["a"].manifest
    assert first
    assert second
    assert first.release != second.release
    assert (two.out / ".store/a" / first.release / "tree/index.html").read_text() == "a"
    assert (two.out / "a/tree/index.html").read_text() == "b"


def test_a_change_of_mode_alone_is_a_change(two: Monorepo) -> None:
    two.build(**TWO)
    (two.source / "a/run.sh").chmod(0o644)
    assert two.states(**TWO)["a"] == "built"


def test_a_change_that_leaves_the_artefact_as_it_was_leaves_the_release(two: Monorepo) -> None:
    before = two.build(**TWO).outcomes["a"].manifest
    two.write("a/debug.log")
    longer = service("a", build={"timeout": 7}, excludes=["*.none"])
    after = two.build(a=longer).outcomes["a"]
    assert after.state == "unchanged"
    assert after.manifest == before


def test_going_back_to_an_older_content_gives_its_release_with_the_time_of_now(two: Monorepo) -> None:
    first = two.build(**TWO).outcomes["a"].manifest
    two.write("a/index.html", "b")
    two.build(**TWO)
    two.write("a/index.html", "a")
    again = two.build(**TWO)
    manifest = again.outcomes["a"].manifest
    assert first
    assert manifest
    assert manifest.release == first.release
    assert manifest.build == again.id != first.build
    assert manifests.load(two.out / ".store/a" / first.release / "manifest.json") == manifest


def test_an_artefact_that_was_touched_is_made_again(two: Monorepo) -> None:
    two.build(**TWO)
    (two.out / "a/tree/index.html").unlink()
    (two.out / "b/tree/index.php").write_text("<?php echo 666;\n")
    assert two.states(**TWO) == {"a": "built", "b": "built"}
    assert (two.out / "a/tree/index.html").read_text() == "a"
    assert (two.out / "b/tree/index.php").read_text() == "<?php echo 1;\n"


def test_a_failed_service_leaves_the_others_and_its_own_artefact(two: Monorepo) -> None:
    two.build(**TWO)
    two.write("b/index.php", "<?php echo (;\n")
    two.write("a/index.html", "new")
    built = two.build(**TWO)
    assert {key: outcome.state for key, outcome in built.outcomes.items()} == {"a": "built", "b": "failed"}
    error = built.outcomes["b"].error or ""
    assert error.startswith("b: parse ended with exit code 1; whole log: ")
    assert "index.php:1: syntax error" in error
    assert Path(built.outcomes["b"].log or "").is_file()
    assert (two.out / "b/tree/index.php").read_text() == "<?php echo 1;\n"
    assert not built.ok


def test_an_absent_source_is_said_and_leaves_the_rest(two: Monorepo) -> None:
    built = two.build(**TWO, c=service("services/c"))
    assert built.outcomes["c"].state == "absent"
    assert "its source services/c is not in " in (built.outcomes["c"].error or "")
    assert built.outcomes["a"].state == "built"
    with pytest.raises(BuildError, match="mo:source"):
        build(TWO, two.folder / "nowhere", two.out, cache_folder=two.cache)


@pytest.mark.parametrize("files", [[], [".gitkeep"], ["debug.log"]])
def test_an_empty_artefact_is_refused(monorepo: Monorepo, files: list[str]) -> None:
    (monorepo.source / "s").mkdir()
    for name in files:
        monorepo.write(f"s/{name}")
    assert "an empty artefact would empty the site" in monorepo.error(s=service("s"))


def test_a_missing_tool_is_named_with_the_service_that_needs_it(two: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(two.folder))
    built = two.build(**TWO)
    assert built.outcomes["a"].state == "built"
    assert built.outcomes["b"].error == "b: its build needs `php`, which is not on this machine; install php-cli"


def test_a_step_over_its_time_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    steps = Steps("s", tmp_path / "logs", 1)
    with pytest.raises(
        StepFailedError,
        match=r"s: slow took more than its 1 s and was ended; whole log: .*/01-slow\.log; its last lines:\n    begun",
    ):
        steps.run("slow", ["sh", "-c", "echo begun; sleep 31 & echo $! > child; wait"], tmp_path)
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            break
        if Path(f"/proc/{child}/stat").read_text().split(")")[1].split()[0] == "Z":
            break
        time.sleep(0.02)
    else:
        pytest.fail("what the step started still runs")


def test_a_step_sees_no_secret_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "canary-3b1d")
    monkeypatch.setenv("GITHUB_TOKEN", "canary-3b1d")
    Steps("s", tmp_path / "logs", 10).run("show", ["env"], tmp_path)
    text = (tmp_path / "logs/01-show.log").read_text()
    assert "PATH=" in text
    assert "canary-3b1d" not in text


def test_included_folders_are_packed_where_the_catalogue_says(monorepo: Monorepo) -> None:
    monorepo.write("s/index.php", "<?php\n")
    monorepo.write("shared/php/app.php", "<?php\n")
    included = service("s", build={"include": {"shared/php": "lib"}})
    assert monorepo.states(s=included) == {"s": "built"}
    assert (monorepo.out / "s/tree/lib/app.php").is_file()
    monorepo.write("shared/php/app.php", "<?php // 2\n")
    assert monorepo.states(s=included) == {"s": "built"}
    monorepo.write("s/lib/app.php", "<?php\n")
    assert "lib/app.php (there twice" in monorepo.error(s=included)
    assert "shared/nothing" in monorepo.error(s=service("s", build={"include": {"shared/nothing": "x"}}))


def test_old_artefacts_go_after_thirty_days_but_never_the_current_one(two: Monorepo) -> None:
    two.build(**TWO)
    two.write("a/index.html", "b")
    two.build(**TWO)
    for place in (two.out / ".store").glob("*/r*"):
        os.utime(place, (1, 1))
    gone = Store(two.out).prune()
    assert len(gone) == 1
    assert gone[0].startswith("a/r")
    assert two.states(**TWO) == {"a": "unchanged", "b": "unchanged"}
    assert RETENTION_SECONDS == 30 * 86400


def test_what_a_killed_build_left_is_undone(two: Monorepo) -> None:
    two.build(**TWO)
    (two.out / "a").rename(two.out / ".a.old")
    for leftover in (".b-abcd1234/tree", ".store/a/.new-abcd1234/tree", ".b.old/tree"):
        (two.out / leftover).mkdir(parents=True)
    assert two.states(**TWO) == {"a": "unchanged", "b": "unchanged"}
    assert sorted(p.name for p in two.out.iterdir()) == [".lock", ".logs", ".store", "SBOM.json", "a", "b", "manifest.json"]
    assert all(p.name.startswith("r") for p in (two.out / ".store/a").iterdir())


def test_the_cache_forgets_what_was_not_used_for_thirty_days(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "x").touch()

    kept = cache.keep(tmp_path, "npm", "new", fill)
    old = cache.keep(tmp_path, "npm", "old", fill)
    os.utime(old, (1, 1))
    cache.prune(tmp_path)
    assert kept.is_dir()
    assert not old.exists()
    with pytest.raises(ZeroDivisionError):
        cache.keep(tmp_path, "npm", "broken", lambda folder: print(1 / 0))
    assert not (tmp_path / "npm/broken").exists()
    assert [p.name for p in (tmp_path / "npm").iterdir()] == ["new"]


def test_the_build_manifest_names_every_artefact(two: Monorepo) -> None:
    built = two.build(**TWO)
    told = json.loads((two.out / "manifest.json").read_bytes())
    assert told["build"] == built.id
    assert list(told["services"]) == ["a", "b"]
    manifest = built.outcomes["a"].manifest
    assert manifest
    assert told["services"]["a"]["release"] == manifest.release
    assert told["services"]["a"]["bytes"] == sum(p.stat().st_size for p in (two.out / "a/tree").rglob("*") if p.is_file())


def test_an_unreadable_manifest_is_built_anew(two: Monorepo) -> None:
    two.build(**TWO)
    for content in (b"", b"{", b"[]", b"\xff", b'{"version": 2}'):
        (two.out / "a/manifest.json").write_bytes(content)
        assert two.states(**TWO) == {"a": "built", "b": "unchanged"}


def test_a_changed_file_of_the_same_size_has_another_time(tmp_path: Path) -> None:
    times = {packing.modified(f"{number:064x}"[::-1]) for number in range(1000)}
    assert len(times) == 1000
    assert min(times) >= 946_684_800


def test_other_rules_for_the_same_content_are_the_same_release_with_a_manifest_that_says_them(two: Monorepo) -> None:
    first = two.build(**TWO).outcomes["a"].manifest
    assert first
    assert first.activation == Activation.of(TWO["a"])
    changed = service("a", health={"path": "/health"})
    outcome = two.build(a=changed, b=TWO["b"]).outcomes["a"]
    assert outcome.state == "rules"
    assert outcome.manifest == first.model_copy(update={"activation": Activation.of(changed)})
    for place in (two.out / "a", two.out / ".store/a" / first.release):
        assert manifests.load(place / "manifest.json") == outcome.manifest
    assert two.states(a=changed, b=TWO["b"]) == {"a": "unchanged", "b": "unchanged"}


def test_a_manifest_of_an_earlier_version_of_this_tool_gets_the_rules_at_the_next_build_and_keeps_its_release(
    two: Monorepo,
) -> None:
    first = two.build(**TWO).outcomes["a"].manifest
    assert first
    for place in (two.out / "a", two.out / ".store/a" / first.release):
        old = json.loads((place / "manifest.json").read_text())
        del old["activation"]
        (place / "manifest.json").write_text(json.dumps(old))
    outcome = two.build(**TWO).outcomes["a"]
    assert outcome.manifest == first
