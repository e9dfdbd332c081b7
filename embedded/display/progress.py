"""The progress view: a line for each thing that happens, or on a terminal a tree that changes in place."""

from __future__ import annotations

import threading
from typing import Any, Protocol, TextIO

from embedded.display import markup, sections
from embedded.display.options import TITLES, DisplayOptions
from embedded.display.rows import Diagnostic, Row, View
from embedded.display.steps import Step, is_root, name_of, read_step, type_of
from embedded.model import Result

_LOADING = "Loading policy packs..."
_QUIET = frozenset(
    (
        "policyAnalyzeSummaryEvent",
        "policyRemediateSummaryEvent",
        "policyAnalyzeStackSummaryEvent",
        "startDebuggingEvent",
        "errorEvent",
    )
)


class Renderer(Protocol):
    """Where rows and lines go."""

    def row(self, row: Row) -> None:
        """A row has changed."""

    def line(self, text: str) -> None:
        """Prints a line for good."""

    def finish(self) -> None:
        """No row changes any more."""


class Lines:
    """Without a terminal: each change is a line."""

    def __init__(self, out: TextIO, color: bool) -> None:
        self._out = out
        self._color = color

    def row(self, row: Row) -> None:
        if not row.hidden:
            self.line(" " + " ".join(row.columns()))

    def line(self, text: str) -> None:
        text = markup.colorize(text, self._color)
        self._out.write("\n".join(part.rstrip() for part in text.split("\n")) + "\n")
        self._out.flush()

    def finish(self) -> None:
        """What was printed stays."""


