"""How an update looks on the screen: a live table on a terminal, one line for each finished service elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from catalog.models import Service
from operations.deployment.outcome import Failure
from operations.progress import STEPS, Progress, ServiceProgress, State
from operations.validation.smoke import Answer
from operations.wording import on_one_line

WRITTEN_INTO = "were changed on the host since it was staged"
"""What the host's program ``switch`` says of a release that was live before (components/remote/host/switch)."""
KEPT = "are kept in"
"""What it says of files that a copy in place took away and no release holds (components/remote/host/replaced)."""
NOT_RESTARTED = "the daemon was not restarted"
"""What it says of an external service (components/remote/host/process); where there is no daemon, no news."""

_SIGN: dict[State, tuple[str, str]] = {
    "waits": ("·", "dim"),
    "runs": ("…", "yellow"),
    "done": ("✓", "green"),
    "same": ("=", "dim"),
    "failed": ("✗", "bold red"),
}


def console() -> Console:
    """Where commands print: colours on a terminal only, words never broken in a pipe."""
    screen = Console(highlight=False, soft_wrap=False)
    return screen if screen.is_terminal else Console(highlight=False, soft_wrap=True, no_color=True, width=1000)


class Screen:
    """Shows a ``Progress`` while it grows."""

    def __init__(self, out: Console, progress: Progress, services: Mapping[str, Service]) -> None:
        self.out, self.progress, self.services = out, progress, services
        self._begun = monotonic()
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Takes in an event of the engine and shows what it changed."""
        self.progress(event)
        if self._live is None and ("ended" in event or "failed" in event):
            with self._lock:
                self._lines()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While an update runs."""
        if not self.out.is_terminal:
            yield
            return
        with Live(get_renderable=self._table, console=self.out, refresh_per_second=4, transient=True) as self._live:
            yield
        self._live = None

    def _lines(self) -> None:
        for entry in self.progress.services.values():
            if entry.service not in self._told and (entry.failed or entry.steps.get("health") == "done"):
                self._told.add(entry.service)
                ended = "failed" if entry.failed else "done"
                self.out.print(f"[{monotonic() - self._begun:6.1f} s] {entry.service}: {ended}", markup=False)

    def _table(self) -> Table:
        entries = list(self.progress.services.values())
        done = sum(entry.steps.get("health") in ("done", "same") for entry in entries)
        title = f"{done} of {len(entries)} services, {monotonic() - self._begun:.0f} s"
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
        for heading in ("service", *STEPS, ""):
            table.add_column(heading, justify="left" if heading in ("service", "") else "center")
        for entry in entries:
            table.add_row(entry.service, *(_cell(entry, step) for step in STEPS), Text(self._waits(entry), style="dim"))
        return table

    def _waits(self, entry: ServiceProgress) -> str:
        """What a service that does nothing now waits for."""
        if entry.steps.get("stage") == "done" and "switch" not in entry.steps:
            open_ = [
                other
                for other in self.services[entry.service].after
                if other in self.progress.services and self.progress.services[other].steps.get("switch") not in ("done", "same")
            ]
            return f"waits for {', '.join(open_)}" if open_ else ""
        return ""


def _cell(entry: ServiceProgress, step: str) -> Text:
    sign, style = _SIGN[entry.steps.get(step, "waits")]
    return Text(sign, style=style)


def plan(out: Console, progress: Progress) -> None:
    """What a preview found: the plan of each service that would change, and the numbers."""
    for entry in progress.services.values():
        for text in entry.plan:
            out.print(text, markup=False)
    for heading, names in progress.made.items():
        out.print(f"to be made ({heading}): {', '.join(names)}", markup=False)
    for note in progress.notes:
        out.print(note, style="yellow", markup=False)
    if progress.changes:
        out.print("resources: " + ", ".join(f"{count} to {op}" for op, count in sorted(progress.changes.items())))
    elif not progress.errors:
        out.print("no change")


