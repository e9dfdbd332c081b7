"""The refusals of this package: each is one sentence for the user, and an exit code where the CLI has one of its own."""

from __future__ import annotations


class StateError(Exception):
    """What is wrong with a backend, a stack or its state, in words for the user; ``exit_code`` as the CLI's."""

    exit_code = 1


class StackNotFoundError(StateError):
    """No stack of that name in the backend."""

    exit_code = 6

    def __init__(self, name: str) -> None:
        super().__init__(f"no stack named '{name}' found")


class NotSupportedError(StateError):
    """Something that this engine leaves to the Pulumi CLI."""

    exit_code = 1

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is not supported by the embedded engine: the Pulumi CLI does it (https://www.pulumi.com/docs/install/)"
        )
