"""``bin/mo unlock``: takes the lock of a deployment away that is known to be gone."""

from __future__ import annotations

import typer

from operations.options import DEFAULT_STACK, Stack, Yes


def unlock(stack: Stack = DEFAULT_STACK, yes: Yes = False) -> None:
    """Takes the stack's lock on the host from its holder, after a question that names it. A deployment that still runs asks for its lock
    before each phase that changes something and before its report, and stops there. Needed only where a lock must not wait for its expiry,
    three minutes after the holder's last sign of life.

    Example: `bin/mo unlock --stack production`.
    """
    from operations import project, question, remote
    from operations.deployment import lock

    project.stack_file(stack)
    remote.connect(project.ROOT, stack)
    ask = lock.asker(project.ROOT, stack)
    holder = lock.holder(ask)
    if holder is None:
        typer.echo(f"Nobody has the lock of {stack}.")
        return
    if not yes and not question.confirmed(f"Take the lock of {stack} from {holder}?"):
        typer.echo("Nothing was changed.")
        raise typer.Exit(3)
    if not lock.release(ask, holder):
        typer.echo("Another one has it meanwhile; nothing was changed.")
        raise typer.Exit(1)
    typer.echo(f"The lock of {holder} was taken away.")
