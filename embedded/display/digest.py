"""The machine-readable forms: ``preview --json`` as one document, ``up --json`` as one event a line."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Any, TextIO

from embedded.display import markup
from embedded.display.options import DisplayOptions
from embedded.display.steps import State, Step, read_step
from embedded.model import Result
from embedded.state.checkpoint import encode_resource
from embedded.values import Archive, Output, PropertyMap, PropertyValue, Secret


class Digest:
    """Collects a preview and prints it at the end."""

    def __init__(self, options: DisplayOptions, out: TextIO) -> None:
        self._options = options
        self._out = out
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._document: dict[str, Any] = {}
        self._steps: list[dict[str, Any]] = []
        self._diagnostics: list[dict[str, Any]] = []
        self._seen: dict[str, str] = {}

    def start(self) -> None:
        """Nothing is printed before the end."""

    def __call__(self, event: dict[str, Any]) -> None:
        with self._lock:
            for kind, body in event.items():
                match kind:
                    case "preludeEvent":
                        self._document["config"] = body.get("config") or {}
                    case "diagnosticEvent":
                        self._diagnostic(body)
                    case "stdoutEvent":
                        self._diagnostics.append({"message": markup.plain_text(str(body.get("message", ""))), "severity": "info"})
                    case "resourcePreEvent" | "resOutputsEvent":
                        self._step(kind, read_step(event, body))
                    case "summaryEvent":
                        self._document["changeSummary"] = dict(sorted((body.get("resourceChanges") or {}).items()))
                        self._document["maybeCorrupt"] = bool(body.get("maybeCorrupt"))

    def _diagnostic(self, body: dict[str, Any]) -> None:
        if body.get("ephemeral") or body.get("severity") == "debug":
            return
        entry = {"urn": body["urn"]} if body.get("urn") else {}
        message = markup.plain_text(f"{body.get('prefix', '')}{body.get('message', '')}")
        self._diagnostics.append({**entry, "message": message, "severity": body.get("severity", "info")})

    def _step(self, kind: str, step: Step) -> None:
        if not (self._options.shows(step) or step.is_root):
            return
        if kind == "resourcePreEvent":
            self._seen[step.urn] = step.op
            self._steps.append(self._entry(step))
        elif self._seen.get(step.urn) == "refresh" and (step.op == "delete" or (step.op == "update" and step.detailed is not None)):
            for index, entry in enumerate(self._steps):
                if entry["urn"] == step.urn:
                    self._steps[index] = self._entry(step)

    def _entry(self, step: Step) -> dict[str, Any]:
        entry: dict[str, Any] = {"op": step.op, "urn": step.urn}
        if step.provider:
            entry["provider"] = step.provider
        for name, state in (("oldState", step.old), ("newState", step.new)):
            if state is not None:
                entry[name] = self._state(step, state)
        if step.diffs:
            entry["diffReasons"] = list(step.diffs)
        if step.keys:
            entry["replaceReasons"] = list(step.keys)
        if step.detailed is not None:
            entry["detailedDiff"] = {
                path: {"kind": diff.get("diffKind", diff.get("kind")), "inputDiff": bool(diff.get("inputDiff"))}
                for path, diff in sorted(step.detailed.items())
            }
        return entry

    def _state(self, step: Step, state: State) -> dict[str, Any]:
        hidden = step.is_root and self._options.suppress_outputs
        inputs, outputs = ({}, {}) if hidden else (_masked_map(state.inputs), _masked_map(state.outputs))
        if state.full is None:
            return {
                "urn": step.urn,
                "custom": state.custom,
                "id": state.id,
                "type": step.type,
                "inputs": inputs,
                "outputs": outputs,
            }
        return encode_resource(replace(state.full, inputs=inputs or None, outputs=outputs or None), None)

    def close(self, result: Result) -> None:
        """Prints the document."""
        document: dict[str, Any] = {}
        if self._document.get("config"):
            document["config"] = self._document["config"]
        if self._steps:
            document["steps"] = self._steps
        if self._diagnostics:
            document["diagnostics"] = self._diagnostics
        document["duration"] = int((time.monotonic() - self._started) * 1e9)
        document["changeSummary"] = self._document.get("changeSummary")
        if self._document.get("maybeCorrupt"):
            document["maybeCorrupt"] = True
        self._out.write(_json(document, indent=4) + "\n")
        self._out.flush()


def _json(value: Any, indent: int | None = None) -> str:
    """JSON in the order of its parts, as Go writes a structure; a document (``indent``) can stand in a web page."""
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(value, ensure_ascii=False, separators=separators, indent=indent)
    if indent:
        for char in "&<>":
            text = text.replace(char, f"\\u{ord(char):04x}")
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _masked_map(values: PropertyMap) -> PropertyMap:
    return {key: _masked(value) for key, value in values.items()}


def _masked(value: PropertyValue) -> PropertyValue:
    if isinstance(value, Secret) or (isinstance(value, Output) and value.secret):
        return "[secret]"
    if isinstance(value, dict):
        return _masked_map(value)
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, Archive):
        return Archive(_masked_map(value.fields))
    return value


class EventLines:
    """Prints each event as a line of JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._sequence = 0

    def start(self) -> None:
        """Nothing is printed before the first event."""

    def __call__(self, event: dict[str, Any]) -> None:
        with self._lock:
            stamped = {"sequence": event.get("sequence", self._sequence), "timestamp": event.get("timestamp", int(time.time()))}
            self._sequence += 1
            body = {key: value for key, value in event.items() if key not in ("sequence", "timestamp", "_states")}
            self._out.write(_json({**stamped, **body}) + "\n")
            self._out.flush()

    def close(self, result: Result) -> None:
        """Everything was printed as it came."""
