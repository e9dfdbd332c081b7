"""Whether a report proves anything: the one rule for all formats.

A report counts only where all of this is known and right: what it is about (commit, stack, host, page), who made it and when, that its tool
ran to its end, what it looked at, and that nothing was left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from evidence import exit_codes
from evidence.gates import Gate
from evidence.model import NOWHERE, About, Figure, Provenance, Reading, ReportError
from evidence.report import Note
from evidence.wording import counted

_NO_VERSION = re.compile(r"^\s*(fallback.*|unknown|none|null|undefined|n/?a|-|v?0+(\.0+)*([-+].*)?)?\s*$", re.IGNORECASE)
_CLOCK = timedelta(minutes=5)
"""How far a report's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a report must be: of this commit, about this stack's host where its gate is about one, ``limit`` old at most."""

    commit: str
    about: About
    now: datetime
    limit: timedelta
    allow_uncommitted: bool


@dataclass(frozen=True, slots=True)
class Report:
    """A file that could be read: what its reader found, its note, and what both say together. ``failed``: how many failures the report
    shows, or another one of the same run; ``tools``: the names under which the tool that ran may be known."""

    reading: Reading
    note: Note | None
    origin: Provenance
    figure: Figure
    failed: int
    tools: tuple[str, ...]

    @property
    def shard(self) -> tuple[int, int] | None:
        """Which part of a run it is; ``None`` where it is all of it."""
        if self.note is not None and self.note.shard is not None:
            current, _, total = self.note.shard.partition("/")
            return int(current), int(total)
        return self.reading.shard


def provenance(reading: Reading, note: Note | None, digest: str) -> Provenance:
    """What report and note say together. Where both tell a time, the older one counts: a note does not make a report younger."""
    times = [time for time in (reading.time, note.time.astimezone(UTC) if note else None) if time is not None]
    return Provenance(
        tool=reading.tool or (note.tool if note else ""),
        version=reading.version or (note.tool_version if note else ""),
        commit=reading.commit or (note.commit if note else ""),
        time=min(times, default=None),
        digest=digest,
        uncommitted=reading.uncommitted or (note is not None and note.dirty),
        about=_about(reading, note),
    )


def _about(reading: Reading, note: Note | None) -> About:
    """What the report is about: by itself, else by its note. Raises ``ReportError`` where they disagree."""
    noted = About(note.about.stack, note.about.host) if note is not None and note.about is not None else NOWHERE
    if NOWHERE not in (reading.about, noted) and reading.about != noted:
        raise ReportError("other-host", f"says that it is about {reading.about.host}, and its note about {noted.host}")
    return noted if reading.about == NOWHERE else reading.about


def figure_of(gate: Gate, reading: Reading, note: Note | None) -> Figure:
    """The gate's figure: the report's, else the note's. Raises ``ReportError`` where neither tells it."""
    figure = reading.figures.get(gate.measure)
    if figure is None and note is not None and gate.measure in note.measures:
        figure = Figure(note.measures[gate.measure])
    if figure is None:
        raise ReportError("no-provenance", f"does not say its {gate.measure}, and neither does a note")
    if figure.count is None and note is not None and note.count is not None:
        figure = Figure(figure.value, note.count, figure.findings)
    return figure


def check(gate: Gate, report: Report, demand: Demand) -> None:
    """Raises ``ReportError`` for the first reason why a readable report proves nothing for what is demanded."""
    if report.note is not None and report.note.sha256 != report.origin.digest:
        raise ReportError("altered", "is not the file that its note was written for: their SHA-256 differ")
    _subject(gate, report, demand)
    _maker(report)
    _ended(report)
    _looked_at(gate, report)
    _commit(report, demand)
    _time(report, demand)


def _subject(gate: Gate, report: Report, demand: Demand) -> None:
    # Settings that are not complete name no host to compare with; none deploys by them.
    if gate.of_host and demand.about.host and report.origin.about.host != demand.about.host:
        raise ReportError("other-host", _elsewhere(gate, report.origin.about, demand.about))


