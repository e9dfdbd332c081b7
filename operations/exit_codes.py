"""What the exit codes of ``bin/mo`` mean: one list for the commands, ``bin/mo --help`` and docs/commands.md."""

from __future__ import annotations

DONE = 0
FAILED = 1
USAGE = 2
STOPPED = 3
DRIFT = 7
INTERRUPTED = 130

MEANING = {
    DONE: "done",
    FAILED: "failed, or a check says no; the message names what, and the way out",
    USAGE: "wrong usage: an unknown option, service, stack, update or snapshot; nothing was begun",
    STOPPED: "stopped by the operator at a question; nothing was changed",
    DRIFT: "`drift`: the host differs from what the last update left",
    INTERRUPTED: "Ctrl-C; what had begun is finished or put back by the next run",
}
"""Exit code → meaning, as Markdown."""
