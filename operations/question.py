"""A question to the operator. What was typed before it stood on the screen answers another question, and is thrown away."""

from __future__ import annotations

import sys
import termios
from collections.abc import Collection

import typer

from operations.exit_codes import STOPPED
from operations.problem import Problem
from operations.wording import on_one_line

YES = {"y", "yes"}
NO = {"", "n", "no"}


def confirmed(text: str, *, err: bool = False) -> bool:
    """Whether the operator says yes. ``err``: the question goes to stderr, since stdout is for a program. Raises ``Problem`` where nobody
    answers, ``typer.Abort`` on Ctrl-C."""
    while True:
        answer = _answer(f"{text} [y/N]: ", err).lower()
        if answer in YES:
            return True
        if answer in NO:
            return False
        typer.echo("Please answer y or n.", err=err)


def typed(text: str, names: Collection[str], *, err: bool = False) -> bool:
    """Whether the operator types these names (a service's, most often), as a question about what cannot be brought back asks for: a `y`
    is given too easily. Raises as ``confirmed``."""
    wanted = " ".join(sorted(names))
    answer = _answer(f"{text} Type {wanted} to confirm: ", err)
    if set(answer.split()) == set(names):
        return True
    if answer:
        typer.echo(f"{answer!a} is not {wanted}.", err=err)
    return False


def _answer(prompt: str, err: bool) -> str:
    typer.echo(prompt, nl=False, err=err)
    if sys.stdin is not None and sys.stdin.isatty():
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    try:
        line = sys.stdin.readline() if sys.stdin is not None else ""
    except KeyboardInterrupt:
        raise typer.Abort from None
    except (OSError, UnicodeDecodeError):
        line = ""
    if not line:
        typer.echo("", err=err)
        raise Problem("Nobody answers the question, and nothing was changed; --yes answers it beforehand.", STOPPED)
    answer = line.strip()
    if not sys.stdin.isatty():
        typer.echo(on_one_line(answer), err=err)  # a terminal has shown it already
    return answer
