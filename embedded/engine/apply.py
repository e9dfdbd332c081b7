"""Carries out single steps with their providers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from embedded.engine import paths, urns
from embedded.engine.scoping import protection
from embedded.engine.steps import Step, copy_state
from embedded.model import EngineError, ResourceState
from embedded.providers.base import Diff, Provider, ProviderError, Resource
from embedded.values import UNKNOWN_STRING, Secret
from embedded.wire import secret

if TYPE_CHECKING:
    from embedded.engine.deployment import Deployment


class Protected(EngineError):  # noqa: N818 - it says what is the case
    """A protected resource is to be deleted; the other steps go on."""


class PartialFailure(EngineError):  # noqa: N818 - it says what is the case
    """The operation failed half-way: what is there is saved, and tried again by the next run."""


def now() -> str:
    """The time as in the state: RFC 3339 in UTC with nanoseconds, without trailing zeros."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"


def timeout_of(state: ResourceState, operation: str) -> float:
    """The seconds that the program allows for ``operation``; 0 for the provider's default."""
    return (state.custom_timeouts or {}).get(operation, 0.0)


def _resource(state: ResourceState) -> Resource:
    return Resource(state.urn, state.type, state.id)


def perform(run: Deployment, step: Step) -> None:
    """Does ``step`` and completes its states. Raises ``EngineError`` or ``ProviderError`` when it fails."""
    _OPERATIONS[step.op](run, step)
    if step.new is not None and step.op != "replace":
        _mark_secrets(step.new)
        if step.op in ("read", "read-replacement"):
            run.reads[step.new.urn] = step.new
        elif step.refresh_result != "delete":
            run.news[step.new.urn] = step.new


def _mark_secrets(state: ResourceState) -> None:
    """Outputs that are declared secret, or whose input of the same name is secret, become secret."""
    outputs, inputs = state.outputs, state.inputs or {}
    if not outputs:
        return
    declared = {key for key in state.additional_secret_outputs if key != "id"}
    open_ = [
        key
        for key, value in outputs.items()
        if not isinstance(value, Secret) and (key in declared or isinstance(inputs.get(key), Secret))
    ]
    if open_:
        state.outputs = {**outputs, **{key: secret(outputs[key]) for key in open_}}


def _provider(run: Deployment, state: ResourceState) -> Provider:
    if urns.is_provider_type(state.type):
        return run.registry  # type: ignore[return-value]
    provider = run.registry.get(state.provider)
    if provider is None:
        raise EngineError(f"unknown provider '{state.provider}' for resource '{state.urn}'")
    return provider


def _same(run: Deployment, step: Step) -> None:
    old, new = step.old, step.new
    assert old is not None
    assert new is not None
    new.id, new.outputs = old.id, old.outputs
    if urns.is_provider_type(new.type) and not step.skipped_create and not step.untargeted:
        state = copy_state(new)
        state.inputs = old.inputs
        run.registry.same(state, checked=True)


def _create(run: Deployment, step: Step) -> None:
    new = step.new
    assert new is not None
    failure: PartialFailure | None = None
    if new.custom:
        provider = _provider(run, new)
        try:
            new.id, new.outputs = provider.create(
                _resource(new), new.inputs or {}, preview=run.preview, timeout=timeout_of(new, "create")
            )
        except ProviderError as error:
            if error.id is None:
                raise
            new.id, new.outputs, new.init_errors = error.id, error.outputs or {}, [str(error)]
            failure = PartialFailure(str(error))
        if not new.id and not run.preview:
            raise EngineError("provider did not return an ID from Create")
    new.created = new.modified = now()
    if step.pending_delete and step.old is not None:
        step.old.delete = True
    if failure is not None:
        raise failure


def _update(run: Deployment, step: Step) -> None:
    old, new = step.old, step.new
    assert old is not None
    assert new is not None
    new.id, new.created, new.modified = old.id, old.created, old.modified
    if not new.custom:
        new.outputs = new.outputs if new.outputs is not None else None
        return
    provider, failure = _provider(run, new), None
    try:
        new.outputs = provider.update(
            _resource(new),
            old.inputs or {},
            old.outputs or {},
            new.inputs or {},
            preview=run.preview,
            timeout=timeout_of(new, "update"),
            ignore_changes=step.ignore_changes,
        )
    except ProviderError as error:
        if error.outputs is None:
            raise
        new.outputs, new.init_errors, new.inputs = error.outputs, [str(error)], dict(old.inputs or {})
        failure = PartialFailure(str(error))
    new.modified = now()
    if failure is not None:
        raise failure


