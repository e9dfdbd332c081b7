"""The plan for a database: what is applied, what is pending, what stops a switch."""

from __future__ import annotations

import pytest

from components.remote.client.decide import Applied, Facts, plan, version_key

A: Applied = ("0001", "aa", "done")
B: Applied = ("0002", "bb", "done")
FILES = {"0001": ("aa",), "0002": ("bb",)}


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
    found = plan(Facts(kind, wanted, applied, files=FILES))
    assert (found.schema, found.pending, found.refusal) == (schema, pending, None)


@pytest.mark.parametrize(
    ("wanted", "applied", "files", "begun", "code"),
    [
        (["0001", "0002"], [("0001", "xx", "done")], FILES, None, "edited"),
        (["0001", "0002"], [A, ("0009", "zz", "done")], FILES, None, "diverged"),
        (["0001", "0002"], [A], {"0001": ("aa",), "0002": ()}, None, "file-missing"),
        (["0001", "0002"], [A, ("0002", "bb", "failed")], FILES, None, "failed"),
        (["0001", "0002"], [A], FILES, ("0002", "bb"), "half-applied"),
        (["0001", "0002"], [A, B], FILES, ("0002.down", "x"), "half-reverted"),
    ],
)
def test_what_stops_a_switch_is_named(
    wanted: list[str], applied: list[Applied], files: dict[str, tuple[str, ...]], begun: tuple[str, str] | None, code: str
) -> None:
    refusal = plan(Facts("sql", wanted, applied, files=files, begun=begun)).refusal
    assert refusal is not None
    assert refusal.code == code
    assert (begun or ("000",))[0].removesuffix(".down") in refusal.text


@pytest.mark.parametrize("recorded", ["aa", "of the text with CRLF"])
def test_a_file_may_be_recorded_by_any_of_its_checksums(recorded: str) -> None:
    facts = Facts("sql", ["0001"], [("0001", recorded, "done")], files={"0001": ("aa", "of the text with CRLF")})
    assert plan(facts).schema == "same"


def test_a_corrected_file_of_a_half_applied_migration_is_taken() -> None:
    assert plan(Facts("sql", ["0001", "0002"], [A], files=FILES, begun=("0002", "other"))).pending == ["0002"]


def test_an_applied_migration_is_no_longer_begun() -> None:
    assert plan(Facts("sql", ["0001", "0002"], [A, B], files=FILES, begun=("0002", "bb"))).schema == "same"


@pytest.mark.parametrize(
    ("current", "schema", "pending"),
    [([], "pending", ["a", "b", "c"]), (["a"], "pending", ["b", "c"]), (["c"], "same", []), (["d"], "ahead", [])],
)
def test_alembic_goes_by_its_one_revision(current: list[str], schema: str, pending: list[str]) -> None:
    found = plan(Facts("alembic", ["a", "b", "c"], [(c, "", "done") for c in current]))
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
    assert plan(Facts("drush", [expect] if expect else [], value=value, live=live)).schema == schema


def test_versions_are_ordered_by_their_numbers() -> None:
    versions = ["5.9", "5.10-beta1", "5.10", "5.10.1", "6"]
    assert sorted(versions, key=version_key) == sorted(versions, key=versions.index)
