"""Words, prefixes and colours of the step operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from embedded.display import markup


@dataclass(frozen=True)
class Operation:
    """How an operation is shown. ``done`` is what was done to one resource, ``past`` what the summary counts."""

    name: str
    prefix: str
    color: str
    doing: str
    done: str
    failed: str
    past: str
    planned: str = ""
    plan: str = ""


def _operation(name: str, prefix: str, color: str, doing: str, done: str, past: str, **more: str) -> Operation:
    failed = more.pop("failed", f"{doing} failed" if doing else "")
    return Operation(name, prefix, color, doing, done, failed, past, **{"planned": name.replace("-", " "), "plan": name, **more})


OPERATIONS: Final = {
    operation.name: operation
    for operation in (
        _operation("same", "  ", markup.RESET, "", "", "samed", failed="failed", planned="", plan=""),
        _operation("create", "+ ", markup.GREEN, "creating", "created", "created"),
        _operation("update", "~ ", markup.YELLOW, "updating", "updated", "updated"),
        _operation("delete", "- ", markup.RED, "deleting", "deleted", "deleted"),
        _operation("replace", "+-", markup.BRIGHT_MAGENTA, "replacing", "replaced", "replaced"),
        _operation(
            "create-replacement",
            "++",
            markup.BRIGHT_GREEN,
            "creating replacement",
            "created replacement",
            "create-replacementd",
            failed="creating failed",
            plan="replace",
        ),
        _operation(
            "delete-replaced",
            "--",
            markup.BRIGHT_RED,
            "deleting original",
            "deleted original",
            "deleted",
            failed="deleting failed",
            planned="delete original",
            plan="replace",
        ),
        _operation("read", "> ", markup.BRIGHT_CYAN, "reading", "read", "read"),
        _operation(
            "read-replacement",
            ">>",
            markup.BRIGHT_MAGENTA,
            "reading for replacement",
            "read for replacement",
            "read-replacementd",
            failed="reading failed",
            planned="read for replacement",
            plan="replace",
        ),
        _operation("refresh", "~ ", markup.YELLOW, "refreshing", "refresh", "refreshed", planned="refreshing"),
        _operation("discard", "< ", markup.RED, "discarding", "discarded", "discarded"),
        _operation(
            "discard-replaced",
            "<<",
            markup.RED,
            "discarding original",
            "discarded original",
            "discarded",
            failed="discarding failed",
            planned="discard original",
            plan="replace",
        ),
        _operation("remove-pending-replace", "~ ", markup.RESET, "", "", "removed", planned="", plan=""),
        _operation("import", "= ", markup.GREEN, "importing", "imported", "imported"),
        _operation(
            "import-replacement",
            "=>",
            markup.BRIGHT_MAGENTA,
            "importing replacement",
            "imported replacement",
            "imported",
            failed="importing failed",
            plan="import",
        ),
    )
}
REPLACEMENT_STEPS: Final = frozenset(
    (
        "replace",
        "create-replacement",
        "delete-replaced",
        "read-replacement",
        "discard-replaced",
        "remove-pending-replace",
        "import-replacement",
    )
)
READS: Final = frozenset(("read", "discard", "read-replacement"))


def operation(name: str) -> Operation:
    """The operation of a step; one of a newer engine is shown by its name."""
    return OPERATIONS.get(name) or Operation(name, "  ", markup.RESET, name, name, f"{name} failed", name, name, name)


def prefix(name: str, done: bool) -> str:
    """The coloured two characters before a line."""
    found = operation(name)
    return ("" if done else markup.BOLD) + found.color + found.prefix
