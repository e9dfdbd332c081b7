"""One row of the progress view for each resource: what happens to it, since when, what was said about it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from embedded.display import markup
from embedded.display.changes import Group, compare, from_detailed
from embedded.display.operations import operation, prefix
from embedded.display.steps import Step, name_of, type_of

SUFFIX = ("", ".", "..", "...")


@dataclass
class Diagnostic:
    """What a provider, the engine or the program said."""

    message: str
    severity: str
    stream: int = 0
    ephemeral: bool = False


@dataclass
class View:
    """What all rows share."""

    preview: bool
    terminal: bool
    stack: str
    project: str
    done: bool = False
    failed: bool = False
    debug: bool = False


@dataclass
class Row:
    """A resource's row. ``hidden`` ones (unchanged, not asked for) take no line unless a child of theirs does."""

    view: View
    step: Step
    hidden: bool = True
    failed: bool = False
    started: float | None = None
    ended: float | None = None
    finished_ops: dict[str, Step] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    violations: list[dict[str, Any]] = field(default_factory=list)
    remediations: list[dict[str, Any]] = field(default_factory=list)
    order: int = 0

    def count(self, *severities: str) -> int:
        return sum(1 for item in self.diagnostics if not item.ephemeral and item.severity in severities)

    @property
    def errors(self) -> int:
        return self.count("error")

    def begin(self, step: Step) -> None:
        self.started, self.ended = time.monotonic(), None
        self.step = step

    def finish(self, step: Step) -> None:
        self.ended = time.monotonic()
        self.step = step
        self.finished_ops[step.op] = step

    @property
    def done(self) -> bool:
        """Whether nothing more is awaited; the stack's own row waits for the end."""
        if self.failed or self.view.done:
            return True
        return not self.step.is_root and self.step.op in self.finished_ops

    @property
    def op(self) -> str:
        """The operation to show: on a terminal the parts of a replacement are one, before and after they are carried out."""
        view = self.view
        parts = ("create-replacement", "delete-replaced", "discard-replaced")
        whole = view.terminal and not view.failed and (view.preview or view.done) and self.step.op in parts
        return "replace" if whole else self.step.op

    def columns(self) -> list[str]:
        """Sign, type, name, status, information; coloured."""
        urn = (
            self.step.urn
            or f"urn:pulumi:{self.view.stack}::{self.view.project}::pulumi:pulumi:Stack::{self.view.project}-{self.view.stack}"
        )
        return [prefix(self.op, self.done) + markup.RESET, type_of(urn), _escaped(name_of(urn)), self._status(), self._info()]

    def suffix(self, tick: int) -> str:
        """Dots that move while something is under way."""
        if self.done or (self.op == "same" and not self.step.is_root):
            return ""
        return markup.BOLD + operation(self.op).color + SUFFIX[tick % len(SUFFIX)] + markup.RESET

    def _status(self) -> str:
        words = operation(self.op)
        retained = "[retain]" if self.step.old is not None and self.step.old.retain and self.step.op in _RETAINED else ""
        if not self.done:
            if self.step.is_root and self.op == "same":
                return "running" + retained
            text = operation(self.step.op).planned if self.view.preview else self._timed(words.doing, running=True)
            return f"{markup.BOLD}{words.color}{text}{markup.RESET}{retained}"
        failed = self.failed or self.errors > 0
        if not failed and self._interrupted():
            return f"{markup.YELLOW}{words.doing} (interrupted){markup.RESET}{retained}"
        if self.view.preview:
            return f"{words.color}{operation(self.step.op).plan}{markup.RESET}{retained}"
        text = self._timed(words.failed if failed else words.done, running=False)
        return (f"{markup.RED}**{text}**" if failed else f"{words.color}{text}") + markup.RESET + retained

    def _interrupted(self) -> bool:
        state = self.step.either
        custom = state is not None and state.custom
        return (
            custom
            and self.view.done
            and self.op not in ("same", "remove-pending-replace")
            and self.step.op not in self.finished_ops
        )

    def _timed(self, text: str, *, running: bool) -> str:
        if self.op == "same" or self.started is None or (self.ended is None and not running):
            return text
        seconds = (time.monotonic() if running or self.ended is None else self.ended) - self.started
        return f"{text} ({seconds:.2f}s)" if not running and seconds < 1 else f"{text} ({int(seconds)}s)"

    def _info(self) -> str:
        pieces = []
        changes = short_difference(self._telling_step())
        if changes:
            pieces.append(f"[{changes}]")
        if self.view.done:
            for severities, word, color in _COUNTED:
                count = self.count(*severities)
                if count:
                    pieces.append(f"{count} {color}{word}{'' if count == 1 or word == 'debug' else 's'}{markup.RESET}")
        else:
            last = self._last_diagnostic()
            if last:
                pieces.append(last)
        return "; ".join(pieces).split("\n", 1)[0]

    def _telling_step(self) -> Step:
        if self.step.op in ("create-replacement", "delete-replaced"):
            return self.finished_ops.get("replace", self.step)
        return self.finished_ops.get(self.step.op, self.step) if self.step.op.startswith("import") else self.step

    def _last_diagnostic(self) -> str:
        said = self.diagnostics
        if self.view.terminal:
            said = [item for item in said if item.severity == "error"] or said
        return said[-1].message if said else ""


_RETAINED = frozenset(("delete", "replace", "create-replacement", "delete-replaced"))
_COUNTED = (
    (("error",), "error", markup.RED),
    (("warning",), "warning", markup.YELLOW),
    (("info", "info#err"), "message", markup.MAGENTA),
    (("debug",), "debug", markup.RESET),
)


def _escaped(name: str) -> str:
    return markup.without_controls(name.replace("\n", "\\n").replace("\t", "\\t"))


def short_difference(step: Step) -> str:
    """The names of what changes: ``diff: +added-deleted~changed``."""
    if step.old is None or step.new is None:
        return ""
    group: Group | None = None
    if step.op != "same":
        group = compare(step.old.inputs, step.new.inputs) if step.detailed is None else from_detailed(step, refresh=False)
    metadata = [
        name
        for name, before, after in (
            ("provider", step.old.provider, step.new.provider),
            ("protect", step.old.protect, step.new.protect),
        )
        if before != after
    ]
    if group is None and not metadata:
        return ""
    group = group or Group()
    names: dict[str, set[str]] = {
        "create": {str(key) for key in group.adds},
        "delete": {str(key) for key in group.deletes},
        "update": {*map(str, group.updates), *metadata},
    }
    text = "diff: "
    for op, found in names.items():
        kept = sorted(name for name in found if not step.diffs or name in step.diffs)
        if kept:
            text += prefix(op, True).rstrip() + ",".join(kept) + markup.RESET
    return text + markup.RESET
