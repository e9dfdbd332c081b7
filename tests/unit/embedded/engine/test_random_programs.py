"""Whatever a program is, however it changes, and wherever a run is killed or fails: nothing is lost, doubled, or left behind."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedded.engine import urns
from embedded.engine.steps import dependency_urns
from embedded.model import Result
from embedded.state.encryption import Crypter
from tests.unit.embedded.engine.random_programs import Program, Spec, Stand, ours, stand

_EXAMPLES = int(os.environ.get("MO_ENGINE_EXAMPLES", "0"))
"""How many random histories to try (0: sixty, always the same); a thousand are a good thing after a change of the step logic."""
_NUMBERS = itertools.count()


@st.composite
def specs(draw: st.DrawFn, name: str, before: Program) -> Spec:
    """A resource that may refer to the ones ``before``."""
    kind = draw(st.sampled_from(["thing", "thing", "thing", "thing", "group", "password"]))
    small = st.integers(0, 2)
    names = [spec.name for spec in before]
    customs = [spec.name for spec in before if spec.kind != "group"]

    def maybe(choices: list[str], odds: int = 3) -> str:
        return draw(st.sampled_from(choices)) if choices and draw(st.integers(1, odds)) == odds else ""

    def seldom(odds: int = 6) -> bool:
        return draw(st.integers(1, odds)) == odds

    after = maybe(names)
    return Spec(
        name,
        kind,
        x=draw(small),
        size=draw(small),
        key=draw(small),
        takes=maybe(customs, 2) if kind == "thing" else "",
        parent=maybe(names),
        after=(after,) if after else (),
        protect=seldom(10),
        retain=seldom(),
        ignore=seldom(),
        replace_on_x=seldom(),
        delete_first=seldom(),
        deleted_with=maybe(customs, 8),
    )


@st.composite
def edited(draw: st.DrawFn, program: Program, serial: int) -> Program:
    """``program`` with one change, or none."""
    if not program:
        return (draw(specs(f"n{serial}", ())),)
    at = draw(st.integers(0, len(program) - 1))
    spec = program[at]
    kinds = [
        "x",
        "x",
        "size",
        "size",
        "key",
        "key",
        "drop",
        "rename",
        "unalias",
        "protect",
        "retain",
        "after",
        "add",
        "add",
        "swap",
    ]
    what = draw(st.sampled_from(kinds))
    if what == "drop":
        return tuple(each.without(spec.name) for each in program if each is not spec)
    if what == "add":
        return (*program, draw(specs(f"n{serial}", program)))
    if what == "rename":
        new = f"m{serial}"
        head, tail = program[:at], program[at + 1 :]
        return (*head, replace(spec, name=new, former=spec.name), *(each.renamed(spec.name, new) for each in tail))
    if what == "swap" and at + 1 < len(program):
        following = program[at + 1].without(spec.name)
        return (*program[:at], following, spec, *program[at + 2 :])
    changes: dict[str, dict[str, Any]] = {
        "x": {"x": spec.x + 1},
        "size": {"size": spec.size + 1},
        "key": {"key": spec.key + 1},
        "unalias": {"former": ""},
        "protect": {"protect": not spec.protect},
        "retain": {"retain": not spec.retain},
        "after": {"after": tuple(each.name for each in program[:at][-1:])},
    }
    return (*program[:at], replace(spec, **changes.get(what, {})), *program[at + 1 :])


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A program, how it changes, and what happens to each run."""
    program: Program = ()
    for number in range(draw(st.integers(1, 7))):
        program = (*program, draw(specs(f"r{number}", program)))
    things, lines, written = (
        st.tuples(st.just(kind), st.integers(1, most)) for kind, most in (("thing", 4), ("line", 14), ("file", 20))
    )
    kills = st.one_of(st.none(), things, things, lines, written)
    runs = []
    for number in range(draw(st.integers(1, 5))):
        for serial in range(draw(st.integers(1, 4)) if number else 0):
            program = draw(edited(program, number * 10 + serial))
        runs.append(
            {
                "program": program,
                "kind": draw(st.sampled_from(["update"] * 8 + ["refresh", "destroy"])) if number else "update",
                "kill_at": draw(kills),
                "fail_at": draw(st.sampled_from([0, 0, 0, 1])) and draw(st.integers(1, 6)),
                "power_cut": draw(st.booleans()),
                "continue_on_error": draw(st.booleans()),
                "parallel": draw(st.sampled_from([1, 4])),
            }
        )
    return runs


