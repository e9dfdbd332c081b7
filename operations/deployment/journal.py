"""The journal of a run: one line of JSON for each phase's start and end, on disk before the phase goes on.

``<project>/.mo/<stack>/runs/<id>.jsonl``. A run without its last line was interrupted where its lines end.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from operations.deployment import owner as owners
from operations.deployment.outcome import Because, Failure, Outcome
from operations.deployment.owner import Owner
from operations.problem import Problem
from operations.wording import on_one_line

VERSION = 1
MAX_BYTES = 8 << 20
"""A journal that is larger is not ours."""
KEPT = 100
"""Journals of finished runs that stay."""
CHANGING = {"up", "rollback"}
"""The phases in which the host changes."""
State = Literal["runs", "interrupted", "succeeded", "failed"]
_NAME = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{4}")


def folder_of(root: Path, stack: str) -> Path:
    """Where a stack's journals are."""
    return root / ".mo" / stack / "runs"


@dataclass(frozen=True)
class Run:
    """One run as its journal tells it.

    ``kind``: ``deployment`` or ``rollback``; ``before``, ``releases``: the release sets live before and meant (empty until planned);
    ``target``: the update that a rollback goes to; ``options``: how it was asked for; ``outcomes``: of the phases that ended; ``phase``:
    the one that began last without an end; ``began``: every phase that began; ``ended``: ``None`` where the last line is missing;
    ``lock``: its id on the host; ``held``: whether that lock is held now; ``damaged``: lines that could not be read.
    """

    id: str
    kind: str = "deployment"
    message: str = ""
    began_at: str = ""
    who: Owner = field(default_factory=lambda: owners.read(None))
    before: Mapping[str, str] = field(default_factory=dict)
    releases: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    target: int | None = None
    resumes: str | None = None
    lock: str | None = None
    held: bool = False
    outcomes: Sequence[Outcome] = ()
    began: Sequence[str] = ()
    phase: str | None = None
    ended: str | None = None
    ok: bool = False
    summary: str = ""
    damaged: int = 0

    @property
    def state(self) -> State:
        """Runs only while its process does, or while it has its lock on the host."""
        if self.ended is not None:
            return "succeeded" if self.ok else "failed"
        return "runs" if self.held or owners.is_here(self.who) else "interrupted"

    @property
    def changed(self) -> bool:
        """Whether it had come to where the host changes."""
        return bool({*self.began, *(outcome.name for outcome in self.outcomes)} & CHANGING)

    @property
    def settles(self) -> bool:
        """Whether it came to its end after an update, whatever came of that: one that was refused leaves everything as it was."""
        return self.ended is not None and any(o.name in CHANGING and (o.ok or o.details) for o in self.outcomes)

    @property
    def where(self) -> str:
        """The phase in which, or after which, it was interrupted."""
        if self.phase is not None:
            return f"in the phase {self.phase}"
        return f"after the phase {self.outcomes[-1].name}" if self.outcomes else "at its beginning"

    def overtaken(self, live: Mapping[str, str]) -> list[str]:
        """The services that another run has deployed, or taken away, since: what is live is neither what was before this one nor what it
        meant. None of a run that had planned nothing yet."""
        if not self.releases:
            return []
        known = {*live, *self.before}
        return sorted(key for key in known if live.get(key) not in (self.before.get(key), self.releases.get(key)))

    def plain(self) -> dict[str, Any]:
        """As JSON for ``status`` and ``history``."""
        return {
            "run": self.id,
            "kind": self.kind,
            "state": self.state,
            "message": self.message,
            "began": self.began_at,
            "ended": self.ended,
            "who": str(self.who),
            "phase": self.phase,
            "changed": self.changed,
            "summary": self.summary,
            "phases": [{"name": o.name, "ok": o.ok, "summary": o.summary} for o in self.outcomes],
        }


