"""A workflow as GitHub loads it, what starts it, what is around its runs, and how they end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

Result = Literal["success", "failure", "skipped"]


class WorkflowError(Exception):
    """A workflow that GitHub would not load, or that this runner does not know how to carry out."""


@dataclass(frozen=True)
class Event:
    """What starts a workflow. ``payload``: ``github.event``; ``inputs``: of a start by hand; ``ref``: the branch."""

    name: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    ref: str = "refs/heads/main"
    sha: str = ""


@dataclass(frozen=True)
class Repository:
    """A repository that checkouts come from. ``git``: its bare repository."""

    name: str
    git: Path
    private: bool = True


@dataclass
class Stand:
    """GitHub around the runners. ``secrets`` and ``variables``: of an environment, of the repository where it is empty; ``machine``: what
    every machine has (``PATH``, caches), where ``{machine}`` is its folder; ``permissions``: of the token of the job that runs just now;
    ``ends``: is called with each machine's folder when its job is over."""

    repository: Repository
    others: Mapping[str, Repository]
    folder: Path
    secrets: Callable[[str], Mapping[str, str]]
    variables: Callable[[str], Mapping[str, str]]
    machine: Mapping[str, str]
    permissions: dict[str, str] = field(default_factory=dict)
    token: str = "job-token-canary-1f7a"
    ends: list[Callable[[Path], None]] = field(default_factory=list)


@dataclass
class StepResult:
    """How a step ended: ``outcome`` before ``continue-on-error``, ``conclusion`` after it."""

    name: str
    outcome: Result
    conclusion: Result
    outputs: Mapping[str, str]
    log: str = ""
    seconds: float = 0.0
    shown: tuple[str, ...] = ()
    """Names of the secrets that stood in the log before GitHub would have starred them."""


@dataclass
class JobResult:
    """How a job ended, with its steps in order."""

    result: Result
    outputs: Mapping[str, str] = field(default_factory=dict)
    steps: list[StepResult] = field(default_factory=list)

    @property
    def shown(self) -> set[str]:
        """The secrets that its steps have printed."""
        return {name for step in self.steps for name in step.shown}

    @property
    def log(self) -> str:
        """All that its steps said."""
        return "\n".join(step.log for step in self.steps)

    def step(self, name: str) -> StepResult:
        """The one step of this name."""
        (found,) = [step for step in self.steps if step.name == name]
        return found


def load(workflow: Path) -> dict[str, Any]:
    """A workflow's document. Raises ``WorkflowError`` where an expression cannot be read, as GitHub does before anything runs."""
    document = yaml.safe_load(workflow.read_text())
    if True in document:  # YAML 1.1 takes ``on`` for a truth
        document["on"] = document.pop(True)
    if unknown := set(document) - {"name", "on", "permissions", "concurrency", "defaults", "jobs", "env"}:
        raise WorkflowError(f"{workflow.name}: {', '.join(map(str, unknown))} is not known")
    for text in _texts(document):
        if re.sub(r"\$\{\{(?:[^'}]|'(?:[^']|'')*'|\}(?!\}))*\}\}", "", text).count("${{"):
            raise WorkflowError(f"{workflow.name}: an expression without its end: {text!r}")
    return dict(document)


def inputs_of(triggers: Mapping[str, Any], event: Event) -> Mapping[str, Any] | None:
    """The ``inputs`` of a run. Raises ``WorkflowError`` where this event does not start the workflow, or an input is none."""
    if event.name not in triggers:
        raise WorkflowError(f"{event.name} does not start this workflow")
    trigger = triggers[event.name] or {}
    if "types" in trigger and event.payload.get("action") not in trigger["types"]:
        raise WorkflowError(f"{event.name} of the type {event.payload.get('action')} does not start this workflow")
    if event.name != "workflow_dispatch":
        return None
    declared = trigger.get("inputs", {})
    if unknown := set(event.inputs) - set(declared):
        raise WorkflowError(f"there is no input {', '.join(unknown)}")
    found = {}
    for name, told in declared.items():
        value = event.inputs.get(name, told.get("default", told["options"][0] if "options" in told else None))
        if told.get("required") and value in (None, ""):
            raise WorkflowError(f"the input {name} is required")
        if "options" in told and value not in told["options"]:
            raise WorkflowError(f"the input {name} is one of {', '.join(told['options'])}")
        if told.get("type") == "boolean" and not isinstance(value, bool):
            raise WorkflowError(f"the input {name} is true or false")
        found[name] = value
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
