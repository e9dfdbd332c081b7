"""The figures of the monitoring, from what was found: the last deployment's report, the host's facts, live files, security reports.

Pure but for the reading of files of this machine; what is not known is left out, never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog.exports import SECURITY_SOURCES
from catalog.manifest import Manifest
from catalog.models import Service
from catalog.settings import GateSettings
from components import artefacts, schema
from components.artefacts import ArtefactError
from components.facts import Facts, ServiceFacts
from evidence import collect, waivers
from evidence.model import NOWHERE, ProblemKind
from monitoring.textfile import DeploymentMetrics
from operations.integrity import Difference
from operations.report import FOLDER, TRENDS


def last_deployment(root: Path, stack: str) -> DeploymentMetrics:
    """Duration, end, failures and rollbacks of the last update of ``stack``, as its report kept them; nothing where there was none."""
    try:
        lines = (root / FOLDER / TRENDS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return DeploymentMetrics()
    last = None
    for line in lines:
        try:
            entry = json.loads(line)
            if isinstance(entry, dict) and entry.get("stack") == stack:
                last = _of_entry(entry)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            continue  # a line that a killed run cut short, or a hand broke
    return last or DeploymentMetrics()


def _of_entry(entry: Mapping[str, Any]) -> DeploymentMetrics:
    seconds = float(entry["seconds"])
    rolled_back = entry.get("rollbacks", entry.get("kind") == "rollback")
    return DeploymentMetrics(
        duration=seconds,
        finished_at=datetime.fromisoformat(str(entry["started"])).timestamp() + seconds,
        failures=max(int(entry["failed"]), int(entry.get("succeeded") is False)),
        rollbacks=int(rolled_back),
    )


def on_host(
    services: Mapping[str, Service], manifests: Mapping[str, Manifest], facts: Facts, files: Mapping[str, Difference]
) -> DeploymentMetrics:
    """Space, databases, migrations and changed files. ``manifests``: of the live releases."""
    left = [free for free in (facts.quota_bytes, facts.free_bytes) if free is not None]
    pending = {
        key: count
        for key, entry in services.items()
        if (count := pending_migrations(entry, manifests.get(key), facts.of(key))) is not None
    }
    return DeploymentMetrics(
        migrations_pending=pending,
        database_up={key: up for key, entry in services.items() if entry.database and (up := facts.of(key).reachable) is not None},
        live_files_changed={key: found.count for key, found in files.items() if found.compared},
        quota_bytes=facts.size_bytes,
        quota_free_bytes=min(left, default=None),
    )


def pending_migrations(entry: Service, manifest: Manifest | None, known: ServiceFacts) -> int | None:
    """How many migrations of the live release its database lacks; ``None`` where only running the tool can tell (drush, commands), or
    where release or database are not known."""
    if not schema.lists_migrations(entry) or manifest is None or known.reachable is not True:
        return None
    lacking = schema.lacking(known, manifest, entry)
    return None if lacking is None else len(lacking)


def live_manifests(root: Path, services: Iterable[str], facts: Facts) -> dict[str, Manifest]:
    """The manifests of the releases that are live: this machine's, else as the host told them."""
    found: dict[str, Manifest] = {}
    for key in services:
        live = facts.of(key).live
        told = facts.of(key).manifest
        if live is None:
            continue
        for folder in (root / "dist" / key, root / "dist" / ".store" / key / live):
            try:
                manifest = artefacts.read(folder / "manifest.json", key)
            except ArtefactError:
                continue
            if manifest is not None and manifest.release == live:
                found[key] = manifest
                break
        else:
            if told is not None and told.release == live:
                found[key] = told
    return found


_OUTRUN: tuple[ProblemKind, ...] = ("stale", "other-commit")
"""Problems of a report that only time brought: a waiver still accepts what it found."""


def security_alerts(root: Path, gates: GateSettings) -> dict[str, int]:
    """Source → open findings of HIGH or CRITICAL severity in the newest reports. A source whose reports give no figure is left out.

    These are findings, not verdicts. The verdicts of a deployment were taken at its gate, and its report quotes them; what this function
    counts is what is open *now*: a scan that is newer than the last deployment can find what was not known when the gate passed. So a
    report counts whatever its age and commit, until a newer one takes its place. Findings that a waiver accepts for the report's commit do
    not count until the waiver expires."""
    wanted = gates.model_copy(update={"required": SECURITY_SOURCES})
    try:
        accepted = waivers.load(root / "waivers.yaml")
    except waivers.WaiverError:
        accepted = []
    now = datetime.now(UTC)
    counts: dict[str, int] = {}
    for entry in collect.collect(wanted, root, artefacts.last_commit(root) or "", NOWHERE, now=now):
        if entry.figure is not None:
            sound = entry.problem in (None, *_OUTRUN)
            waived = sound and waivers.find(accepted, entry.gate, entry.provenance.commit, now) is not None
            counts[entry.gate] = counts.get(entry.gate, 0) + (0 if waived else int(entry.figure))
    return counts


def together(*parts: DeploymentMetrics) -> DeploymentMetrics:
    """What the parts say, each field by the one that knows it."""
    known: dict[str, Any] = {}
    for part in parts:
        known |= {name: getattr(part, name) for name in type(part).model_fields if getattr(part, name) not in (None, {})}
    return DeploymentMetrics(**known)
