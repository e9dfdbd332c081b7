"""A stack through Pulumi's Automation API, with either engine: ``bin/pulumi`` is the command that it runs."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi import automation as auto
from pulumi.automation import errors
from pulumi.automation.events import EngineEvent

from components import plan
from operations import locks
from operations.engine_command import EngineCommand
from operations.event_pipe import EventPipe
from operations.problem import Problem
from operations.project import ROOT

KILLED = "The engine ended before it was done (killed?). Run the command again: it goes on where this one stopped."
_WITHOUT_DEBUG = {"PULUMI_OPTION_DEBUG": "false"}
"""The SDK's debug messages are half of all events and no command here reads them: the embedded engine then has the program send none."""


class Busy(Problem):
    """Another update of the stack runs."""


OnEvent = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Outcome:
    """How an update or a preview ended. ``error``: what the engine said, ``None`` on success; ``cut``: it was killed, and said nothing."""

    ok: bool
    error: str | None = None
    cut: bool = False


@dataclass(frozen=True)
class State:
    """``resources``: as the state keeps them, secrets encrypted; ``cut``: the names of those that an engine is
    at work on, or was when it was killed."""

    resources: list[Mapping[str, Any]]
    cut: Sequence[str]


class Engine:
    """One stack. Every method raises ``Problem`` for what the operator can mend."""

    def __init__(self, stack: str, root: Path = ROOT) -> None:
        self.name = stack
        self.root = root
        _without_cut_readers()
        try:
            # bin/pulumi takes the backend of a sandbox from PULUMI_STACK.
            os.environ["PULUMI_STACK"] = stack
            self._command = EngineCommand(str(root))
            workspace = auto.LocalWorkspace(
                work_dir=str(root), pulumi_command=self._command, env_vars={"PULUMI_STACK": stack, **_WITHOUT_DEBUG}
            )
            self._stack = auto.Stack.create_or_select(stack, workspace)
        except subprocess.CalledProcessError as error:
            raise Problem(f"bin/pulumi ended with {error.returncode}; why, it said above.") from None
        except OSError as error:
            raise Problem(f"bin/pulumi cannot be run: {error}.") from None
        except errors.CommandError as error:
            raise Problem(_said(error)) from None

    def stop(self) -> None:
        """Ends what the engine is doing, and whatever it would do next: the run has lost its lock. May be called from any thread."""
        self._command.stop()

    def preview(self, config_file: Path, on_event: OnEvent, *, verbose: bool = False) -> Outcome:
        """What an update would do; changes nothing. ``verbose``: the plans name every file."""
        if verbose:
            self._stack.workspace.env_vars = {**self._stack.workspace.env_vars, plan.VERBOSE: "1"}
        summed: list[str] = []

        def hand_on(event: Mapping[str, Any]) -> None:
            summed.extend(key for key in event if key == "summary")
            on_event(event)

        try:
            self._run(["preview"], config_file, hand_on)
        except errors.CommandError as error:
            return Outcome(False, _said(error))
        if not summed:
            raise Problem(
                f"The preview of {self.name} reported no events: bin/pulumi is neither Pulumi's CLI nor the embedded engine."
            )
        return Outcome(True)

    def up(self, config_file: Path, message: str, on_event: OnEvent) -> Outcome:
        """Makes it so. A failure of one service leaves the others to end by themselves.

        The lock of an update that was killed on this machine is taken away; any other stops this one.
        """
        try:
            return self._up(config_file, message, on_event)
        except errors.ConcurrentUpdateError as error:
            refusal = str(error)
        if not locks.are_stale(refusal):
            raise Busy(
                f"Another update of the stack {self.name} is running ({'; '.join(locks.owners(refusal)) or 'its owner is unknown'}). "
                f"Wait for it; where you know that it was killed: bin/pulumi cancel --stack {self.name} --yes."
            )
        self._stack.cancel()
        try:
            return self._up(config_file, message, on_event)
        except errors.ConcurrentUpdateError:
            raise Busy(f"Another update of the stack {self.name} has just begun; wait for it.") from None

    def _up(self, config_file: Path, message: str, on_event: OnEvent) -> Outcome:
        try:
            self._run(["up", "--yes", "--skip-preview", "--message", message, "--continue-on-error"], config_file, on_event)
        except errors.ConcurrentUpdateError:
            raise
        except errors.CommandError as error:
            said = _said(error)
            return Outcome(False, said, cut=said == KILLED)
        return Outcome(True)

    def _run(self, words: Sequence[str], config_file: Path, on_event: OnEvent) -> None:
        """An operation as the Automation API would run it, but for its event server, which any local user could talk to."""
        workspace = self._stack.workspace
        given = ["--color", "never", "--config-file", str(config_file), "--exec-kind", "auto.local", "--stack", self.name]
        # The CLI has `--event-log` and `--exec-kind` only where it is told so.
        variables = {"PULUMI_DEBUG_COMMANDS": "true", **workspace.env_vars}
        with EventPipe(_plain(on_event)) as events:
            workspace.pulumi_command.run([*words, *given, "--event-log", events.path], workspace.work_dir, variables)

    def resources(self) -> list[Mapping[str, Any]]:
        """The stack's resources as the state keeps them, secrets encrypted. After a failed update they tell what was done all the same,
        which the stack's outputs do not."""
        return self.state().resources

    def state(self) -> State:
        """The stack's state (the Automation API's own export would decrypt every secret of it)."""
        workspace = self._stack.workspace
        try:
            told = workspace.pulumi_command.run(
                ["stack", "export", "--stack", self.name], workspace.work_dir, {**workspace.env_vars}
            )
        except errors.CommandError as error:
            raise Problem(_said(error)) from None
        try:
            return _state(json.loads(told.stdout)["deployment"] or {})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Problem(f"What `bin/pulumi stack export --stack {self.name}` prints is no state; nothing was changed.") from None

    def history(self) -> list[auto.UpdateSummary]:
        """All updates, newest first."""
        try:
            return self._stack.history(page_size=100_000, page=1, show_secrets=False)
        except errors.CommandError as error:
            raise Problem(_said(error)) from None


