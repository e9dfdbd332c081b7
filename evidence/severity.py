"""What counts as severe, by one function for every format. Unknown counts as severe."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set

SEVERE_SCORE = 7.0
"""CVSS from which on a finding is HIGH (CVSS 3.1 and 4.0, qualitative severity rating scale)."""

_WORDS = {
    "critical": True, "high": True, "important": True, "error": True, "moderate": False, "medium": False, "low": False, "minor": False,
    "negligible": False, "info": False, "informational": False, "none": False, "note": False, "warning": False,
}  # fmt: skip


UNKNOWN = "unknown"
"""What tools call a severity that they do not know; a level that they give all the same says nothing then."""


def is_severe(words: Sequence[object] | Set[object] = (), scores: Iterable[object] = (), level: object = None) -> bool:
    """Whether a finding is of HIGH or CRITICAL severity, or of none that is known.

    ``words`` are what the tool calls it; the worst counts, and a word goes before any score, for the tool knows what its vendor says.
    ``scores`` (CVSS 0 to 10; 0 stands for none) count where no word is known, and ``level`` (SARIF's) where there is no score either.
    """
    known = [_WORDS[key] for key in map(_key, words) if key in _WORDS]
    if known:
        return any(known)
    rated = [score for score in map(_score, scores) if score is not None]
    if rated:
        return max(rated) >= SEVERE_SCORE
    if any(_key(word) == UNKNOWN for word in words):
        return True
    return _WORDS.get(_key(level), True)


def is_word(word: object) -> bool:
    """Whether it is a severity, or the word for one that is not known."""
    return _key(word) in _WORDS or _key(word) == UNKNOWN


def _key(word: object) -> str:
    """A word as the table has it; what is no text is no word (``None`` is not ``none``)."""
    return word.strip().lower() if isinstance(word, str) else ""


def _score(value: object) -> float | None:
    """A CVSS score; one that is there and cannot be read counts as the worst, 0 as none."""
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        score = float(str(value))
    except ValueError:
        return 10.0
    if math.isnan(score) or not 0 <= score <= 10:
        return 10.0
    return score or None
