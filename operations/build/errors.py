"""What can go wrong in a build. Each error's text is for a person: what, for which service, the way out."""

from __future__ import annotations

from collections.abc import Sequence


class BuildError(Exception):
    """A service's artefact cannot be made."""


class SourceMissingError(BuildError):
    """The service's source is not in the checkout."""


class RefusedError(BuildError):
    """The source holds what no artefact may hold. ``names`` are paths relative to the source, each with its reason."""

    def __init__(self, service: str, names: Sequence[tuple[str, str]]) -> None:
        self.names = tuple(names)
        shown = ", ".join(f"{path} ({reason})" for path, reason in names[:10])
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        super().__init__(
            f"{service}: its artefact would hold {shown}{more}; remove this from the source, "
            "or list it under the service's `excludes` in catalog/services.yaml"
        )


class ToolMissingError(BuildError):
    """A program that the service's build needs is not on this machine."""

    def __init__(self, service: str, tool: str, advice: str) -> None:
        self.tool = tool
        super().__init__(f"{service}: its build needs `{tool}`, which is not on this machine; {advice}")


class StepFailedError(BuildError):
    """A step ended with an error or went over its time. ``log`` is its whole output, ``tail`` the last lines of it."""

    def __init__(self, service: str, step: str, what: str, log: str, tail: Sequence[str]) -> None:
        self.log = log
        self.tail = tuple(tail)
        lines = "".join(f"\n    {line}" for line in tail)
        super().__init__(
            f"{service}: {step} {what}; whole log: {log}; its last lines:{lines}"
            if tail
            else f"{service}: {step} {what}; log: {log}"
        )