def _elsewhere(gate: Gate, about: About, stack: About) -> str:
    """Which host a report is about, which one it should be about, and how to get a report about that one."""
    told = f"{about.host}{f' (stack {about.stack})' if about.stack else ''}" if about.host else "no host that it names"
    option = f" --stack {stack.stack}" if stack.stack else ""
    return f"is about {told}, not about {stack.host}; make the report about it: bin/mo gates{option} --run --only {gate.name}"


def _maker(report: Report) -> None:
    origin, note = report.origin, report.note
    if not origin.tool:
        raise ReportError("no-provenance", "does not say which tool wrote it, and neither does a note")
    if "fallback" in origin.tool.lower() or _NO_VERSION.match(origin.version):
        raise ReportError(
            "fallback" if origin.version else "no-provenance",
            f"comes from {origin.tool} {origin.version or 'of no known version'}: a wrapper's placeholder does not prove a run",
        )
    # Whoever wrote the note knows what ran, whatever the report says of itself.
    if note is not None and ("fallback" in note.tool.lower() or _NO_VERSION.match(note.tool_version)):
        raise ReportError(
            "fallback", f"comes from {note.tool} {note.tool_version} by its note: a wrapper's placeholder does not prove a run"
        )


def _ended(report: Report) -> None:
    reading, note = report.reading, report.note
    told = [code for code in (reading.exit_code, note.exit_code if note else None) if code is not None]
    if not told and not reading.is_answer:
        raise ReportError("no-provenance", "does not say how its tool ended, and neither does a note (exitCode)")
    tool = note.tool if note else reading.tool
    codes = exit_codes.found_by(*report.tools)
    for code in told:
        if (fault := exit_codes.fault(code, report.failed, codes)) is not None:
            raise ReportError("tool-failed", f"cannot be trusted: {tool} {fault}")


def _looked_at(gate: Gate, report: Report) -> None:
    reading, figure, note = report.reading, report.figure, report.note
    if reading.missed:
        raise ReportError("incomplete", f"did not check {'; '.join(reading.missed)[:300]}")
    if note is not None and note.count is not None and reading.held is not None and note.count > reading.held:
        units = counted(reading.held, gate.counted.removesuffix("s"))
        raise ReportError("incomplete", f"holds {units}, and its tool counted {note.count}: a part of it is missing")
    if gate.counts and figure.count is None:
        raise ReportError("no-provenance", f"does not say how many {gate.counted} were checked, and neither does a note")
    if gate.counts and figure.count == 0:
        raise ReportError("nothing-checked", f"checked 0 {gate.counted}")


def _commit(report: Report, demand: Demand) -> None:
    origin, note, commit = report.origin, report.note, demand.commit
    if not origin.commit:
        raise ReportError("no-provenance", "does not say for which commit it was made, and neither does a note")
    if note is not None and not _same(note.commit, origin.commit):
        raise ReportError("other-commit", f"was made for commit {origin.commit[:12]}, its note says {note.commit[:12]}")
    if not commit or not _same(origin.commit, commit):
        raise ReportError("other-commit", f"was made for commit {origin.commit[:12]}, not for {commit[:12] or 'one that is known'}")
    if origin.uncommitted and not demand.allow_uncommitted:
        raise ReportError("uncommitted", f"was made with changes that commit {origin.commit[:12]} does not hold")


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower() and len(one) >= 40


def _time(report: Report, demand: Demand) -> None:
    now, limit, origin = demand.now, demand.limit, report.origin
    if origin.time is None:
        raise ReportError("no-provenance", "does not say when it was made, and neither does a note")
    latest = max(origin.time, report.note.time if report.note is not None else origin.time)
    if latest > now + _CLOCK:
        raise ReportError("future", f"was made at {latest:%Y-%m-%d %H:%M} UTC, which is in the future: a clock is wrong")
    if now - origin.time > limit:
        age, oldest = (counted(int(span.total_seconds() // 3600), "hour") for span in (now - origin.time, limit))
        raise ReportError("stale", f"is {age} old; the limit is {oldest}")