def _state(deployment: Mapping[str, Any]) -> State:
    resources = list(deployment.get("resources") or ())
    there = {resource["urn"] for resource in resources}
    cut = []
    for one in deployment.get("pending_operations") or ():
        urn = one["resource"]["urn"]
        # Both engines keep a cut creation in the state for good: of what is there by now it tells nothing.
        if one.get("type") != "creating" or urn not in there:
            cut.append(str(urn).rpartition("::")[2])
    return State(resources, tuple(cut))


def _without_cut_readers() -> None:
    """Keeps quiet what the Automation API's readers of the engine's output say where Ctrl-C or a killed engine has closed it under them."""
    told = threading.excepthook

    def tell(failure: threading.ExceptHookArgs) -> None:
        if not (failure.exc_type is ValueError and "closed file" in str(failure.exc_value)):
            told(failure)

    tell.__name__ = _without_cut_readers.__name__
    if getattr(told, "__name__", "") != tell.__name__:
        threading.excepthook = tell


def _plain(on_event: OnEvent) -> Callable[[dict[str, Any]], None]:
    """Events in the form that the commands read, whatever the engine's version adds to them."""

    def hand_on(event: dict[str, Any]) -> None:
        on_event(plain_event(EngineEvent.from_json(event)))

    return hand_on


def plain_event(event: Any) -> dict[str, Any]:
    """The parts of an ``EngineEvent`` that the commands read."""
    found: dict[str, Any] = {}
    if event.diagnostic_event is not None:
        said = event.diagnostic_event
        found["diagnostic"] = {
            "urn": said.urn or "",
            "severity": said.severity,
            "message": said.message,
            "ephemeral": bool(said.ephemeral),
        }
    for kind, part in (
        ("begun", event.resource_pre_event),
        ("ended", event.res_outputs_event),
        ("failed", event.res_op_failed_event),
    ):
        if part is not None:
            meta = part.metadata
            outputs = (meta.new.outputs if meta.new is not None else None) or {}
            found[kind] = {"urn": meta.urn, "type": meta.type, "op": str(getattr(meta.op, "value", meta.op)), "outputs": outputs}
    if event.policy_event is not None:
        rule = event.policy_event
        found["policy"] = {
            "rule": rule.policy_name,
            "level": rule.enforcement_level,
            "message": rule.message,
            "urn": rule.resource_urn or "",
        }
    if event.summary_event is not None:
        found["summary"] = {str(getattr(k, "value", k)): v for k, v in (event.summary_event.resource_changes or {}).items()}
    return found


def _said(error: errors.CommandError) -> str:
    """The engine's own words, without the frame that the Automation API puts round them."""
    lines = [line.strip().removeprefix("stderr:").removeprefix("stdout:").strip() for line in str(error).splitlines()]
    said = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    told = "\n".join(text for text in dict.fromkeys(said) if text)
    return told or KILLED