class Progress:
    """Collects events into rows. Events may come from any thread."""

    def __init__(self, kind: str, stack: str, project: str, options: DisplayOptions, renderer: Renderer, *, terminal: bool) -> None:
        self._options = options
        self._renderer = renderer
        self._lock = threading.RLock()
        self._summary: dict[str, Any] | None = None
        self._loading = False
        self.title = f"{TITLES.get(kind, kind)} ({stack}):"
        self.kind = kind
        self.view = View(kind.startswith("preview"), terminal, stack, project, debug=options.debug)
        self.rows: dict[str, Row] = {}
        self.root = ""

    def start(self) -> None:
        """Prints the title."""
        self._renderer.line(sections.heading(self.title))
        if self.view.terminal:
            self._renderer.line("")

    def __call__(self, event: dict[str, Any]) -> None:
        with self._lock:
            self._process(event)

    def _process(self, event: dict[str, Any]) -> None:
        for kind, body in event.items():
            if kind in ("sequence", "timestamp", "_states") or kind in _QUIET or body is None:
                continue
            match kind:
                case "preludeEvent":
                    self._prelude(body)
                case "policyLoadEvent":
                    if not self._loading:
                        self._loading = True
                        self._root_row()
                        self._notice(f"{_LOADING}: starting")
                case "summaryEvent":
                    self._summary = body
                case "stdoutEvent":
                    self._renderer.line(str(body.get("message", "")).rstrip("\n"))
                case "diagnosticEvent":
                    self._diagnostic(body)
                case "policyEvent" | "policyRemediationEvent":
                    self._policy(kind, body)
                case "resourcePreEvent" | "resOutputsEvent" | "resOpFailedEvent":
                    self._resource(kind, read_step(event, body))

    def _notice(self, text: str) -> None:
        if not self.view.terminal:
            self._renderer.line(text)

    def _prelude(self, body: dict[str, Any]) -> None:
        if self._loading:
            self._notice(f"{_LOADING}: done")
        config: dict[str, str] = body.get("config") or {}
        if self._options.show_config:
            self._renderer.line(
                "\n".join([f"{markup.RESET}Configuration:", *(f"    {key}: {config[key]}" for key in sorted(config)), ""])
            )
        elif not self.view.terminal:
            self._renderer.line("")

    def _diagnostic(self, body: dict[str, Any]) -> None:
        severity = body.get("severity", "info")
        message = (str(body.get("prefix", "")) + str(body.get("message", ""))).rstrip()
        if not message or (severity == "debug" and not self._options.debug):
            return
        stream, ephemeral = body.get("streamID", 0), body.get("ephemeral", False)
        if self.view.terminal:
            message = markup.without_controls(message.replace("\t", "    "))
        if stream:  # a piece of one text keeps its end of line; the prefix belongs to none
            message = str(body.get("message", "")) if not ephemeral else message
        row = self._row(body.get("urn", "") or self.root, None)
        row.hidden = False
        row.diagnostics.append(Diagnostic(message, severity, stream, ephemeral))
        self._renderer.row(row)

    def _policy(self, kind: str, body: dict[str, Any]) -> None:
        row = self._row(body.get("resourceUrn", "") or self.root, None)
        if kind == "policyEvent":
            row.violations.append(body)
        else:
            row.hidden = False
            row.remediations.append(body)
        self._renderer.row(row)

    def _resource(self, kind: str, step: Step) -> None:
        if step.op in ("read", "discard", "read-replacement") and not self._options.show_reads:
            if step.op == "read":
                message = f"read {type_of(step.urn)} {name_of(step.urn)}"
                self._diagnostic({"severity": "info", "message": message, "ephemeral": True})
            return
        root = step.urn == self.root  # as it was before this event: the stack's own first one is no news
        row = self._row(step.urn, step)
        if self._options.shows(step) or root:
            row.hidden = False
        if kind == "resourcePreEvent":
            row.begin(step)
        elif kind == "resOutputsEvent":
            refreshed = row.op == "refresh"
            row.finish(step)
            state = step.either
            real = not self.view.preview and (state is None or (state.custom and step.op != "same"))
            if not self.view.terminal and not refreshed and not real:
                return
        else:
            self.view.failed = row.failed = True
        self._renderer.row(row)

    def _row(self, urn: str, step: Step | None) -> Row:
        if urn in self.rows:
            self._parent(step)
            return self.rows[urn]
        if is_root(urn):
            self.root = urn
            if "" in self.rows:
                row = self.rows.pop("")
                row.step = step or Step("same", urn)
                self.rows[urn] = row
                return row
        row = self.rows[urn] = Row(self.view, step or Step("same", urn))
        self._parent(step)
        self._root_row()
        return row

    def _root_row(self) -> None:
        if self.root not in self.rows:
            self.rows[self.root] = Row(self.view, Step("same"), hidden=False)

    def _parent(self, step: Step | None) -> None:
        """Makes room for a parent that is heard of later, as at a destroy."""
        state = step.either if step is not None else None
        if state is not None and state.parent and state.parent != self.root and state.parent not in self.rows:
            self.rows[state.parent] = Row(self.view, Step("same", state.parent))

    def snapshot(self) -> tuple[str, list[tuple[str, Row]], bool]:
        """The stack's URN, all rows, and whether this is a preview: for a view that is drawn by a thread of its own."""
        with self._lock:
            return self.root, list(self.rows.items()), self.view.preview

    def close(self, result: Result) -> None:
        """Prints what is told at the end."""
        with self._lock:
            waiting = [row for row in self.rows.values() if not row.done]
            self.view.done = True
            if not self.view.terminal:
                for row in waiting:
                    self._renderer.row(row)
        self._renderer.finish()  # without the lock: a live view asks for the rows from a thread of its own
        with self._lock:
            packs = (self._summary or {}).get("PolicyPacks") or {}
            lines, refused = sections.policies(packs, self.rows.values())
            lines += sections.diagnostics(self.rows.values())
            if self.root in self.rows and self.root and not self._options.suppress_outputs:
                step = self.rows[self.root].step
                text = sections.outputs(
                    step, 1, preview=self.view.preview, show_same=self._options.show_same, show_secrets=self._options.show_secrets
                )
                if text:
                    lines += [sections.heading("Outputs:"), text]
            if self._summary is not None and not refused:
                errored = sum(1 for row in self.rows.values() if row.errors)
                lines.append(sections.summary(self._summary, errored, packs=False))
            if lines:
                self._renderer.line("\n".join(lines))