class Ledger:
    """What is allowed to be, given what has happened."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.left: set[str] = set()  # ids of things that may be there though no state has them
        self.doubtful: set[str] = set()  # ids in the state that need not be there: killed while they were deleted

    def before(self) -> None:
        """Notes what the coming run may rightly leave behind."""
        for state in self.stand.snapshot().resources:
            if state.retain_on_delete or state.deleted_with:
                self.left.add(state.id)

    def check(self) -> None:
        """The state against what is there."""
        snapshot, things = self.stand.snapshot(), self.stand.reality.things
        there: set[str] = set()
        for state in snapshot.resources:
            needed = [*dependency_urns(state), *([urns.split_reference(state.provider)[0]] if state.provider else [])]
            if not state.delete:
                assert state.urn not in there, f"{state.urn} is there twice"
                assert there.issuperset(needed), f"{state.urn} stands before what it needs"
            there.add(state.urn)
        ids = [state.id for state in snapshot.resources if ours(state)]
        assert len(ids) == len(set(ids)), f"an id is there twice: {ids}"
        pending = {(operation.type, urns.name_of(operation.resource.urn)) for operation in snapshot.pending}
        for identity in things.keys() - set(ids) - self.left:
            assert ("creating", identity.rpartition("-")[0]) in pending, f"{identity} is lost"
            self.left.add(identity)
        for state in snapshot.resources:
            if ours(state) and state.id not in things and not state.pending_replacement and state.id not in self.doubtful:
                assert ("deleting", urns.name_of(state.urn)) in pending, f"{state.id} is in the state, and nowhere else"
                self.doubtful.add(state.id)
        folder = self.stand.backend.root
        clear = [path for path in folder.rglob("*") if path.is_file() and b"hidden-" in path.read_bytes()]
        assert not clear, "a secret stands in clear"


def check_settled(ledger: Ledger, run: dict[str, Any]) -> None:
    """After a run that ended well: the state is the program, and a second run changes nothing."""
    program, stand = run["program"], ledger.stand
    states = stand.snapshot().resources
    wanted = sorted(spec.name for spec in program)
    assert sorted(urns.name_of(state.urn) for state in states if not state.type.startswith("pulumi:")) == wanted
    for spec in program:
        state = next(state for state in states if urns.name_of(state.urn) == spec.name)
        if spec.kind == "thing" and not spec.ignore and state.id in stand.reality.things:
            assert stand.reality.things[state.id]["x"] == spec.x
    before, calls = {state.urn: (state.id, state.modified) for state in states}, len(stand.reality.calls)
    stand.reality.begin()
    again = stand.run(program)
    assert again is not None
    assert again.ok, stand.errors
    assert set(again.changes) <= {"same"}, stand.steps
    assert {state.urn: (state.id, state.modified) for state in stand.snapshot().resources} == before
    assert len(stand.reality.calls) == calls


def check_destroyed(ledger: Ledger) -> None:
    """What is made can be removed, all of it."""
    stand = ledger.stand
    stand.unprotect()
    ledger.before()
    stand.reality.begin()
    gone = stand.run(None, "destroy")
    assert gone is not None
    assert gone.ok, stand.errors
    assert stand.snapshot().resources == []
    assert stand.reality.things.keys() <= ledger.left


@pytest.fixture(scope="module")
def crypter() -> Crypter:
    return Crypter.create("conformance")


@pytest.mark.slow
@settings(
    max_examples=_EXAMPLES or 60,
    derandomize=not _EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(runs=histories())
def test_no_history_loses_doubles_or_leaves_a_resource(tmp_path: Path, crypter: Crypter, runs: list[dict[str, Any]]) -> None:
    with stand(tmp_path / str(next(_NUMBERS)), crypter) as place:
        ledger = Ledger(place)
        for run in runs:
            ledger.before()
            place.reality.begin(run["kill_at"], run["fail_at"], power_cut=run["power_cut"])
            program = run["program"] if run["kind"] == "update" else None
            options = {"continue_on_error": run["continue_on_error"], "parallel": run["parallel"]}
            result: Result | None = place.run(program, run["kind"], **options)
            ledger.check()
            if result is not None and result.ok and run["kind"] == "update":
                check_settled(ledger, run)
                ledger.check()
        check_destroyed(ledger)
