"""The one exception of the client: a sentence for the person who runs the deploy."""

from __future__ import annotations


class Failure(Exception):  # noqa: N818 - it is raised with a sentence, not an error code
    """What failed, on what, what was expected and the way out, in one sentence without secrets. Exit code 1."""
