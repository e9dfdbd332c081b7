"""The gates' verdicts as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evidence.judge import Verdict

_STYLE = {"pass": "green", "fail": "red", "waived": "yellow"}


def as_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """One entry a gate: ``name``, ``group``, ``verdict``, ``figure``, ``threshold``, ``report``, ``reason``, ``remarks``."""
    return [
        {
            "name": verdict.name,
            "group": verdict.group,
            "verdict": verdict.verdict,
            "figure": verdict.figure,
            "threshold": verdict.threshold,
            "report": verdict.report,
            "reason": verdict.reason,
            "remarks": list(verdict.remarks),
        }
        for verdict in verdicts
    ]


def show(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Prints the table, and below it why each gate that does not pass does not."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    if not console.is_terminal:
        console.width = 160  # a log is no narrower than its reader's window
    # On a narrow terminal the groups give way; a path is broken rather than cut.
    wide = console.width >= 100
    for column in ("gate", *(["group"] if wide else []), "verdict", "figure", "threshold", "report"):
        justify: Literal["left", "right"] = "right" if column in ("figure", "threshold") else "left"
        table.add_column(column, justify=justify, no_wrap=column != "report", overflow="fold")
    for verdict in verdicts:
        figure = "–" if verdict.figure is None else f"{verdict.figure:g}"
        style = _STYLE[verdict.verdict]
        group = [verdict.group] if wide else []
        table.add_row(
            verdict.name, *group, f"[{style}]{verdict.verdict}[/]", figure, verdict.threshold, escape(verdict.report or "")
        )
    console.print(table)
    for verdict in verdicts:
        if verdict.reason:
            console.print(
                verdict.reason, style=_STYLE[verdict.verdict], markup=False, highlight=False, soft_wrap=not console.is_terminal
            )
    for verdict in verdicts:
        for remark in verdict.remarks:
            console.print(
                f"{verdict.name}: {remark}", style="dim", markup=False, highlight=False, soft_wrap=not console.is_terminal
            )
