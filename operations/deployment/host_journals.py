"""The journals of a stack's runs on its host: any clone sees what was interrupted, and by whom, and goes on with it.

The journal on the machine that runs it comes first and counts: it has every line. The host gets a copy where an update begins and ends,
after each restored database, and at the end; what happened between two copies a run that goes on does again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from operations import remote
from operations.deployment import journal as journals
from operations.deployment import owner as owners
from operations.deployment.journal import CHANGING, Run
from operations.deployment.lock import Holder
from operations.problem import Problem

MAX_BYTES = 1_000_000
"""Of one copy, as the host's step ``journal`` takes it."""
Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def asker(root: Path, stack: str) -> Ask:
    """Asks the host by ``run journal``; the connection must be written. Raises ``Problem``."""

    def ask(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return remote.run(root, stack, "journal", request)

    return ask


def keep(ask: Ask, path: Path) -> None:
    """Brings the host's copy of a journal up to date. Raises ``Problem``."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.") from None
    if journals.read(path).ended is not None or len(text.encode()) > MAX_BYTES:
        text = shortened(text)
    ask({"action": "put", "id": path.stem, "text": text})


def shortened(text: str) -> str:
    """A journal without the details of its phases, but that an update had some: that it settles what came before it."""
    kept = []
    for line in text.splitlines():
        try:
            told = json.loads(line)
            if told["event"] == "end":
                told["details"] = {"kept": False} if told["details"] and told["phase"] in CHANGING else {}
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        kept.append(json.dumps(told, separators=(",", ":")) + "\n")
    return "".join(kept)


def listed(ask: Ask) -> list[Run]:
    """The runs whose journals the host has, newest first; of whatever is no journal nothing. Raises ``Problem``."""
    found = ask({"action": "list"}).get("runs")
    runs = []
    for told in found if isinstance(found, list) else ():
        name, text = (told.get("id"), told.get("text")) if isinstance(told, dict) else (None, None)
        if isinstance(name, str) and isinstance(text, str) and journals.is_name(name):
            runs.append(journals.parsed(name, text.encode("utf-8", "replace")))
    return sorted(runs, key=lambda run: run.id, reverse=True)


def together(here: Sequence[Run], host: Sequence[Run], holder: Holder | None = None) -> list[Run]:
    """The runs that either knows, newest first; of one that both know, this machine's. ``holder``: who has the stack's lock, where that is
    not the one who asks: its run is under way, wherever."""
    known = {run.id: run for run in host} | {run.id: run for run in here}
    at_work = holder if holder is not None and not holder.expired and not owners.is_gone(holder.who) else None
    found = sorted(known.values(), key=lambda run: run.id, reverse=True)
    return [replace(run, held=at_work is not None and run.lock == at_work.id) for run in found]


def runs(root: Path, stack: str, holder: Holder | None = None) -> list[Run]:
    """All runs of a stack that this machine or the host knows, newest first. Raises ``Problem`` where the host cannot be asked."""
    return together(journals.runs(root, stack), listed(asker(root, stack)), holder)
