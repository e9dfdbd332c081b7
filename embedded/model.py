"""What the state holds: resources, pending operations, a snapshot of them; and how the engine reports what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from embedded.values import PropertyMap


@dataclass
class ResourceState:
    """One resource of deployment version 3. Field names are the checkpoint's in snake case; values may hold ``Secret``.

    ``inputs`` and ``outputs`` are ``None`` where the checkpoint has no such key. ``extra`` keeps the fields of a newer CLI
    as they were read.
    """

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: PropertyMap | None = None
    outputs: PropertyMap | None = None
    parent: str = ""
    protect: bool = False
    external: bool = False
    dependencies: list[str] = field(default_factory=list)
    init_errors: list[str] = field(default_factory=list)
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    pending_replacement: bool = False
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, float] | None = None
    import_id: str = ""
    retain_on_delete: bool = False
    deleted_with: str = ""
    replace_with: list[str] = field(default_factory=list)
    delete: bool = False
    created: str = ""
    modified: str = ""
    source_position: str = ""
    stack_trace: list[dict[str, str]] = field(default_factory=list)
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    delete_before_replace: bool | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class PendingOperation:
    """An operation that was begun and whose end was not recorded: ``creating``, ``updating``, ``deleting``, ``reading``, ``importing``."""

    type: str
    resource: ResourceState


class EngineError(Exception):
    """A failure in the words that the CLI prints, e.g. of a ``Project.stack_outputs`` look-up."""


@dataclass
class Snapshot:
    """The state of a stack: resources in the checkpoint's order, and operations under way."""

    resources: list[ResourceState] = field(default_factory=list)
    pending: list[PendingOperation] = field(default_factory=list)


class Journal(Protocol):
    """Where the engine says what it does; each call is durable when it returns. Calls may come from several threads.

    The end of the run writes the whole snapshot by ``finish``: until then the entries, folded over the snapshot that the
    run began with, are the state. ``old`` is identified by object identity with the snapshot that ``Session.snapshot``
    handed out or with an earlier ``new``.
    """

    def begin(self, operation: PendingOperation) -> int:
        """Records an operation under way and gives its number."""

    def end(
        self,
        number: int | None,
        *,
        old: ResourceState | None = None,
        new: ResourceState | None = None,
        remove_old: bool = False,
        keep_old: bool = False,
    ) -> None:
        """Records the success of operation ``number`` (``None`` for steps that were not begun, such as ``same``).

        ``new`` takes its place at the end of the resources of this run; ``old`` is what it stands instead of (it is gone), or
        with ``remove_old`` and no ``new`` what is gone. With ``keep_old``, ``old`` stays at its place, and its ``delete`` or
        ``pending_replacement`` has changed (a replacement that is half done); one call, so that a crash cannot fall between.
        A ``same`` step (``number`` is ``None``) may be buffered until the next call that is durable.
        """

    def rebase(self, resources: list[ResourceState]) -> None:
        """After a refresh: the resources that the run goes on from are these, in this order (all that was there before is gone)."""

    def fail(self, number: int) -> None:
        """Records the failure of operation ``number``: it is no longer pending and nothing was saved."""

    def outputs(self, resource: ResourceState) -> None:
        """Records changed outputs of a resource that was recorded before (``RegisterResourceOutputs``)."""


class NotRecordedError(Exception):
    """The journal cannot be written: nothing more may begin. The text is a sentence for the user."""


class Session(Protocol):
    """A stack that is open for one operation: locked, its snapshot read, its journal ready."""

    snapshot: Snapshot
    journal: Journal

    def finish(self, snapshot: Snapshot, *, result: str, changes: dict[str, int]) -> None:
        """Writes the checkpoint (with backup), folds the journal, and adds the history entry. ``result``: ``succeeded`` or ``failed``."""


@dataclass(frozen=True)
class PolicyPack:
    """A policy pack to load: its directory, and its configuration file, if one was given."""

    path: str
    config_file: str | None = None


@dataclass(frozen=True)
class Options:
    """What one run is asked to do. ``targets``, ``excludes``, ``replaces`` are URNs and may hold ``*`` and ``**``."""

    kind: str  # "update" | "preview" | "destroy" | "refresh" | "preview-destroy" | "preview-refresh"
    parallel: int = 0  # 0: the engine's default (4 × cores, as the CLI)
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    target_dependents: bool = False
    exclude_dependents: bool = False
    exclude_protected: bool = False
    replaces: tuple[str, ...] = ()
    refresh: bool = False
    run_program: bool = False
    clear_pending_creates: bool = False
    continue_on_error: bool = False
    policy_packs: tuple[PolicyPack, ...] = ()
    client: str | None = None  # host:port of an inline program's LanguageRuntime (Automation API)
    debug: bool = False  # whether anybody reads the program's debug messages
    values: bool = True  # whether anybody reads the property values in events; the display takes them from ``_states``


@dataclass(frozen=True)
class Project:
    """The project and the stack's settings as the engine needs them. ``config`` is ``namespace:key`` → JSON text or string, decrypted."""

    name: str
    directory: str
    main: str
    virtualenv: str | None
    stack: str
    organization: str
    config: dict[str, str]
    secret_keys: frozenset[str]
    stack_outputs: Callable[[str], PropertyMap] | None = None  # of another stack, by its name; may raise EngineError


@dataclass
class Result:
    """How a run ended. ``changes``: operation → number of resources, as in the summary event. ``error``: the text of the CLI's last
    ``error:`` line, ``None`` on success."""

    ok: bool
    changes: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    snapshot: Snapshot | None = None
    cancelled: bool = False


class Emit(Protocol):
    """Receives each engine event: a dict in the form of Pulumi's ``apitype.EngineEvent`` (``{"resourcePreEvent": {…}}``, as in
    the recordings' ``events.jsonl``) without ``sequence`` and ``timestamp``, secrets already masked as ``[secret]``.

    Events about a step carry, beside ``metadata``, the key ``"_states"``: ``(old, new)``, the live ``ResourceState`` objects (or
    ``None``) for ``preview --json`` and the diff view. Take it off before the event is written anywhere.
    """

    def __call__(self, event: dict[str, Any]) -> None: ...
