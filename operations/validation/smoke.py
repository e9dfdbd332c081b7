"""Asks the public URL of every service, from here, as ``HealthCheck`` does."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from catalog.models import Service
from components.release import probe
from operations import remote
from operations.problem import Problem

AT_ONCE = 8


@dataclass(frozen=True)
class Answer:
    """``status``: the HTTP status, ``None`` where there was no answer; ``problem``: the sentence of a failed check."""

    service: str
    status: int | None
    milliseconds: int | None
    problem: str | None

    @property
    def ok(self) -> bool:
        """Whether the service answers as it must."""
        return self.problem is None


def ask(
    root: Path, stack: str, domain: str, services: Mapping[str, Service], releases: Mapping[str, str | None]
) -> dict[str, Answer]:
    """The answer of each service. ``releases``: what each must tell; ``None``: any."""

    def one(service: str) -> Answer:
        entry = services[service]
        question = {**probe(entry, domain), "successes": 1}
        if releases.get(service) is None:
            question["release_path"] = None
        request = {"service": service, "release": releases.get(service), "probe": question}
        try:
            result = remote.run(root, stack, "health", request, timeout=entry.health.timeout + 30)
        except Problem as problem:
            return Answer(service, None, None, str(problem).removeprefix(f"{service}: "))
        if result.get("status") != entry.health.status:
            return Answer(service, result.get("status"), None, f"It answers {result.get('status')}.")
        return Answer(service, result["status"], result.get("ms"), None)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {answer.service: answer for answer in pool.map(one, services)}
