"""Waivers: a gate let through for one commit, with reason, author and expiry, in a file that goes through review."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from evidence.gates import GATES

MAX_DAYS = 14
"""A waiver that lasts longer is refused: it would be another threshold."""
_MAX_BYTES = 256 << 10


class WaiverError(ValueError):
    """A waivers file that is broken; the message names file, entry and key."""


class Waiver(BaseModel):
    """One entry. ``expires`` must be in UTC or have a zone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gate: str
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    reason: Annotated[str, StringConstraints(min_length=15, max_length=500, strip_whitespace=True)]
    author: Annotated[str, StringConstraints(min_length=3, max_length=100, strip_whitespace=True)]
    expires: datetime

    def holds(self, gate: str, commit: str, now: datetime) -> bool:
        """Whether it lets ``gate`` through for ``commit`` at ``now``."""
        return self.gate == gate and self.commit == commit and now < self.until <= now + timedelta(days=MAX_DAYS)

    @property
    def until(self) -> datetime:
        """The expiry in UTC."""
        return self.expires.astimezone(UTC) if self.expires.tzinfo else self.expires.replace(tzinfo=UTC)


def load(path: Path) -> list[Waiver]:
    """The waivers in ``path``; none where there is no such file. Raises ``WaiverError`` where it is broken, waives what must not be, or
    holds one that is not committed: nobody has reviewed that."""
    found = read(path)
    if not found:
        return []
    committed = _committed(path)
    for index, waiver in enumerate(found, 1):
        if waiver not in committed:
            named = f"the waiver of {waiver.gate} by {waiver.author} until {waiver.until:%Y-%m-%d %H:%M} UTC"
            raise WaiverError(
                f"{path.name}, entry {index}: {named} is in no commit of this checkout, so nobody has reviewed it; commit the file, or "
                "remove the entry"
            )
    return found


def read(path: Path) -> list[Waiver]:
    """The waivers in ``path`` as it lies there, committed or not. Raises ``WaiverError`` where it is broken or waives what must not be."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise WaiverError(f"{path.name} cannot be read: {error.strerror}") from None
    return _parsed(path, data)


def _committed(path: Path) -> list[Waiver]:
    """The waivers in the file of the commit that is checked out; none where it has no such file. Raises ``WaiverError``."""
    # A repository's own configuration must not start programs of its choice here.
    safe = ["-c", "core.fsmonitor=false", "-c", f"safe.directory={path.parent.resolve()}"]
    command = ["git", "--no-optional-locks", *safe, "cat-file", "blob", f"HEAD:./{path.name}"]
    try:
        done = subprocess.run(command, cwd=path.parent, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WaiverError(f"whether {path.name} is committed cannot be told: git {type(error).__name__}") from None
    return _parsed(path, done.stdout) if done.returncode == 0 else []


def _parsed(path: Path, data: bytes) -> list[Waiver]:
    if len(data) > _MAX_BYTES:
        raise WaiverError(f"{path.name} is larger than {_MAX_BYTES >> 10} KiB")
    try:
        content: Any = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        raise WaiverError(f"{path.name} is not YAML{place}") from None
    if content is None:
        return []
    if not isinstance(content, dict) or set(content) != {"waivers"} or not isinstance(content["waivers"], list | None):
        raise WaiverError(f"{path.name} must hold one key, 'waivers', with a list of entries")
    return [_entry(path, index, entry) for index, entry in enumerate(content["waivers"] or [], 1)]


def _entry(path: Path, index: int, entry: object) -> Waiver:
    try:
        waiver = Waiver.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the entry"
        raise WaiverError(f"{path.name}, entry {index}, {where}: {first['msg']}") from None
    gate = GATES.get(waiver.gate)
    if gate is None:
        raise WaiverError(f"{path.name}, entry {index}: there is no gate {waiver.gate!r}")
    if not gate.waivable:
        raise WaiverError(f"{path.name}, entry {index}: the gate {waiver.gate} cannot be waived; fix what it found")
    return waiver


def find(waivers: Sequence[Waiver], gate: str, commit: str, now: datetime) -> Waiver | None:
    """The waiver that lets ``gate`` through for ``commit`` at ``now``, if any."""
    return next((waiver for waiver in waivers if waiver.holds(gate, commit, now)), None)
