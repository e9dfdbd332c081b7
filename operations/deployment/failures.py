"""Which services an update left without their new release, and why: each one's own failure, or whose failure it waits for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from catalog.models import Service
from operations.deployment.outcome import Failure
from operations.progress import STEPS, Progress, ServiceProgress
from operations.wording import on_one_line

Moves = Mapping[str, tuple[str | None, str]]
NAMED = 8
"""How many services a verdict names; more are counted."""


def of_update(services: Mapping[str, Service], progress: Progress, moves: Moves, live: Mapping[str, str]) -> tuple[Failure, ...]:
    """The failures of an update that has ended. ``moves``: what it was to make live; ``live``: what is."""
    found: dict[str, Failure] = {}
    for key, entry in progress.services.items():
        if entry.failed:
            found[key] = Failure(key, "failed", _live(key, moves, live), _step(entry), None, _error(key, entry.errors))
    shared = next((name for name, state in progress.others.items() if state == "failed"), None)
    for key in moves:
        if key in found or _live(key, moves, live) or key not in progress.services:
            continue
        root = next((other for other in _before(services, key) if other in found and found[other].because == "failed"), None)
        if root is not None:
            found[key] = Failure(key, "waits", False, None, root, found[root].error)
        elif shared is not None:
            found[key] = Failure(key, "waits", False, None, shared, _error("", progress.errors))
        else:
            found[key] = Failure(key, "unreached", False, None, None, _error("", progress.errors))
    return tuple(found[key] for key in progress.services if key in found)


def _live(key: str, moves: Moves, live: Mapping[str, str]) -> bool:
    return key not in moves or live.get(key) == moves[key][1]


def _step(entry: ServiceProgress) -> str | None:
    return next((step for step in STEPS if entry.steps.get(step) == "failed"), None)


def _error(service: str, errors: Sequence[str]) -> str:
    first = next((line for text in errors for line in text.splitlines() if line.strip()), "")
    return on_one_line(first.removeprefix(f"{service}: "), None)


def _before(services: Mapping[str, Service], key: str) -> list[str]:
    """The services that one is declared ``after``, near ones first, each followed by its own."""
    found: dict[str, None] = {}
    for other in services[key].after if key in services else ():
        if other in services and other not in found:
            found[other] = None
            found |= dict.fromkeys(_before(services, other))
    return list(found)


def to_revert(services: Mapping[str, Service], bad: Collection[str], changed: Collection[str]) -> tuple[str, ...]:
    """Which of the ``changed`` services go back where the checks of ``bad`` fail: the bad ones, what a bad one that was not changed is
    ``after``, and what is ``after`` any of these. All of them where a bad service has nothing to do with any: nobody can tell which of them
    broke it."""
    suspects: set[str] = set()
    for key in bad:
        near = {key} & set(changed) or set(_before(services, key)) & set(changed)
        if not near:
            return tuple(changed)
        suspects |= near
    return tuple(key for key in changed if key in suspects or suspects & set(_before(services, key)))


def verdict(moves: Moves, failures: Iterable[Failure], reverted: Collection[str], wrong: Sequence[str]) -> str:
    """The last line of a deployment. ``reverted``: services that went back to their former release; ``wrong``: what else was not good."""
    known = {failure.service: failure for failure in failures}
    gone = [key for key in moves if key in reverted]
    dead = [failure for key, failure in known.items() if not failure.live and key not in reverted]
    ill = [failure for key, failure in known.items() if failure.live and key not in reverted]
    alive = [key for key in moves if key not in known and key not in reverted]
    if not (gone or known or wrong):
        return f"✓ Live: {_names(alive)}." if alive else "✓ Done."
    parts = []
    if alive:
        parts.append(f"Live: {_names(alive)}.")
    if dead:
        parts.append(f"Not live: {', '.join(f'{one.service} ({one.reason})' for one in dead)}.")
    if ill:
        parts.append(f"Live but failed: {', '.join(f'{one.service} ({one.reason})' for one in ill)}.")
    if gone:
        parts.append(f"Rolled back: {_names([f'{key} ({known[key].reason})' if key in known else key for key in gone])}.")
    if wrong:
        parts.append(f"Failed: {', '.join(wrong)}.")
    return "✗ " + " ".join(parts)


def _names(keys: Sequence[str]) -> str:
    return ", ".join(keys) if len(keys) <= NAMED else f"{len(keys)} services"
