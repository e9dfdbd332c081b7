"""What a runner of GitHub Actions would take with it: a stack's trends, journals and baselines, from its last run and for its next one.

An artefact ``records-<stack>`` carries them: ``python -m operations.runner_records restore STACK`` lays out the newest one of this branch,
``collect STACK FOLDER`` copies them into a folder for the upload. What the checkout holds already (committed baselines) stays.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalog.settings import ValidationSettings
from operations.deployment import journal
from operations.report import FOLDER, TRENDS

PROJECT = Path(__file__).resolve().parents[1]
_KEPT = re.compile(r"(?:(?P<trends>deployments\.jsonl)|runs/(?P<run>[0-9TZ]+-[0-9a-f]{4}\.jsonl)|baselines/(?P<page>[a-z-]+\.png))")


class RecordsError(Exception):
    """The records cannot be had; one sentence."""


def places(root: Path, stack: str) -> dict[str, Path]:
    """Where each kind of record lies in a checkout."""
    return {
        "trends": root / FOLDER,
        "run": journal.folder_of(root, stack),
        "page": root / ValidationSettings().baselines / stack,
    }


def newest(listed: Mapping[str, Any], branch: str) -> int | None:
    """The artefact to restore: of this repository's own branch, since a fork's run may give any name to its own."""
    ours = [
        artefact
        for artefact in listed["artifacts"]
        if not artefact["expired"]
        and artefact["workflow_run"]["head_branch"] == branch
        and artefact["workflow_run"]["head_repository_id"] == artefact["workflow_run"]["repository_id"]
    ]
    return max(ours, key=lambda artefact: str(artefact["created_at"]))["id"] if ours else None


def lay_out(packed: bytes, root: Path, stack: str) -> int:
    """Writes an artefact's records where they belong; how many. Names that are none of ours are passed over."""
    found = 0
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in archive.namelist():
            match = _KEPT.fullmatch(name)
            if match is None or match.lastgroup is None:
                continue
            folder = places(root, stack)[match.lastgroup]
            folder.mkdir(parents=True, exist_ok=True, mode=0o700 if match.lastgroup == "run" else 0o755)
            place = folder / Path(name).name
            if not place.exists():
                place.touch(0o600 if match.lastgroup == "run" else 0o644)
                place.write_bytes(archive.read(name))
                found += 1
    return found


def collect(root: Path, stack: str, folder: Path) -> int:
    """Copies the records into ``folder``; how many."""
    found = 0
    for kind, inner, pattern in (("trends", "", TRENDS), ("run", "runs", "*.jsonl"), ("page", "baselines", "*.png")):
        for place in sorted(places(root, stack)[kind].glob(pattern)):
            (folder / inner).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place, folder / inner / place.name)
            found += 1
    return found


def restore(root: Path, stack: str, environment: Mapping[str, str]) -> int:
    """Lays the newest records out; how many, 0 where no run has left any. Raises ``RecordsError``."""
    base = f"repos/{environment['GITHUB_REPOSITORY']}/actions/artifacts"
    try:
        chosen = newest(json.loads(_asked(f"{base}?name=records-{stack}&per_page=100")), environment["GITHUB_REF_NAME"])
        return 0 if chosen is None else lay_out(_asked(f"{base}/{chosen}/zip"), root, stack)
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile):
        raise RecordsError(f"GitHub's answer about the artefact records-{stack} is none that can be read; run it again") from None


def _asked(path: str) -> bytes:
    done = subprocess.run(["gh", "api", path], capture_output=True, check=False)
    if done.returncode != 0:
        raise RecordsError(f"GitHub does not give {path} (gh: exit code {done.returncode}); run it again")
    return done.stdout


def main(words: list[str]) -> int:
    """``restore STACK`` or ``collect STACK FOLDER``; the exit code."""
    try:
        match words:
            case ["restore", stack]:
                print(f"{restore(PROJECT, stack, os.environ)} records of earlier runs")
            case ["collect", stack, folder]:
                print(f"{collect(PROJECT, stack, Path(folder))} records for the next run")
            case _:
                print("usage: python -m operations.runner_records restore STACK | collect STACK FOLDER", file=sys.stderr)
                return 2
    except RecordsError as error:
        print(f"::error::{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
