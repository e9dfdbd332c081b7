"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from operations import completion


def _starting(words: list[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def complete_stack(incomplete: str) -> list[str]:
    """For ``autocompletion=``."""
    return _starting(completion.stacks(), incomplete)


def complete_service(incomplete: str) -> list[str]:
    """For ``autocompletion=``."""
    return _starting(completion.services(), incomplete)


Stack = Annotated[
    str, typer.Option("--stack", "-s", help="The stack.", envvar="PULUMI_STACK", show_default=True, autocompletion=complete_stack)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        help="Only this service; may be given several times. Others stay as they are.",
        autocompletion=complete_service,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
ServiceName = Annotated[str, typer.Argument(help="The service.", autocompletion=complete_service)]
DEFAULT_STACK = "sandbox"
