"""``bin/mo completion``: the script that makes a shell complete commands, options, stacks and services."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """For which shell."""

    bash = "bash"
    zsh = "zsh"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Prints the script that makes a shell complete commands, options, stacks and services.

    Examples: `eval "$(bin/mo completion bash)"`; `bin/mo completion zsh >> ~/.zshrc`.
    """
    from operations.completion import SCRIPTS

    typer.echo(SCRIPTS[shell.value], nl=False)