def summary(
    out: Console,
    progress: Progress,
    moves: Mapping[str, tuple[str | None, str]],
    live: Mapping[str, str],
    answers: Mapping[str, Answer],
    failures: Sequence[Failure] = (),
) -> None:
    """The table at the end of an update, failures last and whole. ``failures``: the services that it left behind."""
    left = {failure.service: failure for failure in failures}
    narrow = out.width < 100
    table = Table(box=None, padding=(0, 1))
    for heading, justify in (
        ("service", "left"),
        ("release", "left"),
        ("files", "right"),
        ("migrations", "left"),
        ("s", "right"),
        ("HTTP", "right"),
    ):
        # Migrations alone are broken where the terminal is narrow; what names a service or says how it went never is.
        table.add_column(
            heading, justify="right" if justify == "right" else "left", no_wrap=heading != "migrations", overflow="fold"
        )
    entries = sorted(progress.services.values(), key=lambda e: e.service in left or _is_bad(e, answers))
    for entry in entries:
        style = "bold red" if entry.service in left or _is_bad(entry, answers) else None
        table.add_row(
            *_row(entry, moves.get(entry.service), live.get(entry.service), answers.get(entry.service), narrow), style=style
        )
    out.print(table)
    for entry in entries:
        answer = answers.get(entry.service)
        problems = [*entry.errors, *([answer.problem] if answer and answer.problem else [])]
        if entry.service in left and left[entry.service].because != "failed":
            problems.append(left[entry.service].sentence)
        for problem in dict.fromkeys(problems):
            out.print(f"✗ {entry.service}: {problem.removeprefix(entry.service + ': ')}", style="red", markup=False)
        for note in (note for step in ("env", "switch") for note in entry.results.get(step, {}).get("left_alone") or ()):
            out.print(f"{entry.service}: {note}; it put everything back", style="yellow", markup=False)
        for note in entry.results.get("switch", {}).get("notes") or ():
            if NOT_RESTARTED in note and not (answer and answer.files_only):
                out.print(f"{entry.service}: {note}", style="yellow", markup=False)
            if WRITTEN_INTO in note:
                out.print(f"{entry.service}: {note}; bin/mo drift --mend puts them back", style="yellow", markup=False)
            elif KEPT in note:
                out.print(f"{entry.service}: {on_one_line(note, None)}", style="yellow", markup=False)
    own = any(entry.errors for entry in entries)
    for problem in progress.errors:
        # The program's own words for a service's failed step, with the SDK's traceback: the service has said it better.
        if own and "ResourceRegistrationFailed" in problem:
            continue
        out.print(f"✗ {problem}", style="red", markup=False)


def _is_bad(entry: ServiceProgress, answers: Mapping[str, Answer]) -> bool:
    answer = answers.get(entry.service)
    return entry.failed or (answer is not None and not answer.ok)


def _migrations(names: Sequence[str]) -> str:
    """The migrations that ran; commands (drush) and long lists are counted."""
    if len(names) > 2 or any(" " in name for name in names):
        return f"{len(names)} ({'commands' if any(' ' in name for name in names) else f'to {names[-1]}'})"
    return ", ".join(names)


def _row(
    entry: ServiceProgress, move: tuple[str | None, str] | None, live: str | None, answer: Answer | None, narrow: bool
) -> list[str]:
    stage, switch = entry.results.get("stage", {}), entry.results.get("switch", {})
    if switch:
        release = f"{switch.get('previous') or 'none'} → {switch.get('live') or switch.get('release')}"
    elif move:
        release = f"{move[0] or 'none'} → {move[1]}" + (" (not live)" if live != move[1] else "")
    else:
        release = live or "none"
    if answer.files_only if answer else switch.get("files_only"):
        release += " (files only)"
    activated = switch.get("activated")
    if isinstance(activated, Mapping) and isinstance(activated.get("ms"), int) and not narrow:
        release += f" (activation {activated['ms'] / 1000:.1f} s)"
    return [
        entry.service,
        release.rpartition("→ ")[2] if narrow else release,
        str(stage.get("files", "")) if stage.get("uploaded", True) else "",
        _migrations(switch.get("migrations") or ()),
        f"{entry.seconds:.1f}" if entry.changed else "",
        str(answer.status or "none") if answer else "",
    ]
