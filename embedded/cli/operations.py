"""``up``, ``preview``, ``destroy``, ``refresh``: the engine between a stack's session and a display."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from embedded import config_types
from embedded.cli import metadata
from embedded.cli.context import Context, note, say
from embedded.cli.events import EventLog, EventStream, open_log
from embedded.cli.text import ask
from embedded.interpreters import python_of, server
from embedded.model import EngineError, Options, PolicyPack, Project, Result
from embedded.settings import StackSettings, as_recorded, full_key, has_secure
from embedded.state.backend import ORGANIZATION, StackName
from embedded.state.encryption import Crypter
from embedded.state.errors import NotSupportedError, StateError
from embedded.state.session import Update, open_session
from embedded.values import PropertyMap

_PREVIEWS: Final = {"update": "preview", "destroy": "preview-destroy", "refresh": "preview-refresh"}
_DISPLAY: Final = (
    "show-config", "show-full-output", "show-policy-remediations", "show-reads", "show-replacement-steps", "show-sames", "show-secrets",
    "suppress-outputs", "suppress-progress", "suppress-permalink",
)  # fmt: skip


def up(context: Context) -> int:
    """``pulumi up``."""
    return _operate(context, "update")


def destroy(context: Context) -> int:
    """``pulumi destroy``."""
    return _operate(context, "destroy")


def refresh(context: Context) -> int:
    """``pulumi refresh``."""
    return _operate(context, "refresh")


def preview(context: Context) -> int:
    """``pulumi preview``."""
    run = Run(context, "update")
    with run.log or contextlib.nullcontext():
        return run.preview()


def policy_analyze(context: Context) -> int:
    """``pulumi policy analyze``: the packs' word on the program as it would be deployed, by a preview."""
    if context.arguments.positional:
        context.arguments.values.setdefault("policy-pack", []).extend(context.arguments.positional)
    return preview(context)


def _operate(context: Context, kind: str) -> int:
    arguments = context.arguments
    sure = arguments.on("yes") or arguments.on("skip-preview") or context.truthy("PULUMI_SKIP_CONFIRMATIONS")
    if not sure and not context.interactive and not arguments.on("preview-only"):
        raise StateError(
            "--yes or --skip-preview or --preview-only must be passed in to proceed when running in non-interactive mode"
        )
    run = Run(context, kind)
    with run.log or contextlib.nullcontext():
        if arguments.on("preview-only"):
            return run.preview()
        with context.backend.lock(run.stack):
            if warning := context.backend.recover(run.stack):
                note(f"warning: {warning}")
            if given := arguments.many("import-pending-creates"):
                _drop_pending(context, run.stack, given)
            if not arguments.on("skip-preview"):
                code = run.preview(before=True)
                if code or not (arguments.on("yes") or context.truthy("PULUMI_SKIP_CONFIRMATIONS") or run.confirmed()):
                    return code or 1
            return run.change()


def _drop_pending(context: Context, stack: StackName, given: list[str]) -> None:
    """``refresh --import-pending-creates``: as with the CLI 3.259, the named creations are pending no more, and nothing is imported."""
    if len(given) % 2:
        raise StateError("each URN must be followed by an ID: found an odd number of entries")
    checkpoint = context.backend.current(stack)
    pending = (checkpoint.deployment or {}).get("pending_operations") or []
    kept = [op for op in pending if op["type"] != "creating" or op["resource"]["urn"] not in given[::2]]
    for urn in given[::2]:
        if not any(op["resource"]["urn"] == urn for op in pending):
            note(f'warning: "{urn}" did not correspond to a pending create')
    if len(kept) < len(pending) and checkpoint.deployment:
        checkpoint.deployment["pending_operations"] = kept
        context.backend.save(stack, checkpoint)


