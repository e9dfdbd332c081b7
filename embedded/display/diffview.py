"""The view of differences (``--diff``): each step with its properties, as it comes; what is said goes to stderr."""

from __future__ import annotations

import threading
from typing import Any, TextIO

from embedded.display import markup, sections
from embedded.display.changes import compare, from_detailed
from embedded.display.operations import operation, prefix
from embedded.display.options import TITLES, DisplayOptions
from embedded.display.printer import Printer
from embedded.display.steps import Step, name_of, read_step
from embedded.model import Result
from embedded.values import UNKNOWN_STRING

_GONE_OR_NEW = frozenset(("create", "delete", "delete-replaced", "discard", "discard-replaced"))


class Differences:
    """Prints steps in detail. Events may come from any thread."""

    def __init__(self, kind: str, stack: str, options: DisplayOptions, out: TextIO, err: TextIO, *, color: bool) -> None:
        self._options = options
        self._out, self._err = out, err
        self._color = color
        self._lock = threading.Lock()
        self._preview = kind.startswith("preview")
        self._title = f"{TITLES.get(kind, kind)} ({stack}):"
        self._seen: dict[str, Step] = {}
        self._errored = 0

    def start(self) -> None:
        """Prints the title."""
        self._print(sections.heading(self._title) + "\n")

    def __call__(self, event: dict[str, Any]) -> None:
        with self._lock:
            self._process(event)

    def close(self, result: Result) -> None:
        """Everything was printed as it came."""
        self._out.flush()

    def _print(self, text: str) -> None:
        if text:
            self._out.write(markup.colorize(text, self._color))
            self._out.flush()

    def _process(self, event: dict[str, Any]) -> None:
        for kind, body in event.items():
            match kind:
                case "preludeEvent" if self._options.show_config:
                    config = body.get("config") or {}
                    self._print("".join(["Configuration:\n", *(f"    {key}: {config[key]}\n" for key in sorted(config))]))
                case "stdoutEvent":
                    self._print(str(body.get("message", "")))
                case "diagnosticEvent":
                    if body.get("severity") != "debug" or self._options.debug:
                        text = f"{body.get('prefix', '')}{body.get('message', '')}".rstrip("\n") + "\n"
                        self._err.write(markup.colorize(text, self._color))
                        self._err.flush()
                case "resOpFailedEvent":
                    self._errored += 1
                case "resourcePreEvent":
                    self._begin(read_step(event, body))
                case "resOutputsEvent":
                    self._end(read_step(event, body))
                case "policyEvent":
                    self._print(sections.policy_violation(body, "", ""))
                case "policyRemediationEvent":
                    self._print(sections.policy_remediation(body))
                case "summaryEvent":
                    self._print(sections.summary(body, self._errored, packs=True))

    def _begin(self, step: Step) -> None:
        self._seen[step.urn] = step
        if step.op not in ("refresh", "import") and (self._options.shows(step) or step.is_root):
            self._print(self._step(step, refresh=False))

    def _end(self, step: Step) -> None:
        if not (self._options.shows(step) or step.is_root):
            return
        before = self._seen.get(step.urn)
        refresh = before is not None and before.op == "refresh"
        if step.op == "import" or (refresh and step.op == "update"):
            self._print(self._step(step, refresh=refresh))
            return
        indent = self._indent(step)
        text = sections.outputs(
            step,
            indent + 1,
            preview=self._preview,
            refresh=refresh,
            show_same=self._options.show_same,
            show_secrets=self._options.show_secrets,
        )
        if refresh and (step.op != "refresh" or text or step.is_root):
            self._print(self._header(step, indent))
        if text and not self._options.suppress_outputs:
            self._print(f"{operation(step.op).color}{'    ' * (indent + 1)}--outputs:--{markup.RESET}\n{text}")

    def _indent(self, step: Step) -> int:
        """How many of its parents are shown."""
        depth = 0
        state = step.either
        parent = state.parent if state is not None else ""
        while parent in self._seen:
            above = self._seen[parent]
            depth += 1 if above.is_root or self._options.shows(above) else 0
            state = above.either
            parent = state.parent if state is not None else ""
        return depth

    def _header(self, step: Step, indent: int) -> str:
        old, new = step.old, step.new
        lock = ""
        if old is not None and old.protect and new is not None and not new.protect:
            lock = " 🔓"
        elif (new is not None and new.protect) or (old is not None and old.protect):
            lock = " 🔒"
        retained = old is not None and old.retain and step.op in ("delete", "replace", "create-replacement", "delete-replaced")
        text = f"{'    ' * indent}{prefix(step.op, True)}{step.type}: ({step.op}{'[retain]' if retained else ''}){lock}\n"
        printer = Printer(step.op if step.op in _GONE_OR_NEW else "same", indent + 1)
        if old is not None and old.id:
            printer.line(f"[id={old.id}]\n")
        if step.urn:
            printer.line(f"[urn={step.urn}]\n")
        if step.provider:
            if old is not None and new is not None and old.provider != new.provider:
                planned = new.provider.removesuffix(UNKNOWN_STRING)
                after = new.provider if planned == new.provider else planned + "[unknown]"
                printer.line(f"[provider: {markup.RED}{old.provider}{markup.YELLOW} => {markup.GREEN}{after}{markup.YELLOW}]\n")
            elif name_of(step.provider.rpartition("::")[0]) != "default":
                printer.line(f"[provider={step.provider}]\n")
        return text + printer.text()

    def _step(self, step: Step, *, refresh: bool) -> str:
        indent = self._indent(step)
        text = self._header(step, indent)
        if step.op == "same":
            return text
        printer = Printer(step.op, indent + 1, show_secrets=self._options.show_secrets)
        if step.detailed is not None:
            changed = from_detailed(step, refresh=refresh)
            if changed is not None:
                printer.prefix, printer.summary = True, True
                printer.group(changed)
            elif step.old is not None:
                printer.op, printer.prefix = "same", True
                printer.object(step.old.inputs)
        else:
            self._properties(step, printer)
        return text + printer.text() + markup.RESET

    def _properties(self, step: Step, printer: Printer) -> None:
        old, new = step.old, step.new
        if old is None and new is not None:
            printer.object(new.outputs or new.inputs)
        elif new is None and old is not None:
            printer.object(old.inputs)
        elif old is not None and new is not None:
            by_outputs = bool(new.outputs) and not step.op.startswith("import")
            before, after = (old.outputs, new.outputs) if by_outputs else (old.inputs, new.inputs)
            changed = compare(before, after, secrets=self._options.show_secrets)
            printer.prefix = True
            if changed is not None:
                printer.group(changed, None if by_outputs else step.diffs)
            else:
                printer.op = "same"
                printer.object(after)