def _delete(run: Deployment, step: Step) -> None:
    old = step.old
    assert old is not None
    replacing = step.op in ("delete-replaced", "discard-replaced")
    if not replacing and old.protect and not old.external:
        raise Protected(protection(old.urn))
    with_other = old.deleted_with and old.deleted_with in run.generator.deletes
    if not (run.preview or old.external or old.retain_on_delete or with_other) and old.custom:
        _provider(run, old).delete(_resource(old), old.inputs or {}, old.outputs or {}, timeout=timeout_of(old, "delete"))
    if step.pending_replacement:
        old.pending_replacement = True


def _nothing(run: Deployment, step: Step) -> None:
    pass


def _read(run: Deployment, step: Step) -> None:
    old, new = step.old, step.new
    assert new is not None
    if new.id == UNKNOWN_STRING:
        new.outputs = {}
    else:
        result = _provider(run, new).read(_resource(new), new.inputs, new.inputs)
        if result is None:
            raise EngineError(f"resource '{new.id}' does not exist")
        identity, _, new.outputs = result
        new.id = identity or new.id
    if step.op == "read-replacement" and old is not None:
        old.delete = True
    if old is not None:
        new.created, new.modified = old.created, old.modified
        if not paths.same(new.inputs or {}, old.inputs or {}) or not paths.same(new.outputs or {}, old.outputs or {}):
            new.modified = now()


def _refresh(run: Deployment, step: Step) -> None:
    old = step.old
    assert old is not None
    step.refresh_result = "same"
    if not old.custom or urns.is_provider_type(old.type) or old.pending_replacement:
        step.new = copy_state(old) if step.continues else old
        return
    provider = _provider(run, step.new or old)
    result = provider.read(_resource(old), old.inputs or {}, old.outputs or {})
    if result is None or not result[0]:
        step.refresh_result = "delete"
        return
    new = copy_state(step.new or old)
    new.id, new.inputs, new.outputs = result
    if old.external:
        new.inputs = old.inputs  # they are not ours to know
    new.init_errors = []
    if not paths.same(new.inputs or {}, old.inputs or {}) or not paths.same(new.outputs, old.outputs or {}):
        new.modified = now()
    step.new = new
    _mark_secrets(new)
    if old.external:
        step.refresh_result = "update" if not paths.same(old.outputs or {}, new.outputs or {}) else "same"
    else:
        # Also where nothing was changed outside: a provider may see a difference in what it has written itself (a hashed password).
        diff = run.generator.diff_resource(provider, new, new.inputs or {}, new.outputs, old.inputs or {}, old.ignore_changes)
        step.refresh_result = "same" if diff.changes == "none" else "update"
        step.diffs, step.detailed = diff.diffs, _inverted(diff)


def _inverted(diff: Diff) -> dict[str, dict[str, object]] | None:
    """A refresh shows what changed outside: the other way round than what would have to be done about it."""
    if diff.detailed is None:
        return None
    swap = {"add": "delete", "delete": "add"}
    result = {}
    for path, change in diff.detailed.items():
        kind, dash, rest = change["kind"].partition("-")
        result[path] = {**change, "kind": swap.get(kind, kind) + dash + rest}
    return result


def _import(run: Deployment, step: Step) -> None:
    new = step.new
    assert new is not None
    result = _provider(run, new).read(Resource(new.urn, new.type, new.import_id), None, None)
    if result is None:
        raise EngineError(f"resource '{new.import_id}' does not exist")
    identity, new.inputs, new.outputs = result
    new.id = identity or new.import_id
    new.created = new.modified = now()
    step.old = copy_state(new)
    if step.original is not None:
        step.original.delete = True


_OPERATIONS = {
    "same": _same,
    "create": _create,
    "create-replacement": _create,
    "update": _update,
    "replace": _nothing,
    "delete": _delete,
    "delete-replaced": _delete,
    "discard": _delete,
    "discard-replaced": _delete,
    "remove-pending-replace": _nothing,
    "read": _read,
    "read-replacement": _read,
    "refresh": _refresh,
    "import": _import,
    "import-replacement": _import,
}
