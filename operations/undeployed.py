"""What to say of a stack of which the backend in use knows no deployment: it was never deployed, or another backend has its state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from catalog.models import Service
from components import facts
from components.facts import FactsError, RunFacts
from operations.problem import Problem


def problem(root: Path, stack: str, host: str, services: Mapping[str, Service]) -> Problem:
    """Asks the host, whose connection must be written, what is live there."""
    entries = {key: entry.model_copy(update={"database": None}) for key, entry in services.items()}
    try:
        known = RunFacts(root)(facts.request(stack, host, entries, dict.fromkeys(entries)))
    except FactsError as error:
        return Problem(f"The backend in use knows no deployment of the stack {stack}; what its host runs cannot be asked: {error}")
    running = [key for key in services if known.of(key).live]
    if not running:
        return Problem(f"The stack {stack} was never deployed: bin/mo deploy --stack {stack}.")
    return Problem(
        f"The backend in use knows no deployment of the stack {stack}, but the host runs {len(running)} of its services "
        f"({', '.join(running)}): another backend has its state (bin/pulumi login, docs/state.md), or it was lost (docs/runbook.md)."
    )
