"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Stack = Annotated[str, typer.Option("--stack", "-s", help="The stack.", envvar="PULUMI_STACK", show_default=True)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", help="Only this service; may be given several times. Others stay as they are.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
DEFAULT_STACK = "sandbox"
