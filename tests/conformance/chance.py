"""The recorded steps whose outcome is chance in the real engine, each with what the recordings show of it.

In these alone, resources that a run reached before it stopped in one run and not in the other are not compared, where nothing failed for
them and what was done to them is what the recorded preview announced; nor is which of several mandatory violations came first.
"""

from __future__ import annotations

from typing import Final

_SAME_PROGRAM = "policy/mandatory and policy/environment-variable run one program on one state; only the second reached `word`"
_FIRST_COMMAND = "the pack blames the first command it is given: `loud` where `quiet` was made first, `quiet` where `loud` was"

CHANCE: Final[dict[str, str]] = {
    "failures/update-fails": "the preview updated `later`, the run stopped before it came, though what it waits for, `good`, had ended",
    "guards/replace-refused": "one program on one state: the preview counted seven resources as they were, the run had reached five",
    "policy/mandatory": _SAME_PROGRAM,
    "policy/environment-variable": _SAME_PROGRAM,
    "policy/stack-mandatory": _FIRST_COMMAND,
    "policy/stack-mandatory-with-preview": _FIRST_COMMAND,
    "providers/defaults-disabled": "the preview made both explicit providers before the error, the run neither",
    "policy/unknown": "the preview has `told` before `fed`, the run stopped at `fed`: both break a rule, and both wait for `pet`",
    "targets/target-needs-new": "`first` ended before `newcomer`, yet what waits for it, `second`, came after `needy`",
}

RACES: Final[dict[str, str]] = {
    "postgresql/superuser-rename": "the role is renamed while the replacement of the database revokes the role's grants: which comes first",
    "failures/many-serial": "one operation at a time, and `part1` came first, though the program declares `part0` before it",
}
"""Recorded steps whose outcome is one of several, none of which can be told beforehand: a case in which one differs is replayed again."""
