"""The step logic: what a program's resources become, compared with the state before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from embedded.engine.deployment import Deployment
from embedded.model import PendingOperation
from embedded.providers.base import Diff, ProviderError, Resource
from embedded.values import Secret
from tests.unit.embedded.engine.stage import STACK, Body, Client, FakeProvider, Made, Stage, urn, with_config


def chain(first: dict[str, object], *, tail: bool = True) -> Body:
    def body(program: Client) -> None:
        a = program.thing("a", first)
        b = program.thing("b", {"from": a["out"]}, needs={"from": [a.urn]})
        if tail:
            program.thing("c", {"x": 1}, depends_on=(b.urn,))
        program.outputs(program.stack, {"b": b["out"]})

    return body


def test_creates_in_order_and_saves_dependencies(stage: Stage) -> None:
    result = stage.run(chain({"x": 1}))
    assert result.ok
    assert result.changes == {"create": 4}
    assert stage.names() == ["a", "b", "c"]
    b = stage.get("b")
    assert b.dependencies == [urn("a")]
    assert b.property_dependencies == {"from": [urn("a")]}
    assert b.parent == STACK
    assert b.provider.startswith("urn:pulumi:dev::demo::pulumi:providers:test::default_1_0_0::")
    assert b.outputs is not None
    assert b.outputs["secret"] == Secret("hidden-b-2")
    assert stage.state.resources[0].outputs == {"b": "b-2"}


def test_second_run_changes_nothing(stage: Stage) -> None:
    stage.run(chain({"x": 1}))
    before, calls = {state.urn: state.modified for state in stage.state.resources}, list(stage.world.calls)
    assert stage.run(chain({"x": 1})).changes == {"same": 4}
    assert stage.world.calls == calls
    assert {state.urn: state.modified for state in stage.state.resources} == before


def test_what_has_nothing_to_change_does_not_stand_in_line_behind_a_slow_operation(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, answered = threading.Event(), threading.Event()
    update = FakeProvider.update

    def slowly(self: FakeProvider, *args: Any, **options: Any) -> Any:
        begun.set()
        assert answered.wait(20), "the unchanged resource waits for a slow one that it does not depend on"
        return update(self, *args, **options)

    monkeypatch.setattr(FakeProvider, "update", slowly)

    def body(size: int) -> Body:
        def register(program: Client) -> None:
            def kept() -> Made:
                if size > 1:
                    assert begun.wait(20)
                made = program.thing("kept", {"x": 1}, parent=program.component("around").urn)
                answered.set()
                return made

            program.together(lambda: program.thing("slow", {"x": size}), kept)

        return register

    assert stage.run(body(1), parallel=1).ok
    answered.clear()
    assert stage.run(body(2), parallel=1).changes == {"same": 3, "update": 1}


def test_what_goes_on_comes_before_what_begins(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"d": threading.Event(), "a-next": threading.Event()}
    check, create = FakeProvider.check, FakeProvider.create

    def checked(self: FakeProvider, resource: Resource, *rest: Any) -> Any:
        name = resource.urn.rpartition("::")[2]
        if name in asked:
            asked[name].set()
        return check(self, resource, *rest)

    def created(self: FakeProvider, resource: Resource, *args: Any, **options: Any) -> Any:
        later = {"a": "d", "b": "a-next"}.get(resource.urn.rpartition("::")[2])
        if later is not None:
            assert asked[later].wait(20)
            time.sleep(0.05)  # from its check to its place in the line
        return create(self, resource, *args, **options)

    monkeypatch.setattr(FakeProvider, "check", checked)
    monkeypatch.setattr(FakeProvider, "create", created)

    def body(program: Client) -> None:
        program.component("first")  # the provider is there before the others come

        def after(seconds: float, name: str) -> Callable[[], Made]:
            def made() -> Made:
                time.sleep(seconds)
                return program.thing(name, {"x": 1})

            return made

        def chained() -> Made:
            return program.thing("a-next", {"x": 1}, depends_on=(program.thing("a", {"x": 1}).urn,))

        program.together(chained, after(0.02, "b"), after(0.04, "c"), after(0.06, "d"))

    assert stage.run(body, parallel=1).ok
    assert stage.world.calls == ["create a", "create b", "create a-next", "create c", "create d"]


def test_update_in_place_keeps_the_id_and_changes_modified(stage: Stage) -> None:
    stage.run(chain({"x": 1}))
    before = stage.get("a")
    assert stage.run(chain({"x": 2})).changes == {"same": 3, "update": 1}
    after = stage.get("a")
    assert (after.id, after.created) == (before.id, before.created)
    assert after.modified > before.modified


def test_replacement_creates_first_and_deletes_last(stage: Stage) -> None:
    stage.run(chain({"size": 1}))
    stage.world.calls.clear()
    result = stage.run(chain({"size": 2}))
    assert result.changes == {"same": 2, "replace": 1, "update": 1}
    assert stage.world.calls == ["create a", "update b-2", "delete a-1"]
    assert stage.names() == ["a", "b", "c"]


def test_delete_before_replace_takes_the_dependents_that_would_be_replaced_first(stage: Stage) -> None:
    def body(key: int) -> Body:
        def program(client: Client) -> None:
            a = client.thing("a", {"key": key})
            client.thing("grown", {"size": a["out"]}, needs={"size": [a.urn]})
            client.thing("told", {"from": a["out"]}, needs={"from": [a.urn]})

        return program

    stage.run(body(1))
    stage.world.calls.clear()
    assert stage.run(body(2)).ok
    assert stage.world.calls[:4] == ["delete grown-2", "delete a-1", "create a", "create grown"]
    assert stage.world.calls[4:] == ["update told-3"]


def test_a_failed_create_after_delete_leaves_the_deleted_ones_pending(stage: Stage) -> None:
    stage.run(chain({"key": 1}))
    stage.world.fails.add("create a")
    assert not stage.run(chain({"key": 2})).ok
    assert stage.get("a").pending_replacement
    stage.world.fails.clear()
    assert stage.run(chain({"key": 2})).ok
    assert not stage.get("a").pending_replacement


def test_what_the_program_no_longer_has_is_deleted(stage: Stage) -> None:
    stage.run(chain({"x": 1}))
    assert stage.run(chain({"x": 1}, tail=False)).changes == {"same": 3, "delete": 1}
    assert "c-3" not in stage.world.things


def test_destroy_deletes_dependents_first_and_leaves_nothing(stage: Stage) -> None:
    stage.run(chain({"x": 1}))
    stage.world.calls.clear()
    assert stage.run(None, "destroy").changes == {"delete": 4}
    assert stage.world.calls == ["delete c-3", "delete b-2", "delete a-1"]
    assert stage.state.resources == []


def test_a_failed_create_is_not_saved_and_stops_the_run(stage: Stage) -> None:
    stage.world.fails.add("create b")
    result = stage.run(chain({"x": 1}))
    assert not result.ok
    assert result.error == "update failed"
    assert stage.errors() == ["create b fails", "update failed"]
    assert stage.names() == ["a"]
    assert stage.session is not None
    assert stage.session.result == "failed"
    assert stage.session.pending == {}


def test_continue_on_error_goes_on_with_what_is_independent(stage: Stage) -> None:
    def body(program: Client) -> None:
        bad, good = program.together(lambda: program.thing("bad", {}), lambda: program.thing("good", {}))
        after = program.thing("after", {}, depends_on=(bad.urn,))
        other = program.thing("other", {}, depends_on=(good.urn,))
        assert (bad.result, after.result, other.result) == (1, 2, 0)

    stage.world.fails.add("create bad")
    assert not stage.run(body, continue_on_error=True).ok
    assert sorted(stage.names()) == ["good", "other"]


def test_a_failed_deletion_before_a_replacement_fails_the_resource_and_what_needs_it(stage: Stage) -> None:
    results: list[int] = []

    def body(key: int) -> Body:
        def program(client: Client) -> None:
            a = client.thing("a", {"key": key})
            after = client.thing("after", {}, depends_on=(a.urn,))
            other = client.thing("other", {"x": key})
            results[:] = [a.result, after.result, other.result]

        return program

    assert stage.run(body(1)).ok
    stage.world.fails.add("delete a-1")
    assert not stage.run(body(2), continue_on_error=True).ok
    assert results == [1, 2, 0]
    assert "a-1" in stage.world.things
    assert stage.get("a").id == "a-1"
    assert stage.get("other").outputs == {**(stage.get("other").outputs or {}), "x": 2}


def test_a_bridged_failure_keeps_what_is_there_and_tries_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.run(chain({"x": 1}))

    def half(*_: object, **__: object) -> dict[str, object]:
        raise ProviderError("half done", outputs={"x": 2, "out": "a-1"})

    with monkeypatch.context() as patch:
        patch.setattr(FakeProvider, "update", half)
        assert not stage.run(chain({"x": 2})).ok
    state = stage.get("a")
    assert (state.init_errors, state.inputs, state.outputs) == (["half done"], {"x": 1}, {"x": 2, "out": "a-1"})
    assert stage.run(chain({"x": 1})).changes["update"] == 1
    assert stage.get("a").init_errors == []


def test_preview_makes_nothing_and_tells_the_same_steps(stage: Stage) -> None:
    result = stage.run(chain({"x": 1}), "preview-update")
    assert result.changes == {"create": 4}
    assert stage.world.calls == []
    assert stage.state.resources == []
    stage.run(chain({"key": 1}))
    stage.run(chain({"key": 2}), "preview-update")
    assert "replace a" in stage.steps()
    assert not any(state.delete or state.pending_replacement for state in stage.state.resources)


def test_protect_refuses_deletion_and_replacement(stage: Stage) -> None:
    def body(size: int) -> Body:
        return lambda program: program.thing("a", {"size": size}, protect=True)

    stage.run(body(1))
    assert not stage.run(body(2)).ok
    assert "marked for protection" in stage.errors()[0]
    assert not stage.run(None, "destroy").ok
    assert "because it is protected" in stage.errors()[0]
    assert stage.names() == ["a"]
    assert stage.run(None, "destroy", exclude_protected=True).ok
    assert stage.names() == ["a"]


def test_retained_and_deleted_with_are_forgotten_without_a_call(stage: Stage) -> None:
    def body(program: Client) -> None:
        a = program.thing("a", {})
        program.thing("kept", {}, retainOnDelete=True)
        program.thing("goes", {}, deletedWith=a.urn, depends_on=(a.urn,))

    stage.run(body)
    stage.world.calls.clear()
    assert stage.run(None, "destroy").changes == {"delete": 4}
    assert stage.world.calls == ["delete a-1"]


def test_ignored_changes_keep_the_old_value(stage: Stage) -> None:
    def body(value: int) -> Body:
        return lambda program: program.thing("a", {"x": {"deep": value}, "y": 1}, ignoreChanges=["x.deep"])

    stage.run(body(1))
    assert stage.run(body(2)).changes == {"same": 2}
    assert stage.get("a").inputs == {"x": {"deep": 1}, "y": 1}


def test_replace_on_changes_makes_an_update_a_replacement(stage: Stage) -> None:
    def body(value: int) -> Body:
        return lambda program: program.thing("a", {"x": value}, replaceOnChanges=["x"])

    stage.run(body(1))
    assert stage.run(body(2)).changes == {"same": 1, "replace": 1}


def test_a_renamed_component_takes_its_children_along(stage: Stage) -> None:
    from pulumi.runtime.proto import alias_pb2

    def body(name: str, aliases: list[object]) -> Body:
        def program(client: Client) -> None:
            group = client.component(name, aliases=aliases)
            child = client.thing(f"{name}-child", {"x": 1}, parent=group.urn)
            client.thing("user", {"x": child["out"]}, needs={"x": [child.urn]})

        return program

    stage.run(body("old", []))
    calls = list(stage.world.calls)
    assert stage.run(body("new", [alias_pb2.Alias(spec=alias_pb2.Alias.Spec(name="old"))])).changes == {"same": 4}
    assert stage.world.calls == calls
    assert stage.names() == ["new", "new-child", "user"]
    assert stage.get("user").dependencies == [urn("new-child", "demo:c:Group$test:m:Thing")]
    assert all(not state.aliases for state in stage.state.resources)


def test_refresh_takes_over_what_changed_outside_and_drops_what_is_gone(stage: Stage) -> None:
    stage.run(chain({"x": 1}))
    stage.world.things["a-1"] = {"x": 5}
    del stage.world.things["b-2"]
    assert stage.run(None, "refresh").changes == {"same": 2, "update": 1, "delete": 1}
    assert stage.names() == ["a", "c"]
    assert stage.get("a").inputs == {"x": 5}
    assert stage.get("c").dependencies == []
    assert stage.run(chain({"x": 1}), refresh=True).changes["create"] == 1


def test_targets_leave_the_others_alone(stage: Stage) -> None:
    stage.run(chain({"x": 1}))
    assert stage.run(chain({"x": 2}), targets=(urn("c"),)).changes == {"same": 4}
    assert stage.run(chain({"x": 2}), targets=("**::a",)).changes == {"same": 3, "update": 1}
    assert not stage.run(chain({"x": 2}), targets=(urn("nobody"),)).ok
    assert "could not be found in the stack" in stage.errors()[0]


def test_pending_creates_stay_and_are_told_of(stage: Stage) -> None:
    stage.run(chain({"x": 1}))
    stage.state.pending = [PendingOperation("creating", stage.get("a")), PendingOperation("updating", stage.get("b"))]
    assert stage.run(chain({"x": 1})).ok
    assert [operation.type for operation in stage.state.pending] == ["creating"]
    warnings = [e["diagnosticEvent"] for e in stage.events if e.get("diagnosticEvent", {}).get("severity") == "warning"]
    assert "with 2 pending operations" in warnings[0]["message"]
    assert stage.run(None, "refresh", clear_pending_creates=True).ok
    assert stage.state.pending == []


def test_duplicate_names_and_bad_inputs_are_refused(stage: Stage) -> None:
    def twice(program: Client) -> None:
        program.thing("a", {})
        program.thing("a", {})

    assert not stage.run(twice).ok
    assert "Duplicate resource URN" in stage.errors()[0]
    assert not stage.run(lambda program: program.thing("z", {"bad": True})).ok
    assert stage.errors()[0] == "test:m:Thing resource 'z': property bad value {True} has a problem: it is bad"


def test_a_refresh_shows_what_the_provider_sees_in_an_unchanged_state(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.run(chain({"x": 1}))
    monkeypatch.setattr(FakeProvider, "diff", lambda *_: Diff("some", diffs=["x"], detailed={"x": {"kind": "add"}}))
    result = stage.run(None, "refresh")
    assert result.changes == {"same": 1, "update": 3}
    ended = [event["resOutputsEvent"]["metadata"] for event in stage.events if "resOutputsEvent" in event]
    assert {each["urn"]: each["detailedDiff"] for each in ended}[urn("a")] == {"x": {"diffKind": "delete", "inputDiff": False}}


def test_neither_of_two_resources_of_one_name_is_made(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[str] = []
    both, announce, configured = threading.Event(), Deployment.announce, FakeProvider.check_config

    def announced(run: Deployment, parent: str, type_: str, name: str) -> None:
        announce(run, parent, type_, name)
        named.append(name)
        if named.count("a") == 2:
            both.set()

    def waiting(*arguments: Any) -> Any:
        assert both.wait(30)
        return configured(*arguments)

    def twice(program: Client) -> None:
        program.together(lambda: program.thing("a", {"x": 1}), lambda: program.thing("a", {"x": 2}))

    monkeypatch.setattr(Deployment, "announce", announced)
    monkeypatch.setattr(FakeProvider, "check_config", waiting)
    assert not stage.run(twice).ok
    assert stage.errors() == [f"Duplicate resource URN '{urn('a')}'; try giving it a unique name"]
    assert stage.world.calls == []


def test_an_unknown_package_is_refused_by_name(stage: Stage) -> None:
    assert not stage.run(lambda program: program.register("aws:s3:Bucket", "b")).ok
    assert any("package 'aws' is not supported by the embedded engine" in error for error in stage.errors()), stage.errors()


def test_disabled_default_providers_are_refused(stage: Stage) -> None:
    stage.project = with_config(stage.project, **{"pulumi__disable-default-providers": '["*"]'})
    assert not stage.run(lambda program: program.thing("a", {})).ok
    assert stage.errors()[0].startswith("Default provider for 'test' disabled.")


def test_an_explicit_provider_is_used_and_inherited(stage: Stage) -> None:
    def body(program: Client) -> None:
        own = program.register("pulumi:providers:test", "own", {"setting": "x"})
        reference = f"{own.urn}::{own.id}"
        group = program.component("group", providers={"test": reference})
        program.thing("inside", {}, parent=group.urn)
        program.thing("outside", {}, provider=reference)

    assert stage.run(body).ok
    assert stage.get("inside").provider == stage.get("outside").provider
    assert "::own::" in stage.get("inside").provider
    assert not any("default" in state.urn for state in stage.state.resources)


def test_cancel_finishes_what_runs_and_saves_it(stage: Stage) -> None:
    cancel = threading.Event()

    def body(program: Client) -> None:
        program.thing("a", {})
        cancel.set()
        program.thing("b", {})

    result = stage.run(body, cancel=cancel)
    assert (result.ok, result.cancelled) == (False, True)
    assert stage.names() == ["a"]


def test_cancel_is_heeded_while_the_program_is_busy_with_itself(stage: Stage) -> None:
    cancel, over = threading.Event(), threading.Event()

    def body(program: Client) -> None:
        program.thing("a", {})
        cancel.set()
        over.wait(5)

    began = time.monotonic()
    threading.Timer(0.6, over.set).start()
    assert stage.run(body, cancel=cancel).cancelled
    assert time.monotonic() - began < 3
    assert stage.errors() == ["update canceled"]


def test_an_exception_in_the_program_deletes_nothing(stage: Stage) -> None:
    stage.run(chain({"x": 1}))

    def body(program: Client) -> None:
        raise ValueError("no more")

    result = stage.run(body)
    assert (result.ok, result.error) == (False, "ValueError: no more")
    assert stage.names() == ["a", "b", "c"]


def test_what_is_not_supported_is_refused_by_name(stage: Stage) -> None:
    from pulumi.runtime.proto import callback_pb2

    assert not stage.run(lambda program: program.thing("a", {}, transforms=[callback_pb2.Callback(target="x", token="y")])).ok
    assert stage.errors() == ["a transform is not supported by the embedded engine; use the Pulumi CLI for this program"]


def test_secrets_are_masked_in_events_and_messages(stage: Stage) -> None:
    stage.world.fails.add("create b")

    def body(program: Client) -> None:
        program.thing("a", {"password": Secret("correct horse")})
        stage.world.fails.add("create correct horse")
        program.thing("correct horse", {})

    assert not stage.run(body).ok
    messages = [event["diagnosticEvent"]["message"] for event in stage.events if "diagnosticEvent" in event]
    assert "create [secret] fails\n" in messages
    pre = next(event for event in stage.events if event.get("resourcePreEvent", {}).get("metadata", {}).get("urn") == urn("a"))
    assert pre["resourcePreEvent"]["metadata"]["new"]["inputs"]["password"]["ciphertext"] == "[secret]"
