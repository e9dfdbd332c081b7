"""The manifest names the migrations of an artefact in the order in which their tool applies them."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.models import Migration
from operations.build.errors import BuildError
from operations.build.migrations import branches, contained


def files(folder: Path, names: dict[str, str]) -> Path:
    """Files with their texts."""
    for name, text in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_sql_files_are_sorted_and_ways_back_are_none(tmp_path: Path) -> None:
    tree = files(
        tmp_path,
        dict.fromkeys(["migrations/0010_c.sql", "migrations/0002_b.sql", "migrations/0002_b.down.sql", "migrations/README"], ""),
    )
    assert contained(tree, "s", Migration(kind="sql", mode="online", directory="migrations")) == ("0002_b", "0010_c")


def test_prismas_folders_need_their_file(tmp_path: Path) -> None:
    tree = files(
        tmp_path,
        {"prisma/migrations/2_b/migration.sql": "", "prisma/migrations/1_a/migration.sql": "", "prisma/migrations/3_c/note": ""},
    )
    assert contained(tree, "s", Migration(kind="prisma", mode="online", directory="prisma/migrations")) == ("1_a", "2_b")


def alembic(tree: Path) -> tuple[str, ...]:
    return contained(tree, "s", Migration(kind="alembic", mode="online", directory="alembic"))


def test_alembics_revisions_go_from_base_to_head_without_running_them(tmp_path: Path) -> None:
    text = "import nothing_there\nrevision: str = {!r}\ndown_revision = {!r}\n"
    tree = files(
        tmp_path, {"alembic/versions/a.py": text.format("head", "mid"), "alembic/versions/z.py": text.format("base", None)}
    )
    files(tree, {"alembic/versions/m.py": text.format("mid", "base"), "alembic/versions/helper.py": "x = 1\n"})
    assert alembic(tree) == ("base", "mid", "head")


def revisions(folder: Path, **found: str) -> Path:
    """A tree with these revisions of Alembic, each with its ``down_revision`` and further constants."""
    return files(folder, {f"alembic/versions/{name}.py": f"revision = {name!r}\n{text}\n" for name, text in found.items()})


def graph(tree: Path) -> dict[str, tuple[str, ...]]:
    return branches(tree, Migration(kind="alembic", mode="online", directory="alembic"))


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("revision = 'b'\ndown_revision = None\n", r"has 2 heads \(a, b\); merge them"),
        ("revision = 'b'\ndown_revision = 'gone'\n", "b have no way from the base"),
        ("revision = 'b'\ndown_revision = ('a', 'c')\n", "b have no way from the base"),
        ("revision = 'b'\ndown_revision = 'b'\n", "b have no way from the base"),
        ("revision = 'b'\ndown_revision = ('a', 7)\n", "b.py: down_revision must be revisions"),
        ("revision = 'a'\ndown_revision = None\n", "b.py is a second file of Alembic's revision a"),
        ("revision = 7\ndown_revision = None\n", "b.py names no revision"),
        ("revision = (\n", "is no valid Python"),
    ],
)
def test_alembic_revisions_without_one_order_are_refused(tmp_path: Path, second: str, words: str) -> None:
    tree = files(tmp_path, {"alembic/versions/a.py": "revision = 'a'\ndown_revision = None\n", "alembic/versions/b.py": second})
    with pytest.raises(BuildError, match=f"^s: .*{words}"):
        alembic(tree)


TWO_HEADS = {
    "m1": "down_revision = None",
    "m2": "down_revision = 'm1'",
    "phone": "down_revision = 'm2'",
    "city": "down_revision = 'm2'",
}


def test_two_heads_are_refused_and_their_merge_is_one_line(tmp_path: Path) -> None:
    tree = revisions(tmp_path, **TWO_HEADS)
    with pytest.raises(BuildError, match=r"has 2 heads \(city, phone\); merge them \(alembic merge heads\)"):
        alembic(tree)
    revisions(tree, merged="down_revision = ('phone', 'city')", later="down_revision = 'merged'")
    assert alembic(tree) == ("m1", "m2", "city", "phone", "merged", "later")
    assert graph(tree) == {
        "m1": (),
        "m2": ("m1",),
        "city": ("m2",),
        "phone": ("m2",),
        "merged": ("phone", "city"),
        "later": ("merged",),
    }


def test_branches_with_names_of_their_own_are_meant_to_stay(tmp_path: Path) -> None:
    tree = revisions(tmp_path, **TWO_HEADS | {"city": "down_revision = 'm2'\nbranch_labels = ('places',)"})
    with pytest.raises(BuildError, match="has 2 heads"):
        alembic(tree)
    revisions(tree, phone="down_revision = 'm2'\nbranch_labels = 'people'\ndepends_on = 'city'")
    assert alembic(tree) == ("m1", "m2", "city", "phone")
    assert graph(tree)["phone"] == ("m2", "city")


def test_of_a_single_line_the_order_says_all(tmp_path: Path) -> None:
    tree = revisions(tmp_path, m1="down_revision = None", m2="down_revision = ('m1',)")
    assert (alembic(tree), graph(tree)) == (("m1", "m2"), {})
    assert branches(tree, Migration(kind="sql", mode="online", directory="alembic")) == {}


def test_drush_knows_civicrms_version(tmp_path: Path) -> None:
    tree = files(
        tmp_path, {"vendor/civicrm/civicrm-core/xml/version.xml": "<version>\n <version_no>5.81.beta1</version_no></version>"}
    )
    assert contained(tree, "s", Migration(kind="drush", mode="offline")) == ("5.81.beta1",)


@pytest.mark.parametrize("kind", ["sql", "prisma", "alembic", "drush"])
def test_a_declared_migration_that_the_artefact_lacks_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(BuildError, match=f"migrates by {kind}, but its artefact has nothing for that at "):
        contained(tmp_path, "s", Migration.model_validate({"kind": kind, "mode": "online", "directory": "m"}))


def test_without_a_migration_there_is_nothing(tmp_path: Path) -> None:
    assert contained(tmp_path, "s", None) == contained(tmp_path, "s", Migration(kind="command", mode="online")) == ()


MATOMO = {"file": "core/Version.php", "pattern": r"const VERSION = '([^']+)'"}
"""As CONTRIBUTING.md has it."""


def by_command(version: object) -> Migration:
    return Migration.model_validate({"kind": "command", "mode": "offline", "commands": [["php", "console"]], "version": version})


def test_a_command_s_version_is_read_where_the_catalogue_says(tmp_path: Path) -> None:
    tree = files(tmp_path, {"core/Version.php": "<?php\nfinal class Version {\n    const VERSION = '5.1.2';\n}\n"})
    assert contained(tree, "s", by_command(MATOMO)) == ("5.1.2",)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"const VERSION = '';",
        b"const VERSION = '5.1; DROP TABLE x'",
        b"\xff\xfe\x00",
        b"x" * 2_000_000,
        None,
    ],
    ids=["empty", "no version", "no word", "no text", "huge", "absent"],
)
def test_a_version_that_cannot_be_read_stops_the_build(tmp_path: Path, content: bytes | None) -> None:
    tree = files(tmp_path, {"core/Version.php": ""})
    if content is None:
        (tree / "core/Version.php").unlink()
    else:
        (tree / "core/Version.php").write_bytes(content)
    with pytest.raises(BuildError, match=r"^s: .*core/Version\.php"):
        contained(tree, "s", by_command(MATOMO))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("([0-9", "no regular expression"), ("v", "has 0 groups"), ("(a)(b)", "has 2 groups"), ("", "at least 1 character")],
)
def test_a_pattern_without_its_one_group_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        by_command({**MATOMO, "pattern": pattern})