class Journal:
    """A run that is being written. Every line is on disk when its method returns. Raises ``Problem`` where it cannot be."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        moment = now()
        self.id = f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03}Z-{secrets.token_hex(2)}"
        self.path = folder / f"{self.id}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)  # the name too must outlive a power cut
            finally:
                os.close(handle)
        except OSError as error:
            raise Problem(f"The journal {self.path} cannot be written: {error.strerror}.") from None

    def begin(self, kind: str, message: str, who: Owner, options: Mapping[str, Any], resumes: str | None = None) -> None:
        """The first line."""
        self._write("begin", version=VERSION, kind=kind, message=message, who=who.plain(), options=dict(options), resumes=resumes)

    def locked(self, name: str) -> None:
        """The run's lock on the host."""
        self._write("lock", id=name)

    def planned(self, before: Mapping[str, str], releases: Mapping[str, str], message: str, target: int | None = None) -> None:
        """What the run is to make live, and over what; ``target``: the update that a rollback goes to."""
        self._write("plan", before=dict(before), releases=dict(releases), message=message, target=target)

    def start(self, phase: str) -> None:
        """A phase begins."""
        self._write("start", phase=phase)

    def end(self, outcome: Outcome) -> None:
        """The phase has ended so."""
        told = {"ok": outcome.ok, "summary": outcome.summary, "details": outcome.details, "rollback": outcome.rollback}
        if outcome.reverts or outcome.failures:
            told |= {"reverts": list(outcome.reverts), "failures": [asdict(failure) for failure in outcome.failures]}
        self._write("end", phase=outcome.name, **told)

    def done(self, ok: bool, summary: str) -> None:
        """The last line: the run ended by itself."""
        self._write("done", ok=ok, summary=summary)

    def close(self) -> None:
        """Lets go of the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def discard(self) -> None:
        """Takes the journal of a run away that had nothing to do."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, event: str, **what: Any) -> None:
        line = json.dumps({"event": event, "at": f"{self._now():%Y-%m-%dT%H:%M:%SZ}", **what}, separators=(",", ":")) + "\n"
        try:
            data = line.encode()
            if os.write(self._file, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError as error:
            raise Problem(f"The journal {self.path} cannot be written: {error.strerror}.") from None


def read(path: Path) -> Run:
    """The run in a journal. Whatever is cut, damaged or of the wrong type is passed over and counted; nothing is raised."""
    name = path.name.removesuffix(".jsonl")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        return Run(name, damaged=1)
    if len(data) > MAX_BYTES:
        return Run(name, damaged=1)
    return parsed(name, data)


def is_name(text: str) -> bool:
    """Whether it is the id of a run."""
    return _NAME.fullmatch(text) is not None


def parsed(name: str, data: bytes) -> Run:
    """The run in the text of a journal, as ``read``."""
    found: dict[str, Any] = {"outcomes": [], "began": [], "damaged": 0}
    for line in data.split(b"\n"):
        if line.strip():
            try:
                _take(found, json.loads(line))
            except (ValueError, TypeError, KeyError, RecursionError):
                found["damaged"] += 1
    return Run(name, **found)


def _take(found: dict[str, Any], line: Any) -> None:
    event, at = line["event"], _text(line["at"])
    if event == "begin":
        if line["version"] != VERSION:
            raise ValueError
        kind, resumes, options = _text(line["kind"]), line.get("resumes"), line["options"]
        if not isinstance(options, dict):
            raise TypeError
        found |= {"kind": kind, "message": _text(line["message"]), "began_at": at, "who": owners.read(line["who"])}
        found |= {"options": options, "resumes": _text(resumes) if resumes is not None else None}
    elif event == "lock":
        found["lock"] = _text(line["id"])
    elif event == "plan":
        target = line.get("target")
        found |= {"before": _set(line["before"]), "releases": _set(line["releases"]), "message": _text(line["message"])}
        found["target"] = target if isinstance(target, int) and not isinstance(target, bool) else None
    elif event == "start":
        found["phase"] = _text(line["phase"])
        found["began"] = [*found["began"], found["phase"]]
    elif event == "end":
        details, why = line["details"], line["rollback"]
        if not isinstance(details, dict):
            raise TypeError
        ended = Outcome(
            _text(line["phase"]),
            line["ok"] is True,
            _text(line["summary"]),
            details,
            None if why is None else _text(why),
            tuple(_text(key) for key in line.get("reverts", ())),
            tuple(_failure(failure) for failure in line.get("failures", ())),
        )
        found["outcomes"] = [*found["outcomes"], ended]
        found["phase"] = None
    elif event == "done":
        found |= {"ended": at, "ok": line["ok"] is True, "summary": _text(line["summary"])}


def _failure(line: Any) -> Failure:
    because = line["because"]
    if because not in get_args(Because):
        raise ValueError
    step, root = (None if line[key] is None else _text(line[key]) for key in ("step", "root"))
    return Failure(_text(line["service"]), because, line["live"] is True, step, root, _text(line["error"]))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return on_one_line(value, None)


def _set(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise TypeError
    return {_text(key): _text(release) for key, release in value.items()}


def runs(root: Path, stack: str) -> list[Run]:
    """All runs of a stack that this machine knows, newest first."""
    return [read(path) for path in _paths(root, stack)]


def _paths(root: Path, stack: str) -> list[Path]:
    found = folder_of(root, stack).glob("*.jsonl")
    return sorted((path for path in found if _NAME.fullmatch(path.stem) and path.is_file()), reverse=True)


def unfinished(found: Sequence[Run]) -> Run | None:
    """The run that was interrupted, and that nothing has settled since: no later run with an update came to its end.

    One that was interrupted before anything changed counts only while no later run has begun.
    """
    for position, run in enumerate(found):
        if run.state == "interrupted" and (run.changed or position == 0):
            return run
        if run.settles:
            return None
    return None


def running(found: Sequence[Run]) -> Run | None:
    """The run that is being carried out, by a process of this machine or by whoever has the lock."""
    return next((run for run in found if run.state == "runs"), None)


def prune(root: Path, stack: str, keep: int = KEPT) -> None:
    """Takes old journals away."""
    for path in _paths(root, stack)[keep:]:
        path.unlink(missing_ok=True)