class Run:
    """One operation on one stack."""

    def __init__(self, context: Context, kind: str) -> None:
        self.context, self.kind = context, kind
        project = context.project  # before the stack: the CLI complains of it first
        if (kind == "update" or self._runs_program()) and not context.arguments.text("client"):
            with contextlib.suppress(EngineError):  # it is told of when the program is to run
                # It imports the SDK while we get ready.
                server(*python_of(project.virtualenv, str(project.directory)), str(project.directory))
        self.stack = context.stack()
        self.settings = context.settings(self.stack)
        self._given_config()
        self.crypter = self._unlocked()
        config_types.check(project.types, project.name, self.stack.name, self.settings.config)
        self.log: EventLog | None = open_log(context.arguments.text("event-log"))
        self.options = self._options()
        self.project = self._project()

    def _runs_program(self) -> bool:
        return self.context.arguments.on("run-program") or self.context.truthy("PULUMI_RUN_PROGRAM")

    def _given_config(self) -> None:
        """``-c key=value`` is written to the settings, as the CLI does."""
        from embedded.property_path import parse_path, set_at, typed

        project, by_path = self.context.project.name, self.context.arguments.on("config-path")
        given: dict[str, Any] = {}
        for text in self.context.arguments.many("config"):
            name, _, value = text.partition("=")
            path: list[str | int] = parse_path(name) if by_path else [name]
            key = full_key(str(path[0]), project)
            given[key] = set_at(given.get(key), path[1:], typed(value)) if len(path) > 1 else value
        # A value given by path takes the place of the whole key, as with the CLI.
        for key, value in sorted(given.items()):
            self.settings.set(key, value)
        if given:
            self.settings.save()

    def _unlocked(self) -> Crypter | None:
        salt = self.context.salt(self.stack, self.settings)
        if not salt:
            return None
        try:
            crypter = Crypter(self.context.passphrase, salt).ahead()
            importlib.import_module("embedded.engine")  # what will be needed, while the key is derived
            return crypter.verify()
        except StateError as problem:
            raise StateError(f"getting stack configuration: get stack secrets manager: {problem}") from None

    def _options(self) -> Options:
        arguments = self.context.arguments
        packs, configs = arguments.many("policy-pack"), arguments.many("policy-pack-config")
        if configs and len(configs) != len(packs):
            raise StateError('the number of "--policy-pack-config" flags must match the number of "--policy-pack" flags')
        for name in ("target", "replace"):
            if arguments.many(name) and arguments.many("exclude") and name == "target":
                raise StateError("only one of --target or --exclude can be specified")
        if arguments.on("skip-pending-creates") and arguments.on("clear-pending-creates"):
            raise StateError("cannot set both --skip-pending-creates and --clear-pending-creates")
        targets = (*arguments.many("target"), *arguments.many("target-replace"))
        parallel = arguments.text("parallel") or self.context.environment.get("PULUMI_PARALLEL") or "0"
        return Options(
            kind=self.kind,
            parallel=max(int(parallel), 0) if parallel.lstrip("-").isdigit() else 0,
            targets=tuple(targets),
            excludes=tuple(arguments.many("exclude")),
            target_dependents=arguments.on("target-dependents"),
            exclude_dependents=arguments.on("exclude-dependents"),
            exclude_protected=arguments.on("exclude-protected"),
            replaces=(*arguments.many("replace"), *arguments.many("target-replace")),
            refresh=(arguments.text("refresh") or "").lower() in ("true", "1", "t"),
            run_program=self._runs_program(),
            clear_pending_creates=arguments.on("clear-pending-creates"),
            continue_on_error=arguments.on("continue-on-error") or self.context.truthy("PULUMI_CONTINUE_ON_ERROR"),
            policy_packs=tuple(PolicyPack(path, config) for path, config in itertools.zip_longest(packs, configs)),
            client=arguments.text("client"),
            debug=arguments.on("debug"),
        )

    def _project(self) -> Project:
        project, settings = self.context.project, self.settings
        merged = settings.merged(project)
        return Project(
            name=project.name,
            directory=str(project.directory),
            main=project.main,
            virtualenv=project.virtualenv,
            stack=self.stack.name,
            organization=ORGANIZATION,
            config=settings.plain(project, self.crypter),
            secret_keys=frozenset(key for key, value in merged.items() if has_secure(value)),
            stack_outputs=self._stack_outputs,
        )

    def _stack_outputs(self, name: str) -> PropertyMap:
        from embedded.state.session import read_outputs

        try:
            stack = self.context.parse(name)
            if not self.context.backend.exists(stack):
                raise EngineError(f'unknown stack "{name}"')
            return read_outputs(self.context.backend, stack, self.context.unlock)
        except StateError as problem:
            raise EngineError(str(problem)) from None

    def preview(self, *, before: bool = False) -> int:
        """Runs a preview and gives the exit code; ``before`` an operation it leaves no log of its own."""
        result = self._run(replace(self.options, kind=_PREVIEWS[self.kind]), None)
        return (
            self._code(result, "preview" if self.kind == "update" else self.kind)
            if not before
            else 0
            if result.ok
            else self._code(result, "")
        )

    def change(self) -> int:
        """Carries the operation out and gives the exit code."""
        context = self.context
        program = self.kind == "update" or self.options.run_program
        message = context.arguments.text("message")
        update = Update(
            self.kind,
            message if message is not None else metadata.commit_title(context.project.directory),
            metadata.environment(context.arguments, context.project, program=program),
            {key: as_recorded(value) for key, value in sorted(self.settings.merged(context.project).items())},
        )
        result = self._run(self.options, update)
        code = self._code(result, self.kind)
        if code == 0 and self.kind == "destroy" and not self.options.targets and not self.options.excludes:
            self._after_destroy()
        return code

    def _after_destroy(self) -> None:
        remaining = self.context.backend.current(self.stack).resources
        if self.context.arguments.on("remove"):
            from embedded.cli.stacks import remove

            remove(self.context, self.stack, keep_settings=False)
            say(f"The resources in the stack have been deleted, and the stack '{self.stack}' has been removed!")
        elif not remaining and not self.context.arguments.on("json"):
            say(
                "The resources in the stack have been deleted, but the history and configuration associated with the stack are still "
                f"maintained.\nIf you want to remove the stack completely, run `pulumi stack rm {self.stack}`."
            )

    def _run(self, options: Options, update: Update | None) -> Result:
        from embedded import display, engine

        context = self.context
        arguments = context.arguments
        shown = display.open(
            options.kind,
            self.stack.name,
            self.project.name,
            json=arguments.on("json"),
            diff=arguments.on("diff"),
            color=context.color,
            interactive=context.interactive,
            options={name.replace("-", "_"): bool(arguments.values.get(name)) for name in _DISPLAY},
            out=sys.stdout,
        )
        stream = EventStream(shown, self.log)
        events_read = self.log is not None or (arguments.on("json") and not options.kind.startswith("preview"))
        # As with the CLI, debug messages are for the terminal only if asked for, but among the events that a program reads unless it says
        # that it wants none: they are half of all events, and the program waits for each.
        debug = options.debug or (events_read and "debug" not in arguments.values)
        options = replace(options, debug=debug, values=events_read or arguments.on("json"))
        with open_session(context.backend, self.stack, context.unlock, self.settings.salt, update) as session:
            result = _interruptible(lambda cancel: engine.run(options, self.project, session, stream, cancel), context.interactive)
        stream.close(result)
        return result

    def _code(self, result: Result, what: str) -> int:
        if result.error:
            note(f"error: {result.error}")
        if not result.ok:
            return 1
        changed = any(count for operation, count in result.changes.items() if operation not in ("same", "read", "refresh"))
        if self.context.arguments.on("expect-no-changes") and what and changed:
            note(f"error: no changes were expected for {what} but changes were proposed")
            return 7
        return 0

    def confirmed(self) -> bool:
        """Asks on the terminal; ``details`` shows the changes property by property."""
        word = {"update": "update", "destroy": "destroy", "refresh": "refresh"}[self.kind]
        while True:
            try:
                answer = ask(f"Do you want to perform this {word}? [yes/no/details]: ").strip().lower()
            except EOFError:
                answer = "no"
            if answer in ("yes", "y"):
                return True
            if answer in ("no", "n", ""):
                note(f"error: confirmation declined, not proceeding with the {word}")
                return False
            if answer in ("details", "d"):
                self.context.arguments.values["diff"] = True
                self._run(replace(self.options, kind=_PREVIEWS[self.kind]), None)
                self.context.arguments.values["diff"] = False


def _interruptible(work: Callable[[threading.Event], Result], interactive: bool) -> Result:
    """Runs ``work`` in a thread of its own. A signal asks it to end, a second one ends the process; the journal has what was done.

    Ctrl-C on a terminal lets what runs finish. A signal without one comes from something that will not wait, a cancelled job of a CI
    system: then the commands that run are ended as well, as the CLI does.
    """
    cancel = threading.Event()
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(work(cancel))
        except BaseException as problem:
            failure.append(problem)

    def interrupted(*_: object) -> None:
        from embedded.providers import kill_children

        if cancel.is_set():
            kill_children()
            os.write(2, b"error: terminated; what had been done is in the state\n")
            os._exit(1)
        cancel.set()
        os.write(1, b"^C received; cancelling. If you would like to terminate immediately, press ^C again.\n")
        os.write(1, b"Note that terminating immediately may lead to orphaned resources and other inconsistencies.\n\n")
        if not interactive:
            kill_children()

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=target, name="engine")
    try:
        thread.start()
        while thread.is_alive():
            thread.join(0.5)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if failure:
        raise failure[0]
    return outcome[0]


__all__ = ["NotSupportedError", "StackSettings", "destroy", "policy_analyze", "preview", "refresh", "up"]
