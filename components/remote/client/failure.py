"""The one exception of the client: a sentence for the person who runs the deploy."""

from __future__ import annotations


class Failure(Exception):  # noqa: N818 - it is raised with a sentence, not an error code
    """What failed, on what, what was expected and the way out, in one sentence without secrets. Exit code 1."""


def printable(text: str) -> str:
    """One line without control characters: what a host or a site said must not drive a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
