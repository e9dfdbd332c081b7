"""The report of one update: ``quality-reports/deployment-<date>.md``, the same as JSON, and one line for the trends."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from operations.deployment.outcome import Failure, Outcome
from operations.progress import Progress
from operations.report_markdown import markdown
from operations.validation.smoke import Answer

FOLDER = "quality-reports"
TRENDS = "deployments.jsonl"
VERSION = 2

__all__ = [
    "FOLDER",
    "TRENDS",
    "VERSION",
    "GateLine",
    "Report",
    "ServiceLine",
    "Written",
    "markdown",
    "service_lines",
    "trend",
    "write",
    "written",
]


@dataclass(frozen=True)
class GateLine:
    """One gate's verdict at the time of the update."""

    name: str
    verdict: str
    figure: float | None
    threshold: str
    reason: str
    waiver: str = ""


@dataclass(frozen=True)
class ServiceLine:
    """One service. ``old``, ``new``: releases; ``files``, ``bytes``: of the new one, 0 where the host had it; ``seconds``: of its steps in
    this update; ``status``: what its URL answered afterwards; ``files_only``: an external service's files
    are there and its daemon is not; ``version``: as the site tells it; ``activation_ms``: until PHP ran nothing but the new release,
    counted from the rename, and how its caches were cleared (``activation``)."""

    service: str
    old: str | None
    new: str | None
    changed: bool
    files: int | None
    bytes: int | None
    migrations: tuple[str, ...]
    snapshot: str | None
    seconds: float
    status: int | None
    milliseconds: int | None
    problems: tuple[str, ...]
    files_only: bool = False
    version: str | None = None
    activation_ms: int | None = None
    activation: str | None = None


@dataclass(frozen=True)
class Report:
    """One deployment or rollback. Times are UTC, ISO 8601; docs/report.schema.json describes it as JSON.

    ``run``: its journal's id; ``who``: who asked for it; ``phases``: their outcomes in order; ``durations``: seconds of each;
    ``resumed``: which interrupted run it goes on with, and where that one stopped; ``went_back``: why services went back to their former
    releases; ``issue``: the address of the deployment's issue.
    """

    version: int
    stack: str
    kind: str
    message: str
    started: str
    seconds: float
    succeeded: bool
    gates: tuple[GateLine, ...]
    services: tuple[ServiceLine, ...]
    notes: tuple[str, ...]
    errors: tuple[str, ...]
    run: str = ""
    who: str = ""
    commit: str = ""
    phases: tuple[Outcome, ...] = ()
    durations: Mapping[str, float] = field(default_factory=dict)
    resumed: str | None = None
    went_back: str | None = None
    issue: str | None = None

    def outcome(self, name: str) -> Outcome | None:
        """The last outcome of the phase ``name``."""
        return next((phase for phase in reversed(self.phases) if phase.name == name), None)


def service_lines(
    progress: Progress,
    before: Mapping[str, str],
    live: Mapping[str, str],
    answers: Mapping[str, Answer],
    failures: Sequence[Failure] = (),
) -> tuple[ServiceLine, ...]:
    """The services of an update that has ended. ``failures``: those that it left behind, and why."""
    left = {failure.service: failure.sentence for failure in failures if failure.because != "failed"}

    def line(service: str) -> ServiceLine:
        entry, answer = progress.services[service], answers.get(service)
        stage, switch = entry.results.get("stage", {}), entry.results.get("switch", {})
        sent = stage.get("uploaded", True)
        said = [
            *entry.errors,
            *([left[service]] if service in left else []),
            *([answer.problem] if answer and answer.problem else []),
        ]
        return ServiceLine(
            service=service,
            old=before.get(service) or switch.get("previous"),  # what the host found there, before the first deployment
            new=live.get(service),
            # A resumed run finds done what the interrupted one did.
            changed=entry.changed or before.get(service) != live.get(service),
            files=stage.get("files") if sent else 0,
            bytes=stage.get("bytes") if sent else 0,
            migrations=tuple(map(str, switch.get("migrations") or ())),
            snapshot=switch.get("snapshot"),
            seconds=round(entry.seconds, 1),
            status=answer.status if answer else None,
            milliseconds=answer.milliseconds if answer else None,
            problems=tuple(dict.fromkeys(said)),
            files_only=answer is not None and answer.files_only,
            version=answer.version if answer else None,
            activation_ms=_activated(switch).get("ms"),
            activation=_activated(switch).get("how"),
        )

    return tuple(line(service) for service in progress.services)


