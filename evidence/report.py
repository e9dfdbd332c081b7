"""A report file: opened once, hashed while it is read, with the note on its origin that stands beside it."""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from evidence.model import ReportError

MAX_BYTES = 2 << 30
"""A larger report is refused rather than read for minutes."""

NOTE_SUFFIX = ".provenance.json"
_NOTE_BYTES = 64 << 10


class NotedAbout(BaseModel):
    """The stack that was looked at, and its host (``HostSettings.account``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stack: str = Field(min_length=1, max_length=100)
    host: str = Field(min_length=1, max_length=500)


class Note(BaseModel):
    """``<report>.provenance.json``, written right after the tool ran: what most formats do not say of themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    version: Literal[1] = 1
    tool: str = Field(max_length=100)
    tool_version: str = Field(max_length=100)
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    dirty: bool = False
    time: datetime
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    exit_code: int | None = Field(default=None, ge=-255, le=255)
    """How the tool ended; below 0 by a signal. Without it a report is no evidence."""
    count: int | None = Field(default=None, ge=0)
    """How many things the tool looked at, where its report does not say."""
    measures: dict[str, float] = {}
    """Further figures that the report does not hold (PHPStan's ``level``)."""
    shard: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}/[0-9]{1,4}$")] | None = None
    """``2/3`` of a run of the second of three parts (``--shard``), where the report does not say so."""
    same_run: tuple[str, ...] = Field(default=(), max_length=10)
    """Names of the other reports that the same run of the tool wrote beside it: one of them may show why it ended as it did."""
    about: NotedAbout | None = None
    """Of a report about a running site or its host."""


def load_note(report: Path) -> Note | None:
    """The note beside ``report``; ``None`` where there is none. Raises ``ReportError`` where it is broken."""
    path = report.with_name(report.name + NOTE_SUFFIX)
    try:
        with path.open("rb") as file:
            text = file.read(_NOTE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReportError("unreadable", f"its note {path.name} cannot be read: {error.strerror}") from None
    if len(text) > _NOTE_BYTES:
        raise ReportError("unreadable", f"its note {path.name} is larger than {_NOTE_BYTES} bytes")
    try:
        note = Note.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ReportError("unreadable", f"its note {path.name} is broken at {where}: {first['msg']}") from None
    if note.time.tzinfo is None:
        raise ReportError("unreadable", f"its note {path.name} gives a time without a time zone")
    if any(not math.isfinite(value) for value in note.measures.values()):
        raise ReportError("unreadable", f"its note {path.name} holds a figure that is not a number")
    return note


class _Hashing(io.RawIOBase):
    """A file that hashes what is read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.hash = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self.hash.update(data)
        self.size += len(data)
        if self.size > MAX_BYTES:
            raise ReportError("too-large", f"is larger than {MAX_BYTES >> 20} MiB")
        return len(data)


_UTF8_BOM = b"\xef\xbb\xbf"
_WIDE = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class OpenReport:
    """A report being read: ``stream`` to read from, behind a byte order mark; ``digest()`` of the whole file once its reader is done."""

    def __init__(self, file: BinaryIO) -> None:
        self._raw = _Hashing(file)
        buffered = io.BufferedReader(self._raw, 1 << 16)
        self._start = buffered.peek(4)[:4]
        if self._start.startswith(_UTF8_BOM):
            buffered.read(len(_UTF8_BOM))
        self.stream = cast("BinaryIO", buffered)

    def refuse_wide(self) -> None:
        """Raises ``ReportError`` for UTF-16 and UTF-32, which ``>`` of Windows PowerShell writes; no tool writes its report so."""
        name = next((name for mark, name in _WIDE.items() if self._start.startswith(mark)), None)
        if name is not None:
            raise ReportError(
                "unreadable",
                f"is {name}, as `>` of Windows PowerShell writes it; the tool writes UTF-8: let it write the file itself (its option for "
                "an output file), or redirect with `cmd /c`",
            )

    def digest(self) -> str:
        """SHA-256 of the whole file; reads what the reader left."""
        while self.stream.read(1 << 20):
            pass
        return self._raw.hash.hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[OpenReport]:
    """Opens a report. Raises ``ReportError`` where it is missing, empty, too large or no regular file."""
    try:
        if not path.is_file():
            raise ReportError("missing", "is not there")
        size = path.stat().st_size
        if size == 0:
            raise ReportError("empty", "is empty: its tool wrote nothing")
        if size > MAX_BYTES:
            raise ReportError("too-large", f"is larger than {MAX_BYTES >> 20} MiB")
        with path.open("rb") as file:
            yield OpenReport(file)
    except OSError as error:
        raise ReportError("unreadable", f"cannot be read: {error.strerror or error}") from None


_ZONE = re.compile(r"([+-]\d\d)(\d\d)$")


def moment(text: object) -> datetime | None:
    """The UTC time that an ISO 8601 text or a number of seconds or milliseconds since 1970 stands for; ``None`` where it is none. A text
    without a zone is taken as UTC."""
    try:
        if isinstance(text, bool) or text is None:
            return None
        if isinstance(text, int | float):
            seconds = float(text) / 1000 if float(text) > 1e11 else float(text)
            return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
        value = str(text).strip()
        if value.isdigit():
            return moment(int(value))
        time = datetime.fromisoformat(_ZONE.sub(r"\1:\2", value))
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
