"""What the engine does to one resource: a step, and the request of the program that it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from embedded.engine import urns
from embedded.model import ResourceState
from embedded.values import PropertyMap


@dataclass(frozen=True)
class Alias:
    """An alias as the program gives it: a URN, or the parts that differ."""

    urn: str = ""
    name: str = ""
    type: str = ""
    stack: str = ""
    project: str = ""
    parent: str = ""
    no_parent: bool = False


class Answer:
    """The answer that a call of the program waits for."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.state: ResourceState | None = None
        self.result = "success"  # "success" | "fail" | "skip"
        self.unknown = False
        self.aborted: str | None = None

    def give(self, state: ResourceState | None, result: str = "success", *, unknown: bool = False) -> None:
        self.state, self.result, self.unknown = state, result, unknown
        self._event.set()

    def abort(self, reason: str) -> None:
        if not self._event.is_set():
            self.aborted = reason
            self._event.set()

    def wait(self) -> None:
        self._event.wait()


@dataclass
class Goal:
    """A resource as the program wants it (``RegisterResource``)."""

    type: str
    name: str
    custom: bool
    inputs: PropertyMap
    parent: str = ""
    protect: bool | None = None
    dependencies: list[str] = field(default_factory=list)
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    delete_before_replace: bool | None = None
    ignore_changes: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    import_id: str = ""
    custom_timeouts: dict[str, float] | None = None
    replace_on_changes: list[str] = field(default_factory=list)
    retain_on_delete: bool | None = None
    deleted_with: str = ""
    replace_with: list[str] = field(default_factory=list)
    source_position: str = ""
    stack_trace: list[dict[str, str]] = field(default_factory=list)
    providers: dict[str, str] = field(default_factory=dict)
    answer: Answer = field(default_factory=Answer)


@dataclass
class ReadGoal:
    """A resource that the program reads (``ReadResource``)."""

    id: str
    type: str
    name: str
    inputs: PropertyMap
    provider: str
    parent: str = ""
    dependencies: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    source_position: str = ""
    stack_trace: list[dict[str, str]] = field(default_factory=list)
    answer: Answer = field(default_factory=Answer)


@dataclass
class OutputsGoal:
    """The outputs of a component or of the stack (``RegisterResourceOutputs``)."""

    urn: str
    outputs: PropertyMap
    answer: Answer = field(default_factory=Answer)


@dataclass(eq=False)
class Step:
    """One step. ``op`` is Pulumi's name of it; ``continues`` is called with the state (or the error) once the step has been done,
    for steps that come before the actual decision (refresh and import within an update)."""

    op: str
    old: ResourceState | None
    new: ResourceState | None
    answer: Answer | None = None
    keys: list[str] = field(default_factory=list)
    diffs: list[str] = field(default_factory=list)
    detailed: dict[str, dict[str, Any]] | None = None
    ignore_changes: list[str] = field(default_factory=list)
    pending_delete: bool = False  # the old resource is deleted later (create before delete)
    pending_replacement: bool = False  # the old resource is deleted now, and made anew later (delete before replace)
    skipped_create: bool = False
    untargeted: bool = False
    continues: Callable[[ResourceState | None, str | None], None] | None = None
    refresh_result: str | None = None
    original: ResourceState | None = None  # of an import: the resource that is replaced
    seed: bytes = b""

    @property
    def res(self) -> ResourceState:
        state = self.old if self.op in _ON_OLD or self.new is None else self.new
        assert state is not None
        return state

    @property
    def urn(self) -> str:
        return self.new.urn if self.new is not None and self.op not in _DELETES else self.res.urn

    @property
    def type(self) -> str:
        return self.res.type

    @property
    def provider(self) -> str:
        return self.new.provider if self.new is not None and self.op not in _DELETES else self.res.provider

    @property
    def logical(self) -> bool:
        """Whether the step is one that the summary counts."""
        return self.op not in _NOT_LOGICAL

    @property
    def internal(self) -> bool:
        """Whether the step is hidden from people: default providers, book-keeping."""
        return self.op == "remove-pending-replace" or urns.is_default_provider(self.urn) or (self.op == "refresh" and self._inner)

    @property
    def _inner(self) -> bool:
        return self.continues is not None and (not self.res.custom or urns.is_provider_type(self.res.type))

    @property
    def old_for_event(self) -> ResourceState | None:
        return None if self.op == "create" else self.old

    @property
    def changed_read(self) -> bool:
        return (
            self.old is not None
            and self.new is not None
            and self.old.outputs is not None
            and self.new.outputs is not None
            and self.old.outputs != self.new.outputs
        )


_DELETES = {"delete", "delete-replaced", "discard", "discard-replaced", "remove-pending-replace"}
_ON_OLD = _DELETES | {"refresh"}
_NOT_LOGICAL = {
    "create-replacement",
    "delete-replaced",
    "discard-replaced",
    "read-replacement",
    "import-replacement",
    "refresh",
    "remove-pending-replace",
}


def copy_state(state: ResourceState) -> ResourceState:
    """A copy that can be changed field by field; the values in it are shared, for they are never changed in place."""
    return replace(state, dependencies=list(state.dependencies), aliases=list(state.aliases), init_errors=list(state.init_errors))


def dependency_urns(state: ResourceState, *, with_parent: bool = True) -> list[str]:
    """All that ``state`` depends on, but for its provider: parent, dependencies, of single properties too, what it goes with."""
    found = [state.parent] if with_parent and state.parent else []
    found += state.dependencies
    for dependencies in state.property_dependencies.values():
        found += dependencies
    if state.deleted_with:
        found.append(state.deleted_with)
    return found + state.replace_with
