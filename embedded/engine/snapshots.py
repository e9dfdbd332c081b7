"""The state as it grows during a run: what is new, what is gone, which operations are under way."""

from __future__ import annotations

import threading
from dataclasses import replace

from embedded.engine import urns
from embedded.engine.steps import Step
from embedded.model import Journal, PendingOperation, ResourceState, Snapshot

_PENDING = {
    "create": "creating",
    "create-replacement": "creating",
    "update": "updating",
    "delete": "deleting",
    "delete-replaced": "deleting",
    "discard": "deleting",
    "discard-replaced": "deleting",
    "read": "reading",
    "read-replacement": "reading",
    "import": "importing",
    "import-replacement": "importing",
}


class StateKeeper:
    """Follows the steps, tells the journal, and gives the snapshot at the end. Its cost for a step does not depend on the state."""

    def __init__(self, base: Snapshot, journal: Journal | None) -> None:
        self._base = list(base.resources)
        self._pending = list(base.pending)
        self._journal = journal
        self._news: list[ResourceState] = []
        self._gone: set[int] = set()
        self._under_way: dict[int, PendingOperation] = {}
        self._lock = threading.Lock()

    def rebase(self, resources: list[ResourceState]) -> None:
        """The state after a refresh is ``resources``."""
        self._base = list(resources)
        if self._journal is not None:
            self._journal.rebase(self._base)

    def forget_pending_creates(self) -> None:
        self._pending = []

    def begin(self, step: Step) -> int | None:
        """Records that ``step`` is under way, where a crash would leave something behind that nobody knows of."""
        kind = _PENDING.get(step.op)
        if self._journal is None or kind is None or not step.res.custom or urns.is_provider_type(step.res.type):
            return None
        operation = PendingOperation(kind, step.res)
        number = self._journal.begin(operation)
        with self._lock:
            self._under_way[number] = operation
        return number

    def fail(self, number: int | None) -> None:
        if number is not None and self._journal is not None:
            self._journal.fail(number)
            self._ended(number)

    def end(self, number: int | None, step: Step) -> None:
        """Records what ``step`` has done."""
        old, new, keep = step.old, step.new, False
        if step.op == "replace" or step.skipped_create or (step.op == "refresh" and step.continues is None):
            return
        if step.op in ("create", "import"):
            old = None
        elif step.op in ("create-replacement", "import-replacement", "read-replacement"):
            old = step.original if step.op == "import-replacement" else old
            keep = old is not None and not old.pending_replacement
        elif step.op == "delete-replaced" and step.pending_replacement:
            keep = True
        elif step.op == "refresh" and step.refresh_result == "delete":
            new = None
        with self._lock:
            if new is not None:
                self._news.append(new)
            if old is not None and not keep:
                self._gone.add(id(old))
        if self._journal is not None:
            self._journal.end(number, old=old, new=new, remove_old=new is None and not keep, keep_old=keep)
        if number is not None:
            self._ended(number)

    def settle(self, changed: list[tuple[ResourceState, ResourceState | None]]) -> None:
        """Puts a new state in the place of an old one in the base, or takes the old one out (``None``): a refresh at the end."""
        replaced = {id(old): new for old, new in changed}
        settled = (replaced.get(id(state), state) for state in self._base)
        self._base = [state for state in settled if state is not None]
        if self._journal is not None:
            for old, new in changed:
                self._journal.end(None, old=old, new=new, remove_old=new is None)

    def outputs(self, state: ResourceState) -> None:
        if self._journal is not None:
            self._journal.outputs(state)

    def _ended(self, number: int) -> None:
        with self._lock:
            self._under_way.pop(number, None)

    def snapshot(self) -> Snapshot:
        """The state: what this run has recorded in the order of completion, then what it has not touched."""
        with self._lock:
            resources = [state for state in (*self._news, *self._base) if id(state) not in self._gone]
            pending = list(self._under_way.values())
        pending += [operation for operation in self._pending if operation.type == "creating"]
        return Snapshot(settle_aliases(resources), pending)


def settle_aliases(resources: list[ResourceState]) -> list[ResourceState]:
    """``resources`` with every reference to an old name (an alias) replaced by the new one."""
    renamed: dict[str, str] = {}
    for state in resources:
        for alias in state.aliases:
            renamed[alias] = state.urn
        parent = renamed.get(state.parent)
        if parent and urns.qualified_type(parent) != urns.ROOT_STACK_TYPE:
            renamed[state.urn] = urns.reparent(state.urn, parent)
    if not renamed:
        return resources

    def fix(urn: str) -> str:
        return renamed.get(urn, urn)

    result = []
    for state in resources:
        provider = state.provider
        if provider:
            urn, identity = urns.split_reference(provider)
            provider = f"{fix(urn)}::{identity}"
        result.append(
            replace(
                state,
                urn=fix(state.urn),
                parent=fix(state.parent),
                dependencies=[fix(urn) for urn in state.dependencies],
                property_dependencies={key: [fix(urn) for urn in needed] for key, needed in state.property_dependencies.items()},
                deleted_with=fix(state.deleted_with),
                replace_with=[fix(urn) for urn in state.replace_with],
                provider=provider,
                aliases=[],
            )
        )
    return result
