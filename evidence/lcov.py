"""Line coverage from an LCOV tracefile (geninfo(1)): the union by file and line over all of its records."""

from __future__ import annotations

from typing import BinaryIO

from evidence import coverage
from evidence.lines import Lines, TooManyLinesError, normal
from evidence.model import Reading, ReportError

_LINE = 1 << 16
"""Bytes of the longest line that is still believed."""


class _Records:
    """Reads the records one after the other; each file's lines are joined with what earlier records said of them."""

    def __init__(self) -> None:
        self.lines = Lines()
        self.open = self.begun = False
        self._path = ""
        self._da: dict[int, bool] = {}
        self._declared: dict[str, int] = {}
        self._branches = False

    def line(self, text: str, number: int) -> None:
        key, _, rest = text.partition(":")
        if not text or text.startswith("#"):
            return  # a comment, since LCOV 2
        if key == "SF":
            if self.open:
                raise ReportError("unreadable", f"starts a file inside another at line {number}")
            self.open, self._path, self._da, self._declared, self._branches = True, normal(rest), {}, {}, False
        elif key == "TN" and not self.open:
            self.begun = True
        elif not self.open:
            raise ReportError("wrong-tool" if number == 1 else "unreadable", f"is not LCOV at line {number}")
        elif key == "DA":
            self._hit(rest, number)
        elif key in ("LF", "LH"):
            if not (rest.isascii() and rest.isdigit() and len(rest) < 16):
                raise ReportError("unreadable", f"gives no count at line {number}")
            self._declared[key] = int(rest)
        elif key == "BRDA":
            self._branches = True
        elif text == "end_of_record":
            self._close(number)

    def _hit(self, rest: str, number: int) -> None:
        place, _, hits = rest.partition(",")
        hits = hits.partition(",")[0]
        if not (place.isascii() and place.isdigit() and len(place) < 10 and hits.isascii() and hits.lstrip("-").isdigit()):
            raise ReportError("unreadable", f"gives no count at line {number}")
        line = int(place)
        if line == 0:
            return  # coverage.py's line of an empty file
        self._da[line] = self._da.get(line, False) or int(hits[:20]) > 0

    def _close(self, number: int) -> None:
        lines, covered = len(self._da), sum(self._da.values())
        more = lines - self._declared.get("LF", lines)
        # coverage.py before 7.1 counts the line of an empty file as covered, and not as a line.
        if more < 0 or (lines and covered - self._declared.get("LH", covered) not in (0, more)):
            raise ReportError("unreadable", f"reports other sums than its lines give, at line {number}")
        # coverage.py before 7.5 lists docstrings among the lines that ran, and does not count them among all lines.
        for line in sorted(line for line, hit in self._da.items() if hit)[:more]:
            del self._da[line]
        if self._branches and not lines:
            raise ReportError("nothing-checked", f"holds branches and no lines of {self._path[-100:]}; the gate is about lines")
        for line, hit in self._da.items():
            self.lines.add(self._path, line, hit)
        self.open = self.begun = False


def read(name: str, stream: BinaryIO) -> Reading:
    """An LCOV tracefile; the last record must be whole."""
    records = _Records()
    number = 0
    whole_line = True
    while raw := stream.readline(_LINE + 1):
        number += 1
        if len(raw) > _LINE:
            raise ReportError("unreadable", f"has a line of more than {_LINE} bytes")
        try:
            records.line(raw.decode("utf-8").rstrip("\r\n"), number)
        except UnicodeDecodeError:
            raise ReportError("unreadable", f"is not text at line {number}") from None
        except TooManyLinesError as error:
            raise ReportError("too-large", str(error)) from None
        whole_line = raw.endswith(b"\n")
    if records.open or records.begun or not whole_line:
        raise ReportError("unreadable", "is cut short: its last record has no end")
    return coverage.reading("lcov", records.lines)
