"""Engine events in the form of Pulumi's ``apitype``, with secrets masked."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from embedded.engine.steps import Step
from embedded.model import Emit, Project, ResourceState
from embedded.values import (
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN_STRING,
    Archive,
    Asset,
    Output,
    PropertyValue,
    ResourceReference,
    Secret,
    Unknown,
)
from embedded.wire import special_fields

MASK = "[secret]"
_SHORTEST = 6  # a shorter secret seen on the way is not looked for in texts: it would mask ordinary words
_SHORTEST_CONFIG = 3  # one of the settings is, as by the real engine


class Masker:
    """Takes every secret that the run has met out of texts that are printed."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._ordered: list[str] | None = None

    def add(self, value: PropertyValue, shortest: int = _SHORTEST) -> None:
        """Remembers each string in ``value``: whole, as in a JSON text, and line by line where it has several."""
        if isinstance(value, str):
            for text in {value, value.rstrip("\n"), json.dumps(value)[1:-1], *(value.split("\n") if "\n" in value else ())}:
                if len(text) >= shortest and text not in self._secrets and text != UNKNOWN_STRING:
                    self._secrets.add(text)
                    self._ordered = None
        elif isinstance(value, (Secret, Output)):
            self.add(value.value, shortest)
        elif isinstance(value, dict):
            for item in value.values():
                self.add(item, shortest)
        elif isinstance(value, list):
            for item in value:
                self.add(item, shortest)

    def add_secrets(self, value: PropertyValue) -> None:
        """Remembers what is marked secret in ``value``."""
        if isinstance(value, Secret) or (isinstance(value, Output) and value.secret):
            self.add(value.value)
        elif isinstance(value, Output):
            self.add_secrets(value.value)
        elif isinstance(value, dict):
            for item in value.values():
                self.add_secrets(item)
        elif isinstance(value, list):
            for item in value:
                self.add_secrets(item)

    def mask(self, text: str) -> str:
        if not self._secrets or not text:
            return text
        ordered = self._ordered
        if ordered is None:
            ordered = self._ordered = sorted(tuple(self._secrets), key=len, reverse=True)
        for value in ordered:
            if value in text:
                text = text.replace(value, MASK)
        return text


def masked(value: PropertyValue) -> PropertyValue:
    """``value`` as JSON for an event: secrets as the secret signature with ``[secret]``, texts of assets left out."""
    if isinstance(value, Secret):
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "ciphertext": MASK}
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    if isinstance(value, Unknown):
        return UNKNOWN_STRING
    if isinstance(value, Output):
        return masked(Secret(value.value) if value.secret else value.value)
    if isinstance(value, (Asset, Archive, ResourceReference)):
        fields = special_fields(value)
        if isinstance(value, Asset) and "text" in fields:
            fields["text"] = "<contents elided>"
        return masked(fields)
    return value


class Events:
    """Sends the events of one run, one at a time, from any thread."""

    def __init__(self, emit: Emit, project: Project, *, preview: bool, refresh: bool, values: bool = True) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._preview = preview
        self._refresh = refresh
        self._values = values
        self._started = time.monotonic()
        self.masker = Masker()
        self.changes: dict[str, int] = {}
        self.last_error: str | None = None
        for key in project.secret_keys:
            _add_setting(self.masker, project.config.get(key, ""))

    def send(self, event: dict[str, Any]) -> None:
        with self._lock:
            self._emit(event)

    def prelude(self, project: Project) -> None:
        config = {key: MASK if key in project.secret_keys else value for key, value in project.config.items()}
        self.send({"preludeEvent": {"config": config}})

    def summary(self, *, ok: bool, packs: dict[str, str]) -> None:
        duration = max(1, round(time.monotonic() - self._started))
        self.send(
            {
                "summaryEvent": {
                    "maybeCorrupt": False,
                    "durationSeconds": duration,
                    "resourceChanges": dict(self.changes),
                    "PolicyPacks": packs,
                    "isPreview": self._preview,
                    "result": "succeeded" if ok else "failed",
                }
            }
        )

    def diagnostic(self, severity: str, message: str, *, urn: str = "", ephemeral: bool = False, stream: int = 0) -> None:
        """``severity`` as in the events: ``debug``, ``info``, ``info#err``, ``warning``, ``error``."""
        message = self.masker.mask(message)
        if severity == "error":
            self.last_error = message
        event: dict[str, Any] = {"urn": urn} if urn else {}
        if severity in ("debug", "warning", "error"):
            event["prefix"] = f"{severity}: "
        event |= {"message": message + "\n", "color": "never", "severity": severity}
        if stream:
            event["streamID"] = stream
        if ephemeral:
            event["ephemeral"] = True
        self.send({"diagnosticEvent": event})

    def error(self, message: str, urn: str = "") -> None:
        self.diagnostic("error", message, urn=urn)

    def step_begins(self, step: Step) -> None:
        self._step("resourcePreEvent", step, step.op)

    def step_ends(self, step: Step) -> None:
        """Counts the step, and tells of its outputs where the real engine does."""
        operation, counted = step.op, step.logical
        if self._refresh and step.op == "refresh":
            operation, counted = step.refresh_result or "same", True
        if step.op == "read":
            counted = step.changed_read
        if counted and not step.internal:
            with self._lock:
                self.changes[operation] = self.changes.get(operation, 0) + 1
        if self._preview or step.res.custom or step.op in ("refresh", "delete"):
            self._step("resOutputsEvent", step, operation)

    def outputs_registered(self, step: Step) -> None:
        self._step("resOutputsEvent", step, step.op)

    def step_fails(self, step: Step, message: str) -> None:
        self.error(message if not self._preview else f"Preview failed: {message}", "" if step.internal else step.urn)
        if not self._preview:
            self._step("resOpFailedEvent", step, step.op, {"status": 0, "steps": sum(self.changes.values())})

    def _step(self, kind: str, step: Step, operation: str, more: dict[str, Any] | None = None) -> None:
        old, new = step.old_for_event, step.new
        if step.refresh_result == "delete":
            new = None
        metadata: dict[str, Any] = {
            "op": operation,
            "urn": step.urn,
            "type": step.type,
            "old": self._state(old),
            "new": self._state(new),
        }
        if step.keys:
            metadata["keys"] = step.keys
        if step.diffs:
            metadata["diffs"] = step.diffs
        metadata["detailedDiff"] = (
            None
            if step.detailed is None
            else {
                path: {"diffKind": diff["kind"], "inputDiff": diff.get("inputDiff", False)} for path, diff in step.detailed.items()
            }
        )
        metadata |= {"logical": step.logical, "provider": step.provider}
        body: dict[str, Any] = {"metadata": metadata}
        if self._preview:
            body["planning"] = True
        self.send({kind: body | (more or {}), "_states": (old, new)})

    def _state(self, state: ResourceState | None) -> dict[str, Any] | None:
        if state is None:
            return None
        result: dict[str, Any] = {"type": state.type, "urn": state.urn}
        for key, flag in (("custom", state.custom), ("delete", state.delete)):
            if flag:
                result[key] = True
        result |= {"id": state.id, "parent": state.parent}
        for key, flag in (("protect", state.protect), ("retainOnDelete", state.retain_on_delete)):
            if flag:
                result[key] = True
        if self._values:
            result |= {"inputs": masked(state.inputs or {}), "outputs": masked(state.outputs or {})}
        result["provider"] = state.provider
        if state.init_errors:
            result["initErrors"] = list(state.init_errors)
        return result


def _add_setting(masker: Masker, text: str) -> None:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    masker.add(value if isinstance(value, (dict, list)) else text, _SHORTEST_CONFIG)
