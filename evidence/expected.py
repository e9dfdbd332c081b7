"""Which reports a run of the gates has to leave, gate by gate: whoever looks at the sources writes it down beside them, before any tool
runs. Without it a gate would be content with the one suite that did run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from evidence.model import ReportError

NAME = "expected.json"
_MAX_BYTES = 256 << 10


class Expected(BaseModel):
    """``gates``: gate → report, relative to the folder → who makes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    gates: dict[str, dict[str, str]]


def write(folder: Path, commit: str, gates: Mapping[str, Mapping[str, str]]) -> None:
    """Writes what is expected of a run for ``commit``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text(json.dumps({"version": 1, "commit": commit, "gates": gates}, indent=1) + "\n", encoding="utf-8")


def load(folder: Path, commit: str) -> Mapping[str, Mapping[str, str]]:
    """What is expected for ``commit``, by gate. Raises ``ReportError`` where nobody wrote it down, or for another commit."""
    try:
        with (folder / NAME).open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise ReportError("too-large", f"is larger than {_MAX_BYTES >> 10} KiB")
        found = Expected.model_validate_json(text)
    except FileNotFoundError:
        raise ReportError(
            "missing", "is not there, so nobody knows which reports there must be; `bin/mo gates --run` writes it beside them"
        ) from None
    except OSError as error:
        raise ReportError("unreadable", f"cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ReportError("unreadable", f"is broken at {where}: {first['msg']}") from None
    if found.commit != commit:
        raise ReportError(
            "other-commit", f"was written for commit {found.commit[:12]}, not for {commit[:12] or 'one that is known'}"
        )
    return found.gates
