"""The gates of the specification, each from its file in ``policy/gates`` (``policy/gates/README.md`` says what the keys mean)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

Comparison = Literal["<=", ">="]
Group = Literal["security", "quality", "testing", "performance", "compliance"]

FOLDER = Path(__file__).resolve().parent.parent / "policy" / "gates"


@dataclass(frozen=True, slots=True)
class Run:
    """The command that makes a gate's report, where no code of this project does. ``report``: the file that it writes, in a folder of its
    own that stands for ``{out}`` in the command; ``version``: the command that prints the tool's version; ``count``: whether the number of
    files of the sources is what was looked at, for a report that does not say it."""

    command: tuple[str, ...]
    report: str
    tool: str
    version: tuple[str, ...]
    count: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate. ``measure`` names the figure in the report; ``files`` are patterns relative to the reports folder; ``says`` and ``limit``
    are the figure and the threshold in words (``{}`` the number, ``{s}`` and ``{ies}`` the plural's ending); ``counted`` what a report
    looks at; ``counts`` says whether it must prove that it looked at more than nothing, ``of_host`` whether it must be of the host that is
    deployed to, ``union`` whether all reports are one figure; ``refused`` are patterns of files that look like evidence and are none:
    their reader says why."""

    name: str
    group: Group
    measure: str
    comparison: Comparison
    threshold: float
    says: str
    counted: str
    files: tuple[str, ...]
    made_by: str
    make: str
    formats: Mapping[str, str]
    limit: str = "{}"
    remedy: str = ""
    waivable: bool = True
    counts: bool = True
    refused: tuple[str, ...] = ()
    of_host: bool = False
    union: bool = False
    run: Run | None = None

    def passes(self, figure: float) -> bool:
        """Whether ``figure`` is within the threshold."""
        return figure <= self.threshold if self.comparison == "<=" else figure >= self.threshold

    def sentence(self, figure: float) -> str:
        """Figure and threshold in words: ``coverage is 75 %, required: at least 80 %``."""
        # A figure that is rounded up to its threshold would contradict itself.
        number = f"{figure:g}" if self.passes(float(f"{figure:g}")) == self.passes(figure) else repr(figure)
        most = "at most" if self.comparison == "<=" else "at least"
        return f"{_worded(self.says, number)}, required: {most} {_worded(self.limit, f'{self.threshold:g}')}"


def _worded(words: str, number: str) -> str:
    """``words`` with the number for ``{}``, and the endings ``{s}`` and ``{ies}`` that fit it: ``1 error``, ``2 errors``."""
    one = number == "1"
    return words.format(number, s="" if one else "s", ies="y" if one else "ies")


_KNOWN = {
    "order", "group", "at_most", "at_least", "says", "limit", "remedy", "waivable", "counts", "of_host", "union", "measure", "counted",
    "files", "refused", "made_by", "make", "formats", "run",
}  # fmt: skip


class GateFileError(ValueError):
    """A gate's file that is broken; the message names it and the key."""


def load(folder: Path = FOLDER) -> Mapping[str, Gate]:
    """Every gate by name, in their order. Raises ``GateFileError``."""
    found = [_of_file(path) for path in folder.glob("*.toml")]
    return MappingProxyType({gate.name: gate for _, gate in sorted(found, key=lambda entry: (entry[0], entry[1].name))})


def _of_file(path: Path) -> tuple[float, Gate]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        if unknown := set(data) - _KNOWN:
            raise GateFileError(f"{path.name}: there is no key {min(unknown)!r}; policy/gates/README.md lists them")
        most = "at_most" in data
        gate = Gate(
            name=path.stem,
            group=data["group"],
            measure=data["measure"],
            comparison="<=" if most else ">=",
            threshold=float(data["at_most" if most else "at_least"]),
            says=data["says"],
            counted=data["counted"],
            files=tuple(data["files"]),
            made_by=data["made_by"],
            make=data["make"],
            formats=MappingProxyType(dict(data["formats"])),
            run=_run(data["run"]) if "run" in data else None,
            **{key: data[key] for key in ("limit", "remedy", "waivable", "counts", "of_host", "union") if key in data},
            refused=tuple(data.get("refused", ())),
        )
        gate.sentence(0)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, IndexError, OSError) as error:
        if isinstance(error, GateFileError):
            raise
        raise GateFileError(f"{path.name}: {f'the key {error} is missing' if isinstance(error, KeyError) else error}") from None
    return float(data.get("order", 1000)), gate


def _run(data: Mapping[str, Any]) -> Run:
    return Run(tuple(data["command"]), data["report"], data["tool"], tuple(data["version"]), data.get("count", False))


GATES: Mapping[str, Gate] = load()
"""Every gate by name, in the specification's order."""
