"""The gates as this pack knows them, each from its file in ``gates/``. It trusts no threshold that a program names: configuration may
tighten these, never loosen them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "gates"


@dataclass(frozen=True)
class Threshold:
    """One gate: ``at_most`` or at least ``limit``; ``says`` and ``words``: figure and limit in words (``{}`` the number, ``{s}``
    and ``{ies}`` the plural's ending); ``counts``: its reports must have looked at more than nothing."""

    group: str
    at_most: bool
    limit: float
    says: str
    words: str
    remedy: str
    waivable: bool = True
    counts: bool = True

    def bound(self, limit: float) -> float:
        """The tighter of ``limit`` and this gate's own."""
        return min(limit, self.limit) if self.at_most else max(limit, self.limit)

    def passes(self, figure: float, limit: float) -> bool:
        """Whether ``figure`` is within ``limit`` (this one, or a tighter one from the configuration)."""
        return figure <= self.bound(limit) if self.at_most else figure >= self.bound(limit)

    def required(self, limit: float) -> str:
        """The limit in words: ``at least 80 %``."""
        return f"{'at most' if self.at_most else 'at least'} {_worded(self.words, f'{self.bound(limit):g}')}"

    def sentence(self, figure: float, limit: float) -> str:
        """Figure and limit in words: ``coverage is 75 %, required: at least 80 %``."""
        # A figure that is rounded up to its limit would contradict itself.
        rounded = f"{figure:g}"
        number = rounded if self.passes(float(rounded), limit) == self.passes(figure, limit) else repr(figure)
        return f"{_worded(self.says, number)}, required: {self.required(limit)}"

    def schema(self, name: str) -> Mapping[str, Any]:
        """JSON schema of its setting."""
        bounds = {"minimum": 0, "maximum": self.limit} if self.at_most else {"minimum": self.limit, "maximum": 100}
        return {
            "type": "number",
            "default": self.limit,
            **bounds,
            "description": f"What {name} requires: {self.required(self.limit)}.",
        }


def _worded(words: str, number: str) -> str:
    """``words`` with the number for ``{}``, and the endings ``{s}`` and ``{ies}`` that fit it: ``1 error``, ``2 errors``."""
    one = number == "1"
    return words.format(number, s="" if one else "s", ies="y" if one else "ies")


def _of_file(path: Path) -> tuple[float, str, Threshold]:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    most = "at_most" in data
    threshold = Threshold(
        data["group"], most, float(data["at_most" if most else "at_least"]), data["says"], data.get("limit", "{}"), data["remedy"],
        data.get("waivable", True), data.get("counts", True),
    )  # fmt: skip
    return float(data.get("order", 1000)), path.stem, threshold


_IN_ORDER = sorted(map(_of_file, FOLDER.glob("*.toml")), key=lambda entry: entry[:2])
THRESHOLDS: Mapping[str, Threshold] = {name: threshold for _, name, threshold in _IN_ORDER}
