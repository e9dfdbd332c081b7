"""A tool that needs no code of this project: its command stands in its gate's file (``[run]``)."""

from __future__ import annotations

import re
import shutil

from evidence.exit_codes import found_by
from evidence.gates import Run
from operations.gates.context import Context, NotHereError

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?\S*")


def run(tool: Run, context: Context) -> None:
    """Runs the command on the sources and keeps its report. ``{out}`` in the command stands for the folder of the report. Raises
    ``StepError``."""
    if shutil.which(tool.command[0]) is None:
        raise NotHereError(f"{tool.tool} is not installed: put {tool.command[0]} on the PATH")
    found = _VERSION.search(context.run(tool.version, context.source).stdout)
    with context.scratch() as scratch:
        done = context.run(
            [part.replace("{out}", str(scratch)) for part in tool.command],
            context.source,
            accept=(0, *found_by(tool.tool)),
            timeout=900,
        )
        context.keep(
            scratch / tool.report,
            tool.report,
            tool.tool,
            found.group() if found else "",
            exit_code=done.returncode,
            count=sum(1 for path in context.source.rglob("*") if path.is_file()) if tool.count else None,
        )
