"""The plan for a database: what is applied, what is pending, what stops a switch."""

from __future__ import annotations

import pytest

from components.remote.client.decide import Applied, plan, version_key

A: Applied = ("0001", "aa", "done")
B: Applied = ("0002", "bb", "done")
FILES = {"0001": "aa", "0002": "bb"}


@pytest.mark.parametrize("kind", ["sql", "prisma"])
@pytest.mark.parametrize(
    ("wanted", "applied", "schema", "pending"),
    [
        ([], [], "none", []),
        (["0001", "0002"], [], "pending", ["0001", "0002"]),
        (["0001", "0002"], [A], "pending", ["0002"]),
        (["0001", "0002"], [A, B], "same", []),
        (["0001"], [A, B], "ahead", []),
        ([], [A], "ahead", []),
        (["0001", "0002"], [("0001", "", "done"), B], "same", []),
        (["0001", "0002"], [A, ("0002", "bb", "rolled")], "pending", ["0002"]),
        (["0001", "0002"], [A, ("0002", "bb", "failed"), B], "same", []),
    ],
)
def test_migrations_by_name(kind: str, wanted: list[str], applied: list[Applied], schema: str, pending: list[str]) -> None:
    found = plan(kind, wanted, applied, FILES, None, None)
    assert (found.schema, found.pending, found.refuse) == (schema, pending, None)


@pytest.mark.parametrize(
    ("wanted", "applied", "files", "begun", "word"),
    [
        (["0001", "0002"], [("0001", "xx", "done")], FILES, None, "0001 was edited"),
        (["0001", "0002"], [A, ("0009", "zz", "done")], FILES, None, "lacks 0002"),
        (["0001", "0002"], [A], {"0001": "aa", "0002": "missing"}, None, "lacks the file of the migration 0002"),
        (["0001", "0002"], [A, ("0002", "bb", "failed")], FILES, None, "0002 failed in an earlier run"),
        (["0001", "0002"], [A], FILES, ("0002", "bb"), "half applied"),
    ],
)
def test_what_stops_a_switch_is_named(
    wanted: list[str], applied: list[Applied], files: dict[str, str], begun: tuple[str, str] | None, word: str
) -> None:
    assert word in (plan("sql", wanted, applied, files, None, None, begun).refuse or "")


def test_a_corrected_file_of_a_half_applied_migration_is_taken() -> None:
    assert plan("sql", ["0001", "0002"], [A], FILES, None, None, ("0002", "other")).pending == ["0002"]


def test_an_applied_migration_is_no_longer_begun() -> None:
    assert plan("sql", ["0001", "0002"], [A, B], FILES, None, None, ("0002", "bb")).schema == "same"


@pytest.mark.parametrize(
    ("current", "schema", "pending"),
    [([], "pending", ["a", "b", "c"]), (["a"], "pending", ["b", "c"]), (["c"], "same", []), (["d"], "ahead", [])],
)
def test_alembic_goes_by_its_one_revision(current: list[str], schema: str, pending: list[str]) -> None:
    found = plan("alembic", ["a", "b", "c"], [(c, "", "done") for c in current], {}, None, None)
    assert (found.schema, found.pending) == (schema, pending)


@pytest.mark.parametrize(
    ("value", "expect", "live", "schema"),
    [
        (None, "5.70.1", False, "pending"),
        ("5.9.10", "5.70.1", False, "pending"),
        ("5.70.1", "5.70.1", False, "pending"),
        ("5.70.1", "5.70.1", True, "same"),
        ("5.70.10", "5.70.9", False, "ahead"),
        (None, None, True, "same"),
    ],
)
def test_drush_goes_by_the_versions_numbers(value: str | None, expect: str | None, live: bool, schema: str) -> None:
    assert plan("drush", ["5"], [], {}, value, expect, live=live).schema == schema


def test_versions_are_ordered_by_their_numbers() -> None:
    versions = ["5.9", "5.10-beta1", "5.10", "5.10.1", "6"]
    assert sorted(versions, key=version_key) == sorted(versions, key=versions.index)


def test_a_step_back_that_was_cut_without_a_window_is_refused_by_name() -> None:
    applied = [("0001_a", "", "done"), ("0002_b", "", "done")]
    found = plan("sql", ["0001_a", "0002_b"], applied, {}, None, None, ("0002_b.down", "x"))
    assert found.refuse is not None
    assert "step back of 0002_b" in found.refuse
