"""``python -m operations.reference``: docs/commands.md from the commands themselves. A test compares the file with what this prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from operations.exit_codes import MEANING

HEAD = """# Commands

Made from the commands by `make docs`; do not edit. `bin/mo COMMAND -h` says the same on the terminal.

Without `--stack` a command means the stack in `PULUMI_STACK`, else `sandbox`. With `--json` a command prints one JSON document on
stdout and nothing else there. Colours appear on a terminal only.

**Completion** of commands, options, stacks and services:

    eval "$(bin/mo completion bash)"     # for good: bin/mo completion bash >> ~/.bashrc
    eval "$(bin/mo completion zsh)"      # for good: bin/mo completion zsh >> ~/.zshrc
"""


def text() -> str:
    """The whole of docs/commands.md."""
    from operations.app import app, register

    register()
    group = typer.main.get_command(app)
    context = group.context_class(group, info_name="bin/mo", resilient_parsing=True)
    codes = [f"| {code} | {meaning} |" for code, meaning in MEANING.items()]
    return "\n".join([HEAD, "## Exit codes", "", "| code | meaning |", "| --- | --- |", *codes, "", *_of_group(group, context)])


def _of_group(group: Any, context: Any) -> Iterator[str]:
    for name, command in group.commands.items():
        inner = command.context_class(command, info_name=name, parent=context, resilient_parsing=True)
        if hasattr(command, "commands"):
            yield from _of_group(command, inner)
        else:
            yield from _of_command(command, inner)


def _of_command(command: Any, context: Any) -> Iterator[str]:
    path = context.command_path
    yield f"## `{path}`\n"
    yield f"{command.help}\n"
    rows = [_row(parameter, context) for parameter in command.params]
    if rows:
        yield "| | | |\n| --- | --- | --- |"
        yield "\n".join(rows) + "\n"
    if command.examples:
        yield "\n".join(f"    {example}" for example in command.examples) + "\n"


def _row(parameter: Any, context: Any) -> str:
    if parameter.param_type_name == "argument":
        name = f"`{parameter.name.upper()}`" + ("" if parameter.required else " (optional)")
    else:
        name = ", ".join(f"`{one}`" for one in sorted(parameter.opts, key=len, reverse=True))
    kind = parameter.display_type_rich(ctx=context) or ""
    return f"| {name} | {f'`{kind}`' if kind else ''} | {_help(parameter, context)} |".replace("  ", " ")


def _help(parameter: Any, context: Any) -> str:
    told = [parameter.help or ""]
    if getattr(parameter, "envvar", None):
        told.append(f"Environment: `{parameter.envvar}`.")
    shown = parameter.show_default if isinstance(parameter.show_default, str) else parameter.get_default(context, call=False)
    if shown not in (None, False, "", ()) and parameter.show_default:
        told.append(f"Default: `{getattr(shown, 'value', shown)}`.")
    return " ".join(filter(None, told)).replace("|", "\\|")


if __name__ == "__main__":
    print(text(), end="")
