"""What an update has done so far, by service and step, from the engine's events. Pure: nothing is printed here."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal

STEPS = ("database", "secrets", "stage", "switch", "health")
"""The columns of the progress, in the order in which a service goes through them."""

_STEP_OF = {
    "db-password": "database",
    "database": "database",
    "role": "database",
    "grant": "database",
    "schema-grant": "database",
    "closed": "database",
    "account": "database",
    "revoke": "database",
    "env": "secrets",
    "stage": "stage",
    "switch": "switch",
    "health": "health",
}
_MADE = {"db-password": "password", "database": "database", "role": "account", "account": "account"}
"""What of a service's database is worth a word where it is made."""
State = Literal["waits", "runs", "done", "same", "failed"]
_FRAME = re.compile(r"^(error: )?(exit status \d+|signal: \w+): running \"components/remote/run \w+\":\s*", re.MULTILINE)


@dataclass
class ServiceProgress:
    """One service. ``steps``: the state of each column that was seen; ``results``: the JSON answers of the host steps that ran now."""

    service: str
    steps: dict[str, State] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    plan: list[str] = field(default_factory=list)
    started: float | None = None
    ended: float | None = None

    @property
    def changed(self) -> bool:
        """Whether anything of the service was, or would be, made or changed."""
        return any(state not in ("same", "waits") for state in self.steps.values())

    @property
    def failed(self) -> bool:
        """Whether a step of the service failed."""
        return bool(self.errors) or "failed" in self.steps.values()

    @property
    def seconds(self) -> float:
        """From the first step's begin to the last one's end."""
        return 0.0 if self.started is None or self.ended is None else self.ended - self.started


@dataclass
class Progress:
    """An update, or a preview. ``notes``: what the program said about no service; ``errors``: likewise; ``changes``: operation → number."""

    services: dict[str, ServiceProgress]
    others: dict[str, State] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    changes: dict[str, int] = field(default_factory=dict)
    made: dict[str, list[str]] = field(default_factory=dict)
    """What is made new, names only: a service → of its database; ``secrets`` → generated ones; ``GitHub`` → its secrets."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def of(cls, services: Collection[str]) -> Progress:
        """An update of ``services`` that has not begun."""
        return cls({service: ServiceProgress(service) for service in services})

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Takes in one event of ``engine.plain_event``; may be called from any thread."""
        with self._lock:
            if said := event.get("diagnostic"):
                self._diagnostic(said)
            if (rule := event.get("policy")) and rule["level"] == "mandatory":
                self.errors.append(f"Policy {rule['rule']} refuses {name_of(rule['urn'])}: {' '.join(rule['message'].split())}")
            if step := event.get("begun"):
                self._step(step, "same" if step["op"] == "same" else "runs")
            if step := event.get("ended"):
                self._step(step, "same" if step["op"] == "same" else "done")
            if step := event.get("failed"):
                self._step(step, "failed")
            if "summary" in event:
                self.changes = {op: count for op, count in event["summary"].items() if op != "same" and count}

    def _step(self, step: Mapping[str, Any], state: State) -> None:
        service, what = self._place(step["urn"])
        if state == "runs" and step["op"] == "create":
            self._makes(service, what, step)
        if service is None:
            if not step["type"].startswith("pulumi:"):
                self.others[name_of(step["urn"])] = state
            return
        column = _STEP_OF.get(what)
        if column is None:
            return
        if state in ("runs", "done") and service.started is None:
            service.started = monotonic()
        if state in ("done", "failed"):
            service.ended = monotonic()
        service.steps[column] = _worse(service.steps.get(column), state)
        if state == "done" and isinstance(answer := _answer(step.get("outputs")), dict):
            service.results[what] = answer

    def _makes(self, service: ServiceProgress | None, what: str, step: Mapping[str, Any]) -> None:
        name = name_of(step["urn"])
        if service is not None and what in _MADE:
            heading, told = service.service, _MADE[what]
        elif step["type"].startswith("random:"):
            heading, told = "secrets", name.removeprefix("secret-").upper().replace("-", "_")
        elif step["type"].endswith(":ActionsEnvironmentSecret"):
            heading, told = "GitHub", name.removeprefix("github-").upper().replace("-", "_")
        else:
            return
        kept = self.made.setdefault(heading, [])
        if told not in kept:
            kept.append(told)

    def _diagnostic(self, said: Mapping[str, Any]) -> None:
        text = said["message"].strip()
        if said["ephemeral"] or said["severity"] == "debug" or not text:
            return
        service, _ = self._place(said["urn"])
        if said["severity"] == "error":
            # The engine's own summary of a failed program says nothing that the program has not said.
            if "an unhandled error occurred: program exited" not in text:
                told = cleaned(text)
                kept = self.errors if service is None else service.errors
                if told not in kept:
                    kept.append(told)
        elif service is not None:
            service.plan.append(text)
        elif text not in self.notes:
            self.notes.append(text)

    def _place(self, urn: str) -> tuple[ServiceProgress | None, str]:
        """The service that a resource belongs to, and what it is of it: names are ``<service>-<what>``."""
        service, _, what = name_of(urn).partition("-")
        return self.services.get(service), what


def name_of(urn: str) -> str:
    """The name at the end of a URN."""
    return urn.rsplit("::", 1)[-1]


def cleaned(text: str) -> str:
    """An error without the engine's frame round the host program's sentence."""
    return _FRAME.sub("", text.removeprefix("error: ")).strip()


_ORDER: tuple[State, ...] = ("waits", "same", "done", "runs", "failed")


def _worse(old: State | None, new: State) -> State:
    """The state of a column that several resources share: what still runs or failed is shown before what is done."""
    if old is None or (old == "runs" and new == "done"):
        return new
    return max(old, new, key=_ORDER.index)


def _answer(outputs: Any) -> Any:
    try:
        return json.loads(outputs["stdout"])
    except (KeyError, TypeError, ValueError):
        return None
