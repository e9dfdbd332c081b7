"""Asks the public URL of every service, from here, as ``HealthCheck`` does."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from catalog.models import Service
from components.release import health_probe
from operations import remote
from operations.deployment.outcome import Outcome, Validation
from operations.problem import Problem

NAME = "smoke"
AT_ONCE = 8
"""Services that the step ``health`` asks side by side (components/remote/client/health.py)."""


@dataclass(frozen=True)
class Answer:
    """``status``: the HTTP status, ``None`` where there was no answer; ``problem``: the sentence of a failed check;
    ``files_only``: an external service's files are there, and its daemon is not; ``version``: as the site tells it;
    ``note``: what is no failure and to be known."""

    service: str
    status: int | None
    milliseconds: int | None
    problem: str | None
    files_only: bool = False
    version: str | None = None
    note: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the service answers as it must."""
        return self.problem is None


def ask(
    root: Path,
    stack: str,
    domain: str,
    services: Mapping[str, Service],
    releases: Mapping[str, str | None],
    patience: int | None = None,
) -> dict[str, Answer]:
    """The answer of each service. ``releases``: what each must tell; ``None``: any. ``patience``: the most seconds that one may take to
    come to a right answer, below what its catalogue entry gives it after a deploy."""

    questions = []
    for service, entry in services.items():
        question = {**health_probe(entry, domain), "successes": 1}
        if patience is not None:
            question["timeout"] = min(entry.health.timeout, patience)
        if releases.get(service) is None:
            question["release_path"] = None
        questions.append({"service": service, "release": releases.get(service), "probe": question})
    if not questions:
        return {}
    # The page, what must stay hidden, and the page again: each has its own time.
    longest = 3 * max(20, *(entry.health.timeout for entry in services.values()))
    rounds = -(-len(questions) // AT_ONCE)
    try:
        told = remote.run(root, stack, "health", {"services": questions}, timeout=30 + rounds * longest).get("services")
    except Problem as problem:
        return {service: Answer(service, None, None, str(problem)) for service in services}
    known = told if isinstance(told, dict) else {}
    return {service: _read(service, entry, known.get(service)) for service, entry in services.items()}


def _read(service: str, entry: Service, told: Any) -> Answer:
    if not isinstance(told, dict):
        return Answer(service, None, None, "It was not asked.")
    if (problem := told.get("problem")) is not None:
        return Answer(service, None, None, str(problem).removeprefix(f"{service}: "))
    if told.get("status") != entry.health.status:
        return Answer(service, told.get("status"), None, f"It answers {told.get('status')}.")
    version, note = (str(told[name]) if told.get(name) is not None else None for name in ("version", "note"))
    return Answer(service, told["status"], told.get("ms"), None, told.get("files_only") is True, version, note)


def run(validation: Validation) -> Outcome:
    """Every deployed service: status, text, the release that it must serve, and nothing served that must stay hidden. Any failure is a
    reason for its service to go back."""
    answers = ask(validation.root, validation.stack, validation.settings.domain, validation.services, validation.releases)
    validation.folder.mkdir(parents=True, exist_ok=True)
    told = [asdict(answer) for answer in answers.values()]
    (validation.folder / "smoke.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    return outcome(answers, validation.closed)


def outcome(answers: Mapping[str, Answer], closed: Collection[str] = ()) -> Outcome:
    """What the answers mean. ``closed``: by a person, and so not asked."""
    if not answers and closed:
        return Outcome(NAME, True, f"a person has closed {', '.join(closed)}, so no service was asked", {"instead": "not asked"})
    if not answers:
        return Outcome(NAME, False, "no service is deployed, so none was asked")
    bad = {service: str(answer.problem) for service, answer in answers.items() if not answer.ok}
    files = [service for service, answer in answers.items() if answer.files_only]
    said = f"{len(answers) - len(bad) - len(files)} of {len(answers)} services answer as they must"
    said += f", {len(files)} files only ({', '.join(files)})" if files else ""
    said += f", {len(closed)} closed by a person and not asked ({', '.join(closed)})" if closed else ""
    details = {"answers": [asdict(answer) for answer in answers.values()]}
    why = f"the smoke test of {', '.join(bad)} failed" if bad else None
    notes = [f"{service}: {answer.note}" for service, answer in answers.items() if answer.note]
    told = [said, *(f"{service}: {problem}" for service, problem in bad.items()), *notes]
    return Outcome(NAME, not bad, "; ".join(told), details, why)
