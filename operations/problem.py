"""What a command cannot go on with."""

from __future__ import annotations


class Problem(Exception):  # noqa: N818 (a person reads "Problem", and it is none of the program's)
    """One or more sentences for the operator; the command ends with ``code`` and shows no traceback."""

    def __init__(self, text: str, code: int = 1) -> None:
        self.code = code
        super().__init__(text)
