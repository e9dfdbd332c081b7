"""The plan for a database: what is applied, what is pending, what stops a switch."""

from __future__ import annotations

import random

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


BRANCHED = {"m1": [], "m2": ["m1"], "city": ["m2"], "phone": ["m2"], "merged": ["phone", "city"]}


@pytest.mark.parametrize(
    ("current", "schema", "pending"),
    [
        ([], "pending", ["m1", "m2", "city", "phone", "merged"]),
        (["phone"], "pending", ["city", "merged"]),
        (["city"], "pending", ["phone", "merged"]),
        (["city", "phone"], "pending", ["merged"]),
        (["merged"], "same", []),
        (["merged", "other"], "ahead", []),
        (["other"], "ahead", []),
        (["city", "other"], "none", ["phone", "merged"]),
    ],
)
def test_of_alembic_s_branches_each_head_tells_what_it_follows(current: list[str], schema: str, pending: list[str]) -> None:
    found = plan(Facts("alembic", list(BRANCHED), [(name, "", "done") for name in current], parents=BRANCHED))
    assert (found.schema, found.pending) == (schema, pending)
    assert (found.refusal.code if found.refusal else None) == ("diverged" if schema == "none" else None)


def test_of_several_heads_no_one_version_is_expected() -> None:
    parents = {"a": [], "b": ["a"], "c": ["a"]}
    assert Facts("alembic", list(parents), parents=parents).expect is None
    assert Facts("alembic", ["a", "b"]).expect == "b"
    assert Facts("alembic", list(BRANCHED), parents=BRANCHED).expect == "merged"


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


@pytest.mark.parametrize("kind", ["sql", "prisma", "alembic"])
def test_tables_without_a_history_stop_a_migration_and_name_the_way_out(kind: str) -> None:
    files = {"0001": ("aa",), "0002": ("bb",)}
    refusal = plan(Facts(kind, ["0001", "0002"], files=files, tables=14, service="votes")).refusal
    assert refusal is not None
    assert refusal.code == "no-history"
    assert "14 tables" in refusal.text
    assert "bin/mo migrate votes --baseline 0002" in refusal.text
    assert plan(Facts(kind, ["0001", "0002"], files=files)).schema == "pending", "an empty one is migrated"
    assert plan(Facts(kind, ["0001"], [A], files=files, tables=14)).schema == "same"
    assert plan(Facts(kind, ["0001", "0002"], [A], files=files, tables=14)).pending == ["0002"]
    assert plan(Facts(kind, [], tables=14)).refusal is None or kind == "alembic"


def test_what_an_earlier_run_of_ours_began_is_no_database_that_was_there_before() -> None:
    again = plan(Facts("sql", ["0001"], files={"0001": ("corrected",)}, begun=("0001", "aa"), tables=3))
    assert (again.schema, again.refusal) == ("pending", None)


@pytest.mark.parametrize("kind", ["command", "drush"])
def test_a_tool_that_keeps_its_own_history_decides_itself(kind: str) -> None:
    assert plan(Facts(kind, ["5.70"], tables=90)).schema == "pending"


STATES = ("done", "failed", "rolled")


def test_a_rollback_never_runs_a_migration_and_is_never_refused_because_of_one() -> None:
    chance = random.Random(19)
    seen = set()
    for _ in range(20_000):
        names = [f"{n:04}" for n in range(5)]
        applied = [(name, chance.choice(("", "aa", "bb")), chance.choice(STATES)) for name in names if chance.random() < 0.5]
        facts = Facts(
            chance.choice(("sql", "prisma", "alembic", "drush", "command", "none")), [n for n in names if chance.random() < 0.6], applied,
            files={name: chance.choice(((), ("aa",), ("bb",))) for name in names if chance.random() < 0.7},
            value=chance.choice((None, "", "5.1", "5.10")), expect=chance.choice((None, "5.2")),
            begun=chance.choice((None, ("0001", "aa"), ("0001.down", "aa"))), back=True, tables=chance.choice((0, 9)),
        )  # fmt: skip
        decided = plan(facts)
        assert decided.refusal is None
        assert not decided.pending
        assert decided.schema in ("none", "same", "ahead", "kept")
        seen.add((facts.kind, decided.schema))
    assert {schema for _, schema in seen} == {"none", "same", "ahead", "kept"}
    assert ("command", "kept") in seen


def test_a_rollback_says_what_it_does_not_run() -> None:
    assert plan(Facts("sql", ["0001", "0002"], [A], files=FILES, back=True)).skipped == ["0002"]
    assert plan(Facts("command", ["5.2"], value="5.1", back=True)).skipped == ["5.2"]
    assert plan(Facts("command", ["5.2"], back=True)).skipped == [], "nobody knows"
    assert plan(Facts("sql", ["0001", "0002"], [A], files=FILES, back=True, live=True)).pending == ["0002"], "drift --mend"
