"""The display: engine events in, what the CLI prints out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TextIO, cast

from embedded.display.options import DisplayOptions
from embedded.display.steps import is_default_provider
from embedded.model import Result


class Display(Protocol):
    """Shows one run. Call it with each event, from any thread, then ``close`` it."""

    def __call__(self, event: dict[str, Any]) -> None: ...

    def close(self, result: Result) -> None: ...


def open(
    kind: str,
    stack: str,
    project: str,
    *,
    json: bool = False,
    diff: bool = False,
    color: bool = False,
    interactive: bool = False,
    options: Mapping[str, bool] | None = None,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> Display:
    """The display of a run of ``kind`` (``Options.kind``), its title already printed to ``out``.

    ``json`` prints a preview as one document and other runs as one event a line; ``diff`` prints each step's properties, and what is
    said to ``err``; ``interactive`` draws a tree in place. ``options`` are the flags of ``DisplayOptions``.
    """
    flags = options or {}
    masked = _Masked(out or sys.stdout)
    out = cast(TextIO, masked)
    said = _Masked(err or sys.stderr)
    display: Any
    if json:
        from embedded.display.digest import Digest, EventLines

        display = (
            Digest(DisplayOptions.of(flags, steps_of_replacements=False), out) if kind.startswith("preview") else EventLines(out)
        )
    elif diff:
        from embedded.display.diffview import Differences

        display = Differences(
            kind, stack, DisplayOptions.of(flags, steps_of_replacements=False), out, cast(TextIO, said), color=color
        )
    else:
        from embedded.display.progress import Lines, Progress

        shown = DisplayOptions.of(flags, steps_of_replacements=True)
        if interactive and not shown.suppress_progress:
            from embedded.display.tree import Tree

            # the tree asks for its rows when it draws; the progress that has them is made with the tree
            holder: list[Progress] = []
            tree = Tree(out, color, lambda: holder[0].snapshot() if holder else ("", [], False))
            display = Progress(kind, stack, project, shown, tree, terminal=True)
            holder.append(display)
        else:
            display = Progress(kind, stack, project, shown, Lines(out, color), terminal=False)
    display.start()
    return _Visible(display, (masked, said))


class _Masked:
    """A stream that takes the run's secrets out of what is written, once the engine has said how (``_mask`` beside an event).

    Where nobody reads any more (the command that started the engine was killed), the run goes on in silence: what has begun must end.
    """

    def __init__(self, inner: TextIO) -> None:
        self._inner = inner
        self._unread = False
        self.mask: Callable[[str], str] = str

    def write(self, text: str) -> int:
        self._if_read(lambda: self._inner.write(self.mask(text)))
        return len(text)

    def flush(self) -> None:
        self._if_read(self._inner.flush)

    def _if_read(self, work: Callable[[], object]) -> None:
        if self._unread:
            return
        try:
            work()
        except BrokenPipeError:
            self._unread = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Visible:
    """Passes on what is for people: not the steps of providers that the engine made by itself."""

    def __init__(self, inner: Display, streams: tuple[_Masked, ...]) -> None:
        self._inner = inner
        self._streams = streams

    def __call__(self, event: dict[str, Any]) -> None:
        if "_mask" in event:
            for stream in self._streams:
                stream.mask = event["_mask"]
            event = {key: value for key, value in event.items() if key != "_mask"}
        for kind in ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent"):
            if kind in event and is_default_provider(event[kind].get("metadata", {}).get("urn", "")):
                return
        self._inner(event)

    def close(self, result: Result) -> None:
        self._inner.close(result)