def _activated(switch: Mapping[str, Any]) -> Mapping[str, Any]:
    found = switch.get("activated")
    return found if isinstance(found, Mapping) else {}


def write(root: Path, report: Report) -> Path:
    """Writes the report beside those of the same day and gives the Markdown's path."""
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    name = _free_name(folder, f"deployment-{report.started[:10]}")
    _put(folder / f"{name}.json", json.dumps(asdict(report), indent=1, ensure_ascii=False) + "\n")
    target = folder / f"{name}.md"
    _put(target, markdown(report))
    _append(folder / TRENDS, json.dumps(trend(report), sort_keys=True))
    return target


def _put(place: Path, text: str) -> None:
    """Whole or not at all."""
    new = place.with_name(f".{place.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(place)


def _append(place: Path, line: str) -> None:
    """One line more; one that a killed run cut short stays a line of its own."""
    with place.open("ab+") as stream:
        begin = b""
        if stream.seek(0, os.SEEK_END):
            stream.seek(-1, os.SEEK_END)
            begin = b"" if stream.read(1) == b"\n" else b"\n"
        stream.write(begin + line.encode() + b"\n")


@dataclass(frozen=True)
class Written:
    """A report in the folder. ``markdown``: its file, without ending the same as the JSON's."""

    markdown: Path
    stack: str
    kind: str
    started: str
    succeeded: bool


def written(root: Path, stack: str | None = None, date: str | None = None) -> list[Written]:
    """The reports there are, oldest first; of one stack, or one day. One that cannot be read is left out."""
    found = []
    for path in (root / FOLDER).glob(f"deployment-{date or ''}*.json"):
        try:
            data = json.loads(path.read_bytes())
            one = Written(
                path.with_suffix(".md"), str(data["stack"]), str(data["kind"]), str(data["started"]), data["succeeded"] is True
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if (stack is None or one.stack == stack) and one.markdown.is_file():
            found.append(one)
    return sorted(found, key=lambda one: (one.started, len(one.markdown.name), one.markdown.name))


def _free_name(folder: Path, wish: str) -> str:
    """``wish``, or ``wish-2`` and so on; taken at once, so that two updates never write the same report."""
    number = 1
    while True:
        name = wish if number == 1 else f"{wish}-{number}"
        try:
            os.close(os.open(folder / f"{name}.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            number += 1
        else:
            return name


def trend(report: Report) -> dict[str, Any]:
    """The figures of an update that are kept for trends."""
    answered = [line for line in report.services if line.status is not None]
    flows = report.outcome("end-to-end")
    return {
        "stack": report.stack,
        "kind": report.kind,
        "started": report.started,
        "seconds": report.seconds,
        "succeeded": report.succeeded,
        "services": len(report.services),
        "changed": sum(line.changed for line in report.services),
        "failed": sum(bool(line.problems) for line in report.services),
        "migrations": sum(len(line.migrations) for line in report.services),
        "http200": sum(line.status == 200 for line in answered),
        "bytes": sum(line.bytes or 0 for line in report.services),
        "rollbacks": int(report.kind == "rollback" or report.went_back is not None),
        "flows": flows.details.get("ran", 0) if flows else 0,
        "flows_failed": flows.details.get("failed", 0) if flows else 0,
        "waived": sum(gate.verdict == "waived" for gate in report.gates),
    }


def schema() -> dict[str, Any]:
    """The JSON schema of the report (docs/report.schema.json)."""
    from pydantic import TypeAdapter

    made = TypeAdapter(Report).json_schema()
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "Report of a deployment or rollback (quality-reports/deployment-<date>.json)"
    return made


if __name__ == "__main__":
    print(json.dumps(schema(), indent=1, ensure_ascii=False))
