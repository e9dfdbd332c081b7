"""How ``-h`` looks: a command's examples on lines of their own, so that they can be copied; the exit codes below the list of commands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import typer
from typer._click.exceptions import UsageError
from typer.core import TyperCommand, TyperGroup

from operations.exit_codes import MEANING

_EXAMPLES = re.compile(r"Examples?: (`[^`]+`(?:; `[^`]+`)*)\.[ \n]?")


def split(doc: str) -> tuple[str, list[str]]:
    """A command's docstring without its sentence ``Examples: `…`; `…`.``, and those examples."""
    paragraphs: list[str] = []
    examples: list[str] = []
    for paragraph in doc.split("\n\n"):
        text = " ".join(paragraph.split())
        for found in _EXAMPLES.finditer(text):
            examples += re.findall(r"`([^`]+)`", found[1])
        if left := _EXAMPLES.sub("", text).strip():
            paragraphs.append(left)
    return "\n\n".join(paragraphs), examples


class Command(TyperCommand):
    """A command with ``examples`` below its options."""

    examples: Sequence[str] = ()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for option in self.params:
            # Typer shows `--yes <bool>` and `--only <list[str]>`, which nobody may type so.
            if getattr(option, "is_bool_flag", False):
                _plain(option)
            elif option.param_type_name == "option" and option.multiple:
                option.metavar = "<str> …"

    def get_help_option(self, ctx: Any) -> Any:
        """``-h``, without a type."""
        return _plain(super().get_help_option(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the arguments. To a command that takes its services with ``--only``, names without it are told so."""
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            if "unexpected extra argument" in error.message and any(option.name == "only" for option in self.params):
                error.message += ". Name services with --only, each by its own."
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints the help."""
        super().format_help(ctx, formatter)
        _tell("Example" if len(self.examples) == 1 else "Examples", self.examples)


class Group(TyperGroup):
    """``bin/mo`` itself, with the exit codes below its commands."""

    def get_help_option(self, ctx: Any) -> Any:
        """``-h``, without a type."""
        return _plain(super().get_help_option(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints the help."""
        super().format_help(ctx, formatter)
        _tell("Exit codes", [f"{code:>3}  {meaning.replace('`', '')}" for code, meaning in MEANING.items()])
        _tell("More", ["docs/runbook.md (the Saturday), docs/commands.md (every command)", "bin/mo COMMAND -h"])


def _plain(option: Any) -> Any:
    if option is not None:
        option.metavar = ""
    return option


def _tell(heading: str, lines: Sequence[str]) -> None:
    if lines:
        typer.echo(f" {heading}:")
        for line in lines:
            typer.echo(f"   {line}")
        typer.echo()


class Within(TyperGroup):
    """A group of commands in ``bin/mo``."""

    def get_help_option(self, ctx: Any) -> Any:
        """``-h``, without a type."""
        return _plain(super().get_help_option(ctx))


def arrange(app: typer.Typer) -> None:
    """Takes the examples out of the docstrings of all commands of ``app`` and of the groups in it."""
    for info in app.registered_commands:
        info.help, examples = split(inspect.getdoc(info.callback) or "")
        info.cls = type("Command", (Command,), {"examples": tuple(examples)})
    for group in app.registered_groups:
        group.cls = Within
        if group.typer_instance is not None:
            arrange(group.typer_instance)
